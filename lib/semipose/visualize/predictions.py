"""Predicted persons on their images, beside the labels: what `valid.py --show-dir` writes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semipose.data.archives import image_name
from semipose.data.images import read_image, write_png
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons
from semipose.visualize.contact_sheet import SheetEntry, write_contact_sheet
from semipose.visualize.overlay import draw_instances
from semipose.visualize.panels import join_panels
from semipose.visualize.text import add_legend

_LEAD = "Labels on the left where there are any, predictions on the right; the fainter, the less certain."


@dataclass(frozen=True)
class ShowOptions:
    """What is drawn of predictions: keypoints from `min_score` on, and `boxes` of the persons if they are wanted."""

    min_score: float = 0.0
    boxes: bool = False


def write_pictures(
    folder: Path, persons: Persons, rows: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, skeleton: Skeleton,
    labels: tuple[np.ndarray, Skeleton], on_fault: Callable[[str], None] = lambda line: None,
    options: ShowOptions = ShowOptions(),
) -> int:  # fmt: skip
    """Writes a PNG for each image with a prediction, and index.html with all of them.

    Labels are on the left where the image has some, predictions on the right. Files are named by the image id and the
    name of the image.

    Args:
        persons: gives the images and boxes.
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
        SemiposeError: index.html cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, entries, faults = persons.image_index[rows], [], []
    for image in np.unique(images).tolist():
        try:
            picture = read_image(str(persons.image_paths[image]), reading=persons.reading(image))
        except DataError as error:
            faults.append(str(error))
            on_fault(str(error))
            continue
        shown, truth = images == image, labels[0][persons.image_index == image]
        boxes = persons.boxes[rows[shown]] if options.boxes else None
        panels = _draw_labels(picture, truth, labels[1])
        panels["predictions"] = draw_instances(
            picture, keypoints[shown], scores[shown], skeleton, boxes, min_score=options.min_score
        )
        facts = {"predicted": str(shown.sum()), "labelled": str((truth[..., 2] > 0).any(-1).sum())}
        entries.append(_write_picture(folder, persons, image, panels, skeleton, facts))
    notes = [f"left out: {fault}" for fault in faults]
    title = f"{folder.name}: {len(entries)} pictures"
    write_contact_sheet(folder / "index.html", title, _LEAD, entries, notes, [skeleton, labels[1]])
    return len(entries)


def _draw_labels(picture: np.ndarray, labels: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """The image with labels (N, K, 3) under its title; nothing without labels."""
    known = labels[..., 2:] > 0
    if not known.any():
        return {}
    return {"labels": draw_instances(picture, np.where(known, labels[..., :2], np.nan), None, skeleton)}


def _write_picture(
    folder: Path, persons: Persons, image: int, panels: dict[str, np.ndarray], skeleton: Skeleton, facts: dict[str, str]
) -> SheetEntry:
    """Panels side by side under their titles, as a file, and its entry on the page."""
    name = image_name(str(persons.image_paths[image]))
    file = f"{persons.image_ids[image]}_{os.path.splitext(name)[0]}.png"
    joined = add_legend(join_panels(list(panels.values()), list(panels), 2), skeleton)
    write_png(str(folder / file), joined)
    return SheetEntry(file, (joined.shape[1], joined.shape[0]), {"image": name} | facts)
