"""Context crops: the person's box with a margin, cut once and the same every time.

Views are made from these crops on the training device, so a crop can be cached: nothing random happens here.
"""

import cv2
import numpy as np

from semipose.data.images import read_image, shrink
from semipose.geometry.boxes import box_to_region, crop_to_image
from semipose.structures import Persons

REDUCTIONS = (8, 4, 2)


class ContextCrops:
    """Crops of N persons.

    Args:
        persons: whom to crop.
        size: (width, height) of a network input; at scale 1 it shows the padded box.
        margin: width and height of the crop in units of `size`; room for rotation and for zooming out.
        padding: growth of the box, see `box_to_region`.

    Attributes:
        size: (width, height) of a context crop.
        to_image: (N, 2, 3) float32 maps from crop pixels to image pixels.
    """

    def __init__(self, persons: Persons, size: tuple[int, int], margin: float, padding: float):
        self.persons = persons
        # an even difference keeps the centred view on whole pixels
        self.size = tuple(n + 2 * round(n * (margin - 1) / 2) for n in size)
        centres, sizes = box_to_region(persons.boxes, size[0] / size[1], padding)
        self.to_image = crop_to_image(centres, sizes, self.size, size).astype(np.float32)
        self._reduction = _reductions(self.to_image[:, 0, 0])
        self._image_reduction = np.full(len(persons.image_paths), max(REDUCTIONS))
        np.minimum.at(self._image_reduction, persons.image_index, self._reduction)
        self._by_image = np.argsort(persons.image_index, kind="stable")
        self._image_start = np.searchsorted(
            persons.image_index[self._by_image], np.arange(len(persons.image_paths) + 1)
        )

    def __len__(self) -> int:
        return len(self.persons)

    def on_same_image(self, row: int) -> np.ndarray:
        """Rows of all persons on the image of person `row`."""
        image = self.persons.image_index[row]
        return self._by_image[self._image_start[image] : self._image_start[image + 1]]

    def cut(self, rows) -> np.ndarray:
        """Crops (n, 3, H, W) uint8 RGB of persons that are all on one image, which is decoded once.

        Raises:
            DataError: the image cannot be read.
        """
        # the same for all calls, so that crops do not depend on who else is asked for
        image = self.persons.image_index[rows[0]]
        decoded = int(self._image_reduction[image])
        picture = read_image(self.persons.path(rows[0]), decoded, self.persons.reading(image))
        return self._warp({decoded: picture}, decoded, rows)

    def cut_from(self, image: np.ndarray, rows) -> np.ndarray:
        """As `cut`, from an image (H, W, 3) uint8 RGB that is in memory at its full size."""
        return self._warp({1: image}, 1, rows)

    def _warp(self, images: dict[int, np.ndarray], decoded: int, rows) -> np.ndarray:
        """`images` by how far they are reduced; there is one to start with, reduced by `decoded`."""
        crops = np.empty((len(rows), 3, self.size[1], self.size[0]), dtype=np.uint8)
        for crop, row in zip(crops, rows):
            reduction = int(self._reduction[row])
            if reduction not in images:
                images[reduction] = shrink(images[decoded], reduction // decoded)
            matrix = self.to_image[row].astype(np.float64)
            matrix[:, 2] = (matrix[:, 2] + 0.5) / reduction - 0.5
            matrix[:, :2] /= reduction
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            crop[:] = cv2.warpAffine(images[reduction], matrix, self.size, flags=flags).transpose(2, 0, 1)
        return crops


def _reductions(scales: np.ndarray) -> np.ndarray:
    """The largest reduction of each image that keeps at least one image pixel per crop pixel; `scales` are image pixels
    per crop pixel."""
    reduction = np.ones(len(scales), dtype=np.int64)
    for step in sorted(REDUCTIONS):
        reduction[scales >= step] = step
    return reduction
