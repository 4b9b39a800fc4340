"""Three persons on two images for each set of a configuration, in the layout that the experiments expect."""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.io import savemat

from semipose.data.source_format import guess_format
from semipose.skeletons import get_skeleton


def write_images(folder: Path, name: str) -> list[dict]:
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(sum(name.encode()))
    for number in (1, 2):
        Image.fromarray(noise.integers(0, 256, (64, 96, 3), np.uint8)).save(folder / f"{name}{number}.jpg")
    return [{"id": n, "file_name": f"{name}{n}.jpg", "width": 96, "height": 64} for n in (1, 2)]


def write_persons(file: Path, images: list[dict], keypoints: tuple[str, ...]) -> None:
    joints = [value for k in range(len(keypoints)) for value in (20 + 2 * k, 12 + 2 * k, 2)]
    person = {"category_id": 1, "iscrowd": 0, "bbox": [15, 8, 50, 48], "area": 1200, "keypoints": joints}
    annotations = [{**person, "id": n, "image_id": 1 + n % 2} for n in (1, 2, 3)]
    categories = [{"id": 1, "name": "person", "keypoints": list(keypoints)}]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def write_set(root: Path, name: str, keypoints: tuple[str, ...]) -> None:
    write_persons(
        root / f"annotations/person_keypoints_{name}.json", write_images(root / "images" / name, name), keypoints
    )


def write_pool(root: Path, entry: dict) -> None:
    """An image list and a detector's boxes, as of WILD."""
    folder = root / entry["images"]
    (root / entry["annotation"]).parent.mkdir(parents=True, exist_ok=True)
    (root / entry["annotation"]).write_text(json.dumps({"images": write_images(folder, folder.name)}))
    box = {"category_id": 1, "bbox": [10.5, 8, 40, 50], "score": 0.9}
    (root / entry["boxes"]).parent.mkdir(parents=True, exist_ok=True)
    (root / entry["boxes"]).write_text(json.dumps([{**box, "image_id": 1 + n % 2} for n in (1, 2, 3)]))


def write_coco(root: Path, entry: dict) -> None:
    if "boxes" in entry:
        return write_pool(root, entry)
    file = root / entry["annotation"]
    name = file.stem.removeprefix("person_keypoints_")
    images = write_images(file.parents[1] / "images" / name, name)
    write_persons(file, images, get_skeleton(entry["skeleton"]).keypoints)
    if "group_id_mapping_file" in entry:
        (root / entry["group_id_mapping_file"]).write_text(json.dumps({"1": 1, "2": 0, "3": 1}))


def write_aic(root: Path, entry: dict) -> None:
    """AIC's own format."""
    images = write_images(root / entry["images"], Path(entry["annotation"]).stem)
    joints = [value for k in range(14) for value in (20 + 2 * k, 12 + 2 * k, 1)]
    names = [image["file_name"].removesuffix(".jpg") for image in images]
    humans = [["human1", "human2"], ["human1"]]
    rows = [
        {
            "image_id": name, "human_annotations": {human: [15, 8, 65, 56] for human in people},
            "keypoint_annotations": dict.fromkeys(people, joints),
        }
        for name, people in zip(names, humans)
    ]  # fmt: skip
    (root / entry["annotation"]).write_text(json.dumps(rows))


def write_mpii(root: Path, entry: dict) -> None:
    images = write_images(root / entry["images"], Path(entry["annotation"]).stem)
    joints = [[20.0 + 2 * k, 12.0 + 2 * k] for k in range(16)]
    person = {"center": [40.0, 30.0], "scale": 0.25, "joints": joints, "joints_vis": [1] * 16}
    (root / entry["annotation"]).parent.mkdir(parents=True, exist_ok=True)
    rows = [person | {"image": images[n % 2]["file_name"]} for n in (1, 2, 3)]
    (root / entry["annotation"]).write_text(json.dumps(rows))
    if "head_boxes" in entry:
        corners = np.array([[10.0, 10.0], [18.0, 18.0]])[:, :, None].repeat(3, 2)
        savemat(root / entry["head_boxes"], {"headboxes_src": corners})


def write_video(root: Path, entry: dict) -> None:
    (root / entry["annotation"]).parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(root / entry["annotation"]), cv2.VideoWriter_fourcc(*"mp4v"), 10, (96, 64))
    for level in range(21):
        writer.write(np.full((64, 96, 3), 10 * level, np.uint8))
    writer.release()


def write_csv(root: Path, entry: dict) -> None:
    """52 frames to learn from and 3 to validate on."""
    parts = get_skeleton("mirror_mouse").keypoints
    header = [["scorer"] + ["me"] * 34, ["bodyparts"] + [p for p in parts for _ in "xy"], ["coords"] + ["x", "y"] * 17]
    root.mkdir(parents=True, exist_ok=True)
    for number in range(55):
        Image.fromarray(np.full((64, 96, 3), number, np.uint8)).save(root / f"{number:02d}.png")
    rows = [[f"{number:02d}.png"] + [str(10 + k) for k in range(34)] for number in range(55)]
    (root / entry["annotation"]).write_text("\n".join(map(",".join, header + rows)))


WRITERS = {"lightning_pose": write_csv, "coco": write_coco, "aic": write_aic, "mpii": write_mpii, "video": write_video}


def write_sets(root: Path, data) -> None:
    """Write all sets of `data`, the DATASET section of a configuration."""
    for sets in (data.TRAIN_SET, data.TEST_SET, data.TRAIN_UNSUP_SET):
        for entry in [sets] if isinstance(sets, str) else sets:
            if isinstance(entry, str):
                write_set(root, entry, get_skeleton(data.SKELETON).keypoints)
            else:
                entry = {"skeleton": data.SKELETON} | entry
                WRITERS[entry.get("format") or guess_format("", entry["annotation"], pool=False)](root, entry)
