"""The csv of DeepLabCut and lightning-pose: x, y and likelihood of each keypoint, a line for each picture or frame."""

import csv
from pathlib import Path

import numpy as np

from semipose.predict.records import Record, Records
from semipose.predict.writers.whole_file import whole_file

_COORDS = ("x", "y", "likelihood")


def write_dlc(path: Path, records: Records, scorer: str, several: bool) -> None:
    """Three header rows (scorer, bodyparts, coords); for several animals four (individuals comes second).

    The first column is the number of the frame in its video, counted from 0, or the name of the picture. Pixels count
    from 0, in the middle of the first pixel. Cells of an animal that is not there are empty. An individual is a track
    where there are tracks, else the place in the order of the boxes.

    Raises:
        SemiposeError: the file cannot be written.
    """
    people = records.track_ids or list(range(max(1, records.most)))
    columns = [(person, name, coord) for person in people for name in records.names for coord in _COORDS]
    with whole_file(path) as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["scorer", *[scorer] * len(columns)])
        if several:
            first = 0 if records.track_ids else 1  # the number of the first one
            out.writerow(["individuals", *[f"individual{person + first}" for person, _, _ in columns]])
        out.writerow(["bodyparts", *[name for _, name, _ in columns]])
        out.writerow(["coords", *[coord for _, _, coord in columns]])
        for record in records:
            out.writerow([record.name, *_cells(record, people, bool(records.track_ids))])


def write_times(path: Path, records: Records) -> None:
    """`frame,seconds`: when each frame of a video is shown. Raises SemiposeError if it cannot be written."""
    with whole_file(path) as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["frame", "seconds"])
        for record in records:
            out.writerow([record.number, f"{record.time:.6f}"])


def _cells(record: Record, people: list[int], tracked: bool) -> list[str]:
    """x, y, likelihood of each keypoint of each of `people`, as text."""
    found = record.instances
    rows = dict(zip(found.track_ids.tolist() if tracked else range(len(found)), range(len(found))))
    cells = []
    for person in people:
        row = rows.get(person)
        if row is None or not np.isfinite(found.keypoints[row]).all():
            cells += [""] * (3 * len(found.names))
            continue
        for (x, y), score in zip(found.keypoints[row].tolist(), found.scores[row].tolist()):
            cells += [f"{x:.4f}", f"{y:.4f}", f"{score:.4f}"]
    return cells
