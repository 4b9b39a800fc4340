"""A small sound COCO set, written on the fly, to be broken."""

import json
from pathlib import Path

import cv2
import numpy as np

from semipose.config.source_keys import SOURCE
from semipose.data.sources import Source
from semipose.skeletons import COCO

SIZE = (80, 60)  # width, height


def draw(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    """A picture like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())


def person(number: int, image: int, rng: np.random.Generator) -> dict:
    x, y = rng.uniform(1, 20, 2).tolist()
    width, height = rng.uniform(20, 30, 2).tolist()
    points = np.round([x, y] + rng.uniform(0, 1, (17, 2)) * [width, height], 2)
    keypoints = np.column_stack([points, rng.integers(1, 3, 17)]).ravel().tolist()
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [x, y, width, height],
        "area": 0.6 * width * height, "num_keypoints": 17, "keypoints": keypoints,
    }  # fmt: skip


def small_coco(images: int = 12, first: int = 1, ending: str = "jpg") -> dict:
    """A document with two persons on each image; image ids from `first`, annotation ids 10 * image id + 0 or 1."""
    rng, numbers = np.random.default_rng(first), range(first, first + images)
    sizes = {"width": SIZE[0], "height": SIZE[1]}
    return {
        "images": [{"id": n, "file_name": f"{n:03d}.{ending}"} | sizes for n in numbers],
        "annotations": [person(10 * n + k, n, rng) for n in numbers for k in (0, 1)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }


def write_set(root: Path, name: str, document: dict) -> Path:
    """`annotations/person_keypoints_NAME.json` and `images/NAME/*` as the document says; returns the image folder."""
    file = root / "annotations" / f"person_keypoints_{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))
    folder = root / "images" / name
    for image in document["images"]:
        draw(folder / image["file_name"], image["id"])
    return folder


def detections() -> list[dict]:
    """Two boxes on each of the first three images."""
    boxes = [{"image_id": n, "category_id": 1, "bbox": [5, 5, 30, 40], "score": 0.9} for n in (1, 2, 3)]
    return boxes * 2


def source_of(root, name="train", **fields) -> Source:
    """A source with the defaults of the configuration."""
    defaults = {field: SOURCE[field] for field in Source.__dataclass_fields__ if field in SOURCE}
    given = {"name": name, "format": "coco", "annotation": name, "skeleton": COCO, "root": str(root), "frames": ""}
    return Source(**(defaults | given | fields))
