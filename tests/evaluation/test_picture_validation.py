"""Validation of whole pictures: what is found in them is scored without boxes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_crowds import PLACES, WIDE, Knows, crowd_config, write_crowds

from semipose import assemble
from semipose.data.loaders import Workers, evaluation_loader
from semipose.errors import ConfigError
from semipose.evaluation import validation
from semipose.evaluation.network_outputs import resized_views
from semipose.skeletons import COCO
from semipose.views.view import View

PEOPLE = sum(map(len, PLACES.values()))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_crowds(tmp_path_factory.mktemp("crowds"))


def make(root, *pairs):
    config = crowd_config(root, *pairs)
    return config, assemble.build_validator(config, assemble.read_validation(config))


def only(validator):
    (entry,) = validator.sets.values()
    return entry


def test_perfect_maps_score_one(root):
    config, validator = make(root, "TEST.METRICS", "[oks,pck]", "TEST.PIXELS", "2")
    metrics = validator({"student": Knows(config)}, ("student",))
    assert metrics["AP"] == metrics["AP_student"] == pytest.approx(1.0)
    assert metrics["AP_group_0"] == metrics["AP_group_1"] == pytest.approx(1.0)
    assert metrics["PCK"] == metrics["found"] == metrics["PCK_px"] == 1 and metrics["EPE"] < 0.5


def test_predictions_are_those_of_the_persons_in_image_pixels(root):
    config, validator = make(root)
    rows, people = validator.predict(only(validator), {"student": Knows(config)}, ("student",))["student"]
    persons = assemble.read_validation(config)["val"]
    assert rows.tolist() == [0, 1, 1, 1, 3, 3] and people.image_ids.tolist() == [1, 2, 2, 2, 4, 4]
    np.testing.assert_allclose(people.box_scores, people.keypoint_scores.mean(1))
    for own in persons.keypoints:
        assert np.linalg.norm(people.keypoints - own[:, :2], axis=-1).max(1).min() < 0.5


def test_nobody_found_scores_nothing(root):
    config, validator = make(root, "TEST.PIXELS", "2")
    rows, people = validator.predict(only(validator), {"one": Knows(config, blind=True)}, ("one",))["one"]
    assert len(rows) == len(people) == 0
    metrics = validator.score(only(validator), rows, people)
    assert metrics["AP"] == metrics["PCK"] == metrics["found"] == metrics["PCK_px"] == 0 and metrics["EPE"] == -1


def test_each_network_and_the_mean_of_their_maps_are_scored(root):
    config, validator = make(root)
    networks = {"first": Knows(config), "second": Knows(config, shift=9.0), "third": Knows(config)}
    metrics = validator(networks, ("first", "third"))
    assert metrics["AP_first"] == metrics["AP_ensemble"] == metrics["AP"] == pytest.approx(1.0)
    assert metrics["AP_second"] < 0.8


def test_the_flip_test_turns_maps_back(root):
    class Mirrors(Knows):
        def forward(self, images):
            try:
                return super().forward(images)
            except AssertionError:
                return self.codec.unmirror(super().forward(images.flip(-1)), validator.flip_order)

    config, validator = make(root, "TEST.FLIP_TEST", "true")
    assert validator({"one": Mirrors(config)}, ("one",))["AP"] == pytest.approx(1.0)


def test_parts_of_two_ranks_are_joined_in_order(root, monkeypatch):
    config, whole = make(root)
    expected, parts = whole({"one": Knows(config)}, ("one",)), []
    for rank in (1, 0):
        _, validator = make(root)
        entry = only(validator)
        loader = evaluation_loader(entry.dataset, 1, Workers(rank=rank, ranks=2))
        validator.sets = {"val": replace(entry, loader=loader)}
        for name, answer in {"rank": rank, "ranks": 2}.items():
            monkeypatch.setattr(validation, name, lambda answer=answer: answer)
        monkeypatch.setattr(validation, "gather", lambda part: parts.append(part) or parts[::-1])
        rows, people = validator.predict(only(validator), {"one": Knows(config)}, ("one",))["one"]
    monkeypatch.undo()
    assert rows.tolist() == [0, 1, 1, 1, 3, 3]
    assert whole.score(only(whole), rows, people).items() <= expected.items()


def test_a_picture_that_cannot_be_read_costs_its_persons(root, tmp_path):
    write_crowds(tmp_path)
    (tmp_path / "images/val/002.png").write_bytes(b"nothing")
    config, validator = make(tmp_path)
    metrics = validator({"one": Knows(crowd_config(root))}, ("one",))
    assert metrics["found"] == pytest.approx(1 - 3 / PEOPLE) and metrics["AP"] < 0.7


def without_labels(folder, number):
    """The small set in which one person has a box only; the document and that person's keypoints (17, 2)."""
    write_crowds(folder)
    file = folder / "annotations/person_keypoints_val.json"
    document = json.loads(file.read_text())
    (person,) = (row for row in document["annotations"] if row["id"] == number)
    keypoints = np.reshape(person["keypoints"], (17, 3))[:, :2]
    person |= {"keypoints": [0] * 51, "num_keypoints": 0}
    file.write_text(json.dumps(document))
    return document, keypoints


