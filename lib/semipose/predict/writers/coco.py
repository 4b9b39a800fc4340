"""A COCO keypoint file: images, categories with keypoint names, and what was found as annotations with a score."""

import json
from pathlib import Path

import numpy as np

from semipose.predict.records import Record, Records
from semipose.predict.writers.whole_file import whole_file
from semipose.skeletons import Skeleton

_DIGITS = 4
_PERSON = {"left_shoulder", "right_shoulder"}


def write_coco(path: Path, records: Records, skeleton: Skeleton, description: str, video: str = "") -> None:
    """A file that COCO's tools and this package read; `score` of an annotation is what AP ranks by.

    `bbox` is the box that was looked at, `area` its area. The third number of a keypoint is its score, as in COCO's
    results: above 0 where it was found.

    Args:
        description: goes into `info`.
        video: file name of the video; its frames are named `video.mp4#12`, with `frame_number` and `time` in seconds.

    Raises:
        SemiposeError: the file cannot be written.
    """
    head = {"description": description, "contributor": "semipose"} | ({"video": video} if video else {})
    with whole_file(path) as file:
        file.write(f'{{"info": {json.dumps(head)},\n"categories": {json.dumps([_category(skeleton)])},\n"images": [')
        for place, record in enumerate(records):
            file.write((",\n" if place else "\n") + json.dumps(_image(record, video)))
        file.write('],\n"annotations": [')
        number = 0
        for record in records:
            for row in range(len(record.instances)):
                number += 1
                file.write((",\n" if number > 1 else "\n") + json.dumps(_annotation(record, row, number)))
        file.write("]}\n")


def _category(skeleton: Skeleton) -> dict:
    name = "person" if set(skeleton.keypoints) >= _PERSON else skeleton.name
    links = [[a + 1, b + 1] for a, b in skeleton.link_indices]  # COCO counts from 1
    return {"id": 1, "name": name, "supercategory": name, "keypoints": list(skeleton.keypoints), "skeleton": links}


def _image(record: Record, video: str) -> dict:
    name = f"{video}#{record.number}" if video else record.name
    row = {"id": record.image_id, "file_name": name, "width": record.size[0], "height": record.size[1]}
    return row | ({"frame_number": record.number, "time": round(record.time, 6)} if video else {})


def _annotation(record: Record, row: int, number: int) -> dict:
    found = record.instances
    triples = np.concatenate([found.keypoints[row], found.scores[row][:, None]], axis=1).round(_DIGITS)
    box = found.boxes[row].round(_DIGITS).tolist()
    entry = {
        "id": number, "image_id": record.image_id, "category_id": 1, "iscrowd": 0, "bbox": box,
        "area": round(box[2] * box[3], 2), "num_keypoints": int((triples[:, 2] > 0).sum()),
        "keypoints": triples.ravel().tolist(), "score": float(found.person_scores[row]),
    }  # fmt: skip
    return entry | ({} if found.track_ids is None else {"track_id": int(found.track_ids[row])})
