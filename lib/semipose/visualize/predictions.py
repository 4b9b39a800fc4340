"""Predicted persons on their images, beside the labels: what `valid.py --show-dir` writes."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from semipose.data.archives import image_name
from semipose.data.images import read_image, write_png
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons
from semipose.visualize.draw import draw_skeleton, tile


def write_pictures(
    folder: Path, persons: Persons, rows: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, skeleton: Skeleton,
    labels: tuple[np.ndarray, Skeleton], on_fault: Callable[[str], None] = lambda line: None,
) -> int:  # fmt: skip
    """Writes a PNG for each image with a prediction: labels on the left where it has some, predictions on the right.

    Files are named by the image id and the name of the image.

    Args:
        persons: gives the images.
        rows: (N,) the person of each prediction.
        keypoints: (N, K, 2) image pixels.
        scores: (N, K) in 0..1; uncertain joints are drawn fainter.
        skeleton: of the predictions.
        labels: (M, K', 3) keypoints of all `persons`, and their skeleton.
        on_fault: called with a line for each image that cannot be read.

    Returns:
        The number of pictures.

    Raises:
        OSError: a picture cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, written = persons.image_index[rows], 0
    for image in np.unique(images).tolist():
        path = str(persons.image_paths[image])
        try:
            picture = read_image(path)
        except DataError as error:
            on_fault(str(error))
            continue
        shown = np.flatnonzero(images == image)
        predicted = draw_all(picture, keypoints[shown], skeleton, scores=scores[shown])
        truth = labels[0][np.flatnonzero(persons.image_index == image)]
        panels = (
            [draw_all(picture, truth[..., :2], labels[1], visible=truth[..., 2] > 0)] if truth[..., 2].any() else []
        )
        stem = os.path.splitext(image_name(path))[0]
        write_png(str(folder / f"{persons.image_ids[image]}_{stem}.png"), tile([*panels, predicted], 2))
        written += 1
    return written


def draw_all(
    image: np.ndarray, keypoints: np.ndarray, skeleton: Skeleton, visible: np.ndarray | None = None,
    scores: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """The image (H, W, 3) with all persons (N, K, 2); `visible` and `scores` (N, K) as for `draw_skeleton`."""
    for number, points in enumerate(keypoints):
        image = draw_skeleton(
            image, points, skeleton, None if visible is None else visible[number],
            None if scores is None else scores[number],
        )  # fmt: skip
    return image