def as_labelme(folder, document):
    for image in document["images"]:
        shapes = []
        for row in (row for row in document["annotations"] if row["image_id"] == image["id"]):
            x, y, width, height = row["bbox"]
            places = [("person", "rectangle", [[x, y], [x + width, y + height]])]
            for name, point in zip(COCO.keypoints, np.reshape(row["keypoints"], (17, 3)).tolist()):
                places += [(name, "point", [point[:2]])] if point[2] else []
            shapes += [{"label": n, "shape_type": t, "points": p, "group_id": row["id"]} for n, t, p in places]
        told = {"imagePath": image["file_name"], "imageHeight": WIDE[1], "imageWidth": WIDE[0], "shapes": shapes}
        (folder / f"images/val/{image['id']:03d}.json").write_text(json.dumps(told))
    return "[{name: val, annotation: images/val, format: labelme}]"


@pytest.mark.parametrize("kind", ["coco", "part of a coco file", "labelme"])
def test_who_is_found_and_has_no_labels_is_neither_right_nor_wrong(root, tmp_path, kind):
    (document, unlabelled), pairs = without_labels(tmp_path, 21), ()
    if kind == "labelme":
        pairs = "DATASET.TEST_SET", as_labelme(tmp_path, document)
    elif kind != "coco":
        pairs = "DATASET.TEST_SET", "[{name: val, annotation: val, start: 1, length: 2}]"
    _, validator = make(tmp_path, *pairs)
    rows, people = validator.predict(only(validator), {"one": Knows(crowd_config(root))}, ("one",))["one"]
    labels, found = only(validator).labels, len(people)
    assert found == {"coco": PEOPLE, "labelme": PEOPLE}.get(kind, 5) and len(labels.persons) == found - 1
    surest = np.linalg.norm(people.keypoints - unlabelled, axis=-1).max(1) < 1
    people = replace(people, box_scores=people.box_scores + surest)
    assert surest.sum() == 1 and validator.score(only(validator), rows, people)["AP"] == pytest.approx(1.0)


class Everywhere(Knows):
    """Knows the pictures at any size."""

    def forward(self, images):
        self.sizes = [*getattr(self, "sizes", []), tuple(images.shape[:1:-1])]
        size = images.shape[-2:]
        small = torch.nn.functional.interpolate(images, (128, 128), mode="bilinear", antialias=True)
        away = (self.images[None] - small[:, None]).abs().flatten(2).mean(-1)
        scale = size[0] / 128
        maps = torch.nn.functional.interpolate(
            self.maps[away.argmin(1)], [side // 4 for side in size], mode="bilinear", antialias=True
        )
        heat, offsets = maps.split([18, 34], 1)
        return torch.cat([heat, offsets * scale], 1)


def test_several_scales_find_each_person_once(root):
    config, validator = make(root, "TEST.SCALES", "[0.75,1,2]")
    network = Everywhere(config)
    rows, people = validator.predict(only(validator), {"one": network}, ("one",))["one"]
    assert set(network.sizes) == {(96, 96), (128, 128), (256, 256)} and len(people) == PEOPLE
    assert validator.score(only(validator), rows, people)["AP"] > 0.9


def test_another_size_alone_finds_them_in_the_same_places(root):
    found = []
    for sizes in ("[2]", "[1,2]"):
        config, validator = make(root, "TEST.SCALES", sizes)
        rows, people = validator.predict(only(validator), {"one": Everywhere(config)}, ("one",))["one"]
        found.append(validator.score(only(validator), rows, people)["AP"])
    assert found[0] > 0.9 and found[0] == pytest.approx(found[1], abs=0.05)


def test_scales_are_multiples_of_what_the_networks_take(root):
    network = assemble.build_network(crowd_config(root))
    view = View(torch.rand(1, 3, 64, 128), torch.eye(2, 3)[None], torch.zeros(1, dtype=torch.bool), torch.arange(17))
    first, second, third = resized_views(view, (1, 0.6, 1.3), [network])
    step = network.backbone.size_multiple
    assert first is view and second.images.shape[2:] == (round(38.4 / step) * step, round(76.8 / step) * step)
    assert network(third.images).shape[2:] == tuple(side // 4 for side in third.images.shape[2:])


@pytest.mark.parametrize("pairs", [("TEST.SCALES", "[]"), ("TEST.SCALES", "[1,2]", "MODEL.CODEC", "udp")])
def test_scales_that_are_refused(root, pairs):
    with pytest.raises(ConfigError, match="TEST.SCALES"):
        make(root, *pairs)
