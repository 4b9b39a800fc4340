"""Drawn people: pictures of one person or of several, whose 17 COCO joints are known, as COCO folders."""

import json
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from semipose.errors import ConfigError
from semipose.prepare import drawn_scene as scene
from semipose.prepare.drawn_crowd import MOST_PEOPLE, draw_crowd
from semipose.prepare.drawn_figure import DrawnPerson, sample_figure, visible_keypoints
from semipose.prepare.drawn_folder import fill_folder
from semipose.skeletons import COCO

GENERATOR = "semipose drawn people 2"  # raise the number when the pictures change
SETS = ("labeled", "unlabeled", "val")


def _place(rng: np.random.Generator, figure: scene.Figure, size: int) -> np.ndarray:
    """Tilt the figure, scale it to 52-68 % of the picture and put it near the middle; returns its bbox xywh."""
    figure.move(scene.axes(np.clip(rng.normal(0, 25), -75, 75)), np.zeros(2))
    low, high = figure.extent()
    scale = rng.uniform(0.52, 0.68) * size / (high - low).max()
    middle = (size - 1) / 2 + np.clip(rng.normal(0, 0.035, 2), -0.1, 0.1) * size
    figure.move(scale * np.eye(2), middle - scale * (low + high) / 2)
    return np.concatenate([middle - scale * (high - low) / 2, scale * (high - low)])


def draw_person(rng: np.random.Generator, size: int = 80) -> DrawnPerson:
    """Draw a random person in a random scene of size x size pixels; the picture is a function of `rng` and `size`."""
    canvas = scene.draw_background(rng, size)
    figure, turned_away = sample_figure(rng, wear := scene.random_wardrobe(rng))
    bbox = _place(rng, figure, size)
    scene.draw_distractors(rng, canvas, size, [wear["skin"], wear["shirt"], wear["trousers"]])
    seen = figure.paint(canvas)
    scene.draw_folds(rng, canvas, seen, striped=[part != "head" for part, _, _ in figure.shapes])
    covered = scene.draw_occluders(rng, canvas, bbox)
    keypoints = visible_keypoints(figure, seen, covered, turned_away)
    low, high = np.clip([bbox[:2], bbox[:2] + bbox[2:]], 0, size - 1)
    bbox, area = np.concatenate([low, high - low]), np.count_nonzero(seen) / scene.SUPERSAMPLING**2
    return DrawnPerson(scene.photograph(rng, canvas), keypoints, bbox, area)


def write_demo_data(root, labeled=40, unlabeled=1500, val=500, size=80, seed=0, force=False, people=(1, 1)) -> bool:
    """Draw three sets of people as COCO folders: `annotations/person_keypoints_SET.json`, `images/SET/000001.png`.

    Picture i of a set is a function of (seed, set, i, size, people) only. Everything is drawn into a folder beside
    `root`, which replaces `root` when it is complete; `manifest.json` is written last.

    Args:
        labeled, unlabeled, val: number of pictures in each set.
        size: width and height of a picture in pixels.
        force: draw also when `root` already holds the same.
        people: fewest and most persons in a picture. (1, 1) is `draw_person`, everything else `draw_crowd`, whose
            persons have a `group_id` in the annotation.

    Returns:
        False if `root` was already drawn with these settings and nothing was done.

    Raises:
        ConfigError: a count, the size, the seed or the number of people is out of range.
        DataError: `root` holds something else than demo data, which is left as it is.
    """
    root = Path(root).resolve()
    counts = dict(zip(SETS, (labeled, unlabeled, val)))
    for name, value, least in (*((n, c, 1) for n, c in counts.items()), ("size", size, 32), ("seed", seed, 0)):
        if value < least:
            raise ConfigError(f"demo data: {name} is {value}, must be at least {least}")
    if not 1 <= people[0] <= people[1] <= MOST_PEOPLE:
        raise ConfigError(f"demo data: people are {people[0]} to {people[1]}, must be 1 to {MOST_PEOPLE}, fewest first")
    crowd = {} if tuple(people) == (1, 1) else {"people": list(people)}
    manifest = {"generator": GENERATOR, "seed": seed, "size": size, "counts": counts, **crowd}

    def draw(folder: Path) -> None:
        (folder / "annotations").mkdir()
        for name, count in counts.items():
            _write_set(folder, name, count, size, seed, people)

    return fill_folder(root, manifest, draw, force)


def _write_set(root: Path, name: str, count: int, size: int, seed: int, people: tuple[int, int]) -> None:
    """Draw one set. Its image ids start at 1,000,000 times the set's number, so no two sets share an id."""
    (folder := root / "images" / name).mkdir(parents=True)
    images, annotations = [], []
    for index in tqdm(range(count), desc=f"drawing {name}", unit="image", disable=None):
        persons = _draw(np.random.default_rng([seed, SETS.index(name), index]), size, people)
        image_id, file_name = 1_000_000 * (SETS.index(name) + 1) + index + 1, f"{index + 1:06d}.png"
        (folder / file_name).write_bytes(cv2.imencode(".png", persons[0].image[..., ::-1])[1].tobytes())
        images.append({"id": image_id, "file_name": file_name, "width": size, "height": size})
        for person in persons:
            row = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "iscrowd": 0}
            annotations.append(row | _labels(person))
    links = [[a + 1, b + 1] for a, b in COCO.link_indices]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": links}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (root / "annotations" / f"person_keypoints_{name}.json").write_text(json.dumps(content))


def _draw(rng: np.random.Generator, size: int, people: tuple[int, int]) -> list[DrawnPerson]:
    return [draw_person(rng, size)] if tuple(people) == (1, 1) else draw_crowd(rng, size, *people)


def _labels(person: DrawnPerson) -> dict:
    keypoints = [value for x, y, v in person.keypoints.tolist() for value in (round(x, 2), round(y, 2), int(v))]
    bbox, labeled = np.round(person.bbox, 2).tolist(), int(np.count_nonzero(person.keypoints[:, 2]))
    group = {} if person.group_id is None else {"group_id": person.group_id}
    return {"keypoints": keypoints, "num_keypoints": labeled, "bbox": bbox, "area": round(person.area, 2), **group}
