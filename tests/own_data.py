"""Small folders as users have them, each of another kind, for `semipose init`."""

import json
import shutil
from pathlib import Path

import cv2
import mouse_project
import numpy as np
from small_coco import draw

NAMES = ("nose", "left_ear", "right_ear", "tail")
WIDTH, HEIGHT = 80, 60


def points(seed: int, count: int = 4) -> list[list[float]]:
    """Inside the left half of a picture, so that two individuals fit beside each other."""
    return np.random.default_rng(seed).uniform([5, 5], [35, 50], (count, 2)).round(1).tolist()


def coco(root: Path, images: int = 20, people: int = 1, bare: int = 0, name: str = "labels.json") -> Path:
    """A COCO file and its pictures `p00.jpg`, and some more that nobody labelled."""
    sizes, annotations = {"width": WIDTH, "height": HEIGHT}, []
    for number in range(images + bare):
        draw(root / f"pictures/p{number:02d}.jpg", number)
    for number in range(images):
        for person in range(people):
            xy = np.array(points(10 * number + person)) + [40 * person, 0]
            low, high = xy.min(0), xy.max(0)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number + 1, "category_id": 1, "iscrowd": 0, "area": 500,
                    "bbox": [*low.tolist(), *(high - low).tolist()], "num_keypoints": 4,
                    "keypoints": np.column_stack([xy, np.full(4, 2)]).ravel().tolist(),
                }
            )  # fmt: skip
    pictures = [{"id": n + 1, "file_name": f"p{n:02d}.jpg"} | sizes for n in range(images)]
    category = {"id": 1, "name": "mouse", "keypoints": list(NAMES), "skeleton": [[1, 2], [1, 3], [1, 4]]}
    document = {"images": pictures, "annotations": annotations, "categories": [category]}
    (root / name).write_text(json.dumps(document))
    return root


def labelme(root: Path, labelled: int = 20, bare: int = 10, first: int = 0) -> Path:
    """Pictures `p00.png`, the first of them with a labelme file beside them, whose labels come in another order."""
    for number in range(first, first + labelled + bare):
        draw(root / f"p{number:02d}.png", 1000 + number)
    for number in range(first, first + labelled):
        shapes = [
            {"label": name, "points": [xy], "group_id": None, "description": "", "shape_type": "point", "flags": {}}
            for name, xy in zip(NAMES, points(number))
        ]
        document = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"p{number:02d}.png"}
        document |= {"imageData": None, "imageWidth": WIDTH, "imageHeight": HEIGHT}
        (root / f"p{number:02d}.json").write_text(json.dumps(document))
    return root


def moving(root: Path, number: int) -> None:
    """A frame of a video in which a square moves slowly."""
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    x = number % 50
    frame[20:40, x : x + 20] = 220
    root.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / f"img{number:04d}.png"), frame)


def deeplabcut(root: Path, animals: tuple = ()) -> Path:
    """A project of two videos, 12 frames of each labelled, four numbers apart, and frames between them that are not."""
    for video in ("v1", "v2"):
        folder = root / "labeled-data" / video
        for number in range(0, 50, 2):
            moving(folder, number)
        people = animals or ("",)
        head = [["scorer", *["me"] * 8 * len(people)]]
        head += [["individuals", *[name for name in people for _ in range(8)]]] if animals else []
        head += [
            ["bodyparts", *[name for _ in people for name in NAMES for _ in "xy"]],
            ["coords", *"xy" * 4 * len(people)],
        ]
        rows = []
        for number in range(0, 48, 4):
            xy = [
                str(x + 40 * k * axis) for k in range(len(people)) for p in points(number) for axis, x in enumerate(p)
            ]
            rows.append([f"labeled-data/{video}/img{number:04d}.png", *xy])
        mouse_project.write_csv(folder / "CollectedData_me.csv", head + rows)
    text = "scorer: me\nbodyparts:\n- nose\nskeleton:\n- [nose, tail]\n- [nose, left_ear]\n"
    (root / "config.yaml").write_text(text)
    return root


def lightning_pose(root: Path) -> Path:
    mouse_project.write_project(root, 10)
    return root


def yolo(root: Path, labelled: int = 20, bare: int = 5, validation: int = 0) -> Path:
    """Without names of keypoints; `flip_idx` has the pairs."""
    for split, start, count, more in (("train", 0, labelled, bare), ("val", 50, validation, 0)):
        for number in range(start, start + count + more):
            draw(root / f"images/{split}/p{number:02d}.jpg", number)
        for number in range(start, start + count):
            parts = [0.25, 0.5, 0.5, 1.0] + [v for x, y in points(number) for v in (x / WIDTH, y / HEIGHT, 2)]
            file = root / f"labels/{split}/p{number:02d}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(" ".join(map(str, [0, *parts])))
    splits = "train: images/train\n" + ("val: images/val\n" if validation else "val: images/train\n")
    (root / "data.yaml").write_text(f"{splits}names: [mouse]\nkpt_shape: [4, 3]\nflip_idx: [0, 2, 1, 3]\n")
    return root


def mpii(root: Path) -> Path:
    """Twelve pictures with a person each."""
    joints = [[20.0 + 2 * k, 12.0 + 2 * k] for k in range(16)]
    person = {"center": [40.0, 30.0], "scale": 0.25, "joints": joints, "joints_vis": [1] * 16}
    for number in range(12):
        draw(root / f"images/p{number:02d}.jpg", number)
    (root / "annot").mkdir()
    (root / "annot/train.json").write_text(json.dumps([person | {"image": f"p{n:02d}.jpg"} for n in range(12)]))
    return root


def aic(root: Path) -> Path:
    """Three pictures: too few to validate on."""
    joints, rows = [value for k in range(14) for value in (20 + 2 * k, 12 + 2 * k, 1)], []
    for number in range(3):
        draw(root / f"p{number}.jpg", number)
        people = {"human_annotations": {"human1": [15, 8, 65, 56]}, "keypoint_annotations": {"human1": joints}}
        rows.append({"image_id": f"p{number}"} | people)
    (root / "aic.json").write_text(json.dumps(rows))
    return root


def mixture(root: Path) -> Path:
    """A COCO file, a labelme folder, a video, and a file of predictions."""
    coco(root / "coco")
    labelme(root / "labelme", first=40)
    mouse_project.write_video(root / "day.avi", [mouse_project.picture(number) for number in range(20)])
    (root / "found.json").write_text('[{"image_id": 1, "category_id": 1, "keypoints": [1, 2, 2], "score": 0.5}]')
    return root


def coco_with_validation(root: Path) -> Path:
    coco(root / "a", name="person_keypoints_train.json")
    coco(root / "b", images=6, name="person_keypoints_val.json")
    for number in range(6):
        draw(root / f"b/pictures/p{number:02d}.jpg", 500 + number)
    return root


def pictures(root: Path) -> Path:
    for number in range(3):
        draw(root / f"p{number}.jpg", number)
    return root


def video(root: Path) -> Path:
    mouse_project.write_video(root / "day.avi", [mouse_project.picture(number) for number in range(5)])
    return root


def copy_pictures(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        shutil.copy(file, target)
