"""The classic way, for comparison: one sample at a time in NumPy and OpenCV, as repositories in the line of HRNet do.

Own code, written for the bench and not slowed down: a heatmap is written only where it is not zero, and OpenCV does
what it can do.
"""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from semipose.geometry.boxes import box_to_region
from semipose.models.feature_levels import Normalisation
from semipose.skeletons import COCO
from semipose.structures import Persons

ROTATION, SCALE = 30.0, 0.25  # as the default views: AUGMENT.LABELED in config/defaults.py


class ClassicDataset(Dataset):
    """Normalised image (3, H, W), heatmaps (K, h, w) and weights (K, 1) of one person at a time, changed at random.

    Args:
        size, heatmap_size: (width, height).
    """

    def __init__(self, persons: Persons, size: tuple[int, int], heatmap_size: tuple[int, int], sigma: float):
        self.persons, self.size, self.heatmap_size, self.sigma = persons, size, heatmap_size, sigma
        self.centres, self.sizes = box_to_region(persons.boxes, size[0] / size[1], 1.25)
        self.mean = torch.tensor(Normalisation.mean).view(3, 1, 1)
        self.std = torch.tensor(Normalisation.std).view(3, 1, 1)
        self.flip_order = list(COCO.flip_order)
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, Tensor]:
        image = cv2.imread(self.persons.path(row), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        points, seen = self.persons.keypoints[row, :, :2], self.persons.keypoints[row, :, 2] > 0
        matrix = self._drawn_matrix(row)
        if self.rng.random() < 0.5:
            matrix = np.array([[-1, 0, self.size[0] - 1], [0, 1, 0]]) @ np.concatenate([matrix, [[0, 0, 1]]])
            points, seen = points[self.flip_order], seen[self.flip_order]
        crop = cv2.warpAffine(image, matrix, self.size, flags=cv2.INTER_LINEAR)
        points = points @ matrix[:, :2].T + matrix[:, 2]
        pixels = torch.from_numpy(crop).permute(2, 0, 1).contiguous().float().div_(255)
        heatmaps, weights = draw_heatmaps(points, seen, self.size, self.heatmap_size, self.sigma)
        return pixels.sub_(self.mean).div_(self.std), torch.from_numpy(heatmaps), torch.from_numpy(weights)

    def _drawn_matrix(self, row: int) -> np.ndarray:
        """(2, 3) map from the image to the crop."""
        centre = self.centres[row]
        zoom = np.clip(1 + SCALE * self.rng.standard_normal(), 1 - SCALE, 1 + SCALE) * self.size[0] / self.sizes[row, 0]
        angle = np.clip(ROTATION * self.rng.standard_normal(), -2 * ROTATION, 2 * ROTATION)
        matrix = cv2.getRotationMatrix2D(centre.tolist(), angle, zoom)
        matrix[:, 2] += np.array(self.size) / 2 - centre
        return matrix


def draw_heatmaps(
    points: np.ndarray, seen: np.ndarray, size: tuple[int, int], heatmap_size: tuple[int, int], sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Targets (K, h, w) of points (K, 2) in crop pixels, each a patch with a Gaussian, and weights (K, 1)."""
    (width, height), reach = heatmap_size, int(3 * sigma)
    heatmaps = np.zeros((len(points), height, width), np.float32)
    weights = seen.astype(np.float32)[:, None]
    along = np.arange(-reach, reach + 1, dtype=np.float32)
    patch = np.exp(-(along**2 + along[:, None] ** 2) / (2 * sigma**2))
    stride = np.array(size) / heatmap_size
    for joint, (x, y) in enumerate(np.floor(points / stride + 0.5).astype(int).tolist()):
        left, top, right, bottom = x - reach, y - reach, x + reach + 1, y + reach + 1
        if right <= 0 or bottom <= 0 or left >= width or top >= height:
            weights[joint] = 0
        elif weights[joint]:
            rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
            heatmaps[joint, rows, columns] = patch[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
    return heatmaps, weights


def decode_heatmaps(heatmaps: np.ndarray, stride: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (B, K, 2) in crop pixels and scores (B, K), joint by joint (DARK, Zhang et al., CVPR 2020)."""
    points = np.zeros((*heatmaps.shape[:2], 2), np.float32)
    scores = np.zeros(heatmaps.shape[:2], np.float32)
    for person, maps in enumerate(heatmaps):
        for joint, heatmap in enumerate(maps):
            _, scores[person, joint], _, peak = cv2.minMaxLoc(heatmap)
            points[person, joint] = (peak + _taylor_step(heatmap, *peak, sigma)) * stride + (stride - 1) / 2
    return points, scores


def _taylor_step(heatmap: np.ndarray, x: int, y: int, sigma: float) -> np.ndarray:
    height, width = heatmap.shape
    if not (1 < x < width - 2 and 1 < y < height - 2):
        return np.zeros(2)
    kernel = 2 * max(1, round(1.5 * sigma)) + 1
    blurred = cv2.GaussianBlur(heatmap, (kernel, kernel), 0.5 * sigma, borderType=cv2.BORDER_REPLICATE)
    f = np.log(np.maximum(blurred[y - 2 : y + 3, x - 2 : x + 3], 1e-10))
    slope = np.array([f[2, 3] - f[2, 1], f[3, 2] - f[1, 2]]) / 2
    dxx, dyy = (f[2, 4] - 2 * f[2, 2] + f[2, 0]) / 4, (f[4, 2] - 2 * f[2, 2] + f[0, 2]) / 4
    dxy = (f[3, 3] - f[1, 3] - f[3, 1] + f[1, 1]) / 4
    if dxx * dyy - dxy * dxy <= 1e-8 or dxx >= 0:
        return np.zeros(2)
    return np.clip(-np.linalg.solve([[dxx, dxy], [dxy, dyy]], slope), -1, 1)
