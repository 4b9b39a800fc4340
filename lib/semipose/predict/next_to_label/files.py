"""A folder for a person who labels: pictures, labelme files with the predictions filled in, a list, and a page."""

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import numpy as np

from semipose.data.archives import read_bytes
from semipose.data.formats.corrected_labelme import as_predicted
from semipose.data.formats.folder import OVERLAY
from semipose.data.formats.labelme_shapes import UNCERTAIN
from semipose.data.images import cv2, write_png
from semipose.data.video_frames import read_video
from semipose.errors import DataError, write_error
from semipose.predict.next_to_label.labelling_round import Chosen
from semipose.predict.writers.labelme import labelme_document
from semipose.predict.writers.whole_file import whole_file
from semipose.skeletons import Skeleton
from semipose.visualize.contact_sheet import SheetEntry, write_contact_sheet, write_picture
from semipose.visualize.draw import enlarge
from semipose.visualize.overlay import draw_instances, line_width

LIST, SHEET = "chosen.csv", f"chosen{OVERLAY}"
SMALL = 320  # pixels; smaller pictures are enlarged on the page
RING = (255, 60, 160)  # around a joint to look at closely


def write_round(folder: Path, chosen: Sequence[Chosen], skeleton: Skeleton, boxes: bool) -> None:
    """NAME.png (or as the picture file is) and NAME.json for each picture, `chosen.csv`, and a page in `SHEET`.

    Args:
        boxes: draw them in the labelme files too.

    Raises:
        SemiposeError: a file cannot be written. DataError: a picture cannot be read any more.
    """
    frames, entries, names = _frames(chosen), [], _names(chosen)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, folder) from error
    for rank, (name, one) in enumerate(zip(names, chosen), start=1):
        key = one.shot.file, one.shot.frame
        image = frames[key] if key in frames else one.shot.read()
        _write_picture(folder / name, one, image)
        with whole_file((folder / name).with_suffix(".json")) as file:
            json.dump(predicted_document(one, name, boxes), file)
        entries.append(_entry(folder / SHEET, rank, one, image, skeleton))
    _write_list(folder / LIST, names, chosen)
    command = f"labelme {quote(str(folder))}"
    lead = f"Correct the predictions: {command}. Look closely at joints in a ring; faint ones have low peaks."
    title = f"{len(chosen)} pictures to label next"
    write_contact_sheet(folder / SHEET / "index.html", title, lead, entries, [], [skeleton])


def predicted_document(one: Chosen, name: str, boxes: bool) -> dict:
    """The labelme file of a picture `name`; it says that nobody has corrected it yet.

    A joint to look at closely has the description "uncertain" and a flag of that name.
    """
    document = labelme_document(one.instances, name, one.size, boxes, least=-np.inf)  # all joints: peaks may be below 0
    uncertain = {
        (one.instances.names[joint], None if len(one.instances) == 1 else int(person))
        for person, joint in np.argwhere(one.uncertain)
    }
    for shape in document["shapes"]:
        if shape["shape_type"] == "point" and (shape["label"], shape["group_id"]) in uncertain:
            shape |= {"description": UNCERTAIN, "flags": {UNCERTAIN: True}}
    return as_predicted(document)


def _names(chosen: Sequence[Chosen]) -> list[str]:
    """File names; none twice, and no two that differ by their ending only."""
    names, stems = [], set()
    for one in chosen:
        stem, ending = os.path.splitext(one.shot.name)
        ending, number, first = ending if one.shot.is_as_stored else ".png", 2, stem
        while stem.casefold() in stems:  # the end stays, which names that are held out for validation are known by
            stem, number = f"{number}_{first}", number + 1
        stems.add(stem.casefold())
        names.append(stem + ending)
    return names


def _frames(chosen: Sequence[Chosen]) -> dict[tuple[str, int], np.ndarray]:
    """The frames of videos, by video and number; each video is read once more."""
    wanted = {(one.shot.file, one.shot.frame) for one in chosen if one.shot.frame >= 0}
    found = {}
    for video in sorted({video for video, _ in wanted}):
        last = max(number for name, number in wanted if name == video)
        for number, image in zip(range(last + 1), read_video(video)):
            if (video, number) in wanted and image is not None:
                found[video, number] = image
    lost = sorted(wanted - found.keys())
    if lost:
        raise DataError(f"{lost[0][0]}: frame {lost[0][1]} cannot be read a second time")
    return found


def _write_picture(path: Path, one: Chosen, image: np.ndarray) -> None:
    """A copy of the file where labelme shows it as the network saw it; else its pixels."""
    try:
        if one.shot.is_as_stored:
            path.write_bytes(read_bytes(one.shot.file))
        else:
            write_png(str(path), image)
    except OSError as error:
        raise write_error(error, path) from error


def _entry(folder: Path, rank: int, one: Chosen, image: np.ndarray, skeleton: Skeleton) -> SheetEntry:
    """The picture with its skeletons, and why it was chosen."""
    scale = max(1, round(SMALL / max(image.shape[:2])))
    points = (one.instances.keypoints + 0.5) * scale - 0.5
    drawn = draw_instances(enlarge(image, scale), points, one.instances.scores, skeleton)
    for x, y in points[one.uncertain & np.isfinite(points).all(axis=-1)].round().astype(int).tolist():
        cv2.circle(drawn, (x, y), 3 * line_width(drawn.shape) + 2, RING, 2, cv2.LINE_AA)
    facts = {"rank": str(rank), "picture": one.shot.file}
    facts |= {"frame": str(one.shot.frame)} if one.shot.frame >= 0 else {}
    facts |= {"uncertainty": f"{one.score:.1f} times the usual", "why": "; ".join(one.reasons)}
    return write_picture(folder, f"{rank:03d}.png", drawn, facts)


def _write_list(path: Path, names: Sequence[str], chosen: Sequence[Chosen]) -> None:
    with whole_file(path) as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["rank", "picture", "file", "frame", "score", "reasons"])
        for rank, (name, one) in enumerate(zip(names, chosen), start=1):
            frame = one.shot.frame if one.shot.frame >= 0 else ""
            out.writerow([rank, name, one.shot.file, frame, f"{one.score:.3f}", "; ".join(one.reasons)])
