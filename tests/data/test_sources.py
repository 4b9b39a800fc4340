"""Sources: formats by path, few persons, conversion, hidden labels, detections and groups; read as a run reads them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused

from semipose import assemble
from semipose.assemble.sources_and_sets import source_entries
from semipose.config import load_config
from semipose.config.source_keys import convert_sources
from semipose.data.source_format import guess_format
from semipose.errors import ConfigError, DataError
from semipose.prepare.drawn_people import write_demo_data

TRAIN = "annotations/person_keypoints_labeled.json"
PEOPLE = 8


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Drawn people; those with an even row are of group 1, the others of group 2; and three subsets of keypoints."""
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=PEOPLE, unlabeled=6, val=2, size=64, seed=0)
    document = json.loads((root / TRAIN).read_text())
    for row, person in enumerate(document["annotations"]):
        person["group_id"] = 1 + row % 2
    (root / "grouped.json").write_text(json.dumps(document))
    mapping = {str(person["id"]): person.pop("group_id") for person in document["annotations"]}
    (root / "groups.json").write_text(json.dumps(mapping))
    for person in document["annotations"]:
        person["keypoints"] = person["keypoints"][-6:]  # the ankles
    document["categories"][0]["keypoints"] = ["left_ankle", "right_ankle"]
    (root / "ankles.json").write_text(json.dumps(document))
    (root / "ankles.yaml").write_text("keypoints: [left_ankle, right_ankle]\nsigmas: 0.1\n")
    (root / "feet.yaml").write_text("keypoints: [foot, other_foot]\nsigmas: 0.1\n")
    boxes = [{"image_id": image["id"], "category_id": 1, "bbox": [5, 5, 40, 50], "score": 0.5 + 0.1 * (n % 3)}
             for n, image in enumerate(document["images"])]  # fmt: skip
    (root / "boxes.json").write_text(json.dumps(boxes))
    return root


@pytest.fixture
def config(root):
    """A function from sources, as on the command line, to a configuration."""

    def run(train: str = "labeled", pool: str = "unlabeled", algorithm: str = "mean_teacher", **keys):
        pairs = ["DATASET.ROOT", str(root), "ALGORITHM", algorithm, "TRAIN.BATCH_SIZE", "4", "GPUS", "cpu"]
        pairs += ["DATASET.CACHE", "none", "DATASET.TRAIN_SET", train, "DATASET.TRAIN_UNSUP_SET", pool]
        return load_config(
            "experiments/demo/mean_teacher.yaml", pairs=[*pairs, *(str(x) for kv in keys.items() for x in kv)]
        )

    return run


def labeled(config) -> object:
    return assemble.build_data(config).labeled


def grouped(weights: str, mapping: bool = False) -> str:
    file = (
        f"{TRAIN}, images: images/labeled, group_id_mapping_file: groups.json"
        if mapping
        else "grouped.json, images: images/labeled"
    )
    return f"{{annotation: {file}, group_id_weight: {weights}}}"


@pytest.mark.parametrize(
    ("path", "pool", "expected"),
    [
        ("a/set.json", False, "coco"), ("train2017", True, "coco"), ("clip.MP4", True, "video"),
        ("CollectedData.csv", False, "lightning_pose"), ("joints.mat", False, "lsp"), ("annot/mpii.mat", False, "mpii"),
        ("images/labeled", True, "images"), ("labeled", True, "coco"),
    ],
)  # fmt: skip
def test_formats_are_seen_from_the_path(root, path, pool, expected):
    assert guess_format(str(root), path, pool) == expected


def test_unknown_format_and_what_has_no_labels_are_refused(config):
    with pytest.raises(ConfigError, match="'set'.*'voc'"):
        labeled(config("{annotation: set.json, format: voc}"))
    with pytest.raises(ConfigError, match="'labeled'.*'images'"):
        labeled(config("{annotation: images/labeled, format: images}"))
    with pytest.raises(ConfigError, match="boxes: detections have no keypoints"):
        labeled(config("{annotation: labeled, boxes: boxes.json}"))


def test_start_and_length_choose_persons(config):
    everyone = labeled(config()).ids.tolist()
    assert labeled(config("{annotation: labeled, start: 2, length: 3}")).ids.tolist() == everyone[2:5]
    assert labeled(config("{annotation: labeled, start: 6}")).ids.tolist() == everyone[6:]
    with pytest.raises(ConfigError, match=f"3.*{PEOPLE}"):
        labeled(config("{annotation: labeled, start: 6, length: 3}"))
    with pytest.raises(ConfigError, match="TRAIN_LEN.*TRAIN_SET"):
        labeled(config("[labeled, ankles.json]", **{"DATASET.TRAIN_LEN": 2}))


def test_persons_are_taken_image_by_image(root, config):
    """As the published loaders do; the annotations here are in the opposite order of the images."""
    document = json.loads((root / TRAIN).read_text())
    document["annotations"].reverse()
    (root / "reversed.json").write_text(json.dumps(document))
    first = labeled(config("{annotation: reversed.json, images: images/labeled}", **{"DATASET.TRAIN_LEN": 3}))
    assert first.ids.tolist() == labeled(config(**{"DATASET.TRAIN_LEN": 3})).ids.tolist()


def test_other_skeletons_are_converted_by_name_or_by_pairs(root, config):
    own, part = labeled(config()), f"annotation: ankles.json, images: images/labeled, skeleton: {root}/"
    by_name = labeled(config(f"{{{part}ankles.yaml}}"))
    np.testing.assert_array_equal(by_name.keypoints[:, 15:], own.take(np.isin(own.ids, by_name.ids)).keypoints[:, 15:])
    assert not by_name.keypoints[:, :15].any()
    pairs = labeled(config(f"{{{part}ankles.yaml, keypoint_pairs: [[0, right_ankle], [[0, 1], nose]]}}"))
    np.testing.assert_array_equal(pairs.keypoints[:, 16], by_name.keypoints[:, 15])
    both = by_name.keypoints[:, 15:, 2].all(axis=1)
    middle = by_name.keypoints[both, 15:, :2].mean(axis=1)
    np.testing.assert_allclose(pairs.keypoints[both, 0, :2], middle, rtol=1e-6)


def test_sources_of_a_side_follow_each_other(root, config):
    part = f"{{name: feet, annotation: ankles.json, images: images/labeled, skeleton: {root}/ankles.yaml, length: 3}}"
    data = assemble.build_data(config(f"[{{annotation: labeled, length: 4}}, {part}]"))
    assert len(data.labeled) == 7 and data.labeled_mix.lengths == (4, 3)
    assert data.labeled.keypoints[4:, 15:, 2].any() and not data.labeled.keypoints[4:, :15].any()


def test_shares_are_kept_in_every_batch(config):
    train = "[{annotation: labeled, length: 6, source_ratio: 3}, {annotation: labeled, start: 6, source_ratio: 1}]"
    settings = config(train, **{"TRAIN.STEPS_PER_EPOCH": 5})
    loader = assemble.build_pair_loader(settings, assemble.build_data(settings))
    for batch in loader.batches(0):
        assert sorted((batch.labeled.index >= 6).tolist()) == [False, False, False, True]


def test_a_pool_serves_by_its_boxes_whatever_its_keypoints_are(root, config):
    for skeleton in ("ankles", "feet"):
        pool = f"{{annotation: ankles.json, images: images/labeled, skeleton: {root}/{skeleton}.yaml}}"
        data = assemble.build_data(config(pool=pool))
        assert len(data.unlabeled) == PEOPLE and data.unlabeled.keypoints.shape[1:] == (17, 3)
        assert data.unlabeled.keypoints.any() == (skeleton == "ankles")


def test_detections_as_pool(config):
    pool = "{annotation: ankles.json, images: images/labeled, boxes: boxes.json, box_threshold: 0.55}"
    data = assemble.build_data(config(pool=pool))
    assert 0 < len(data.unlabeled) < PEOPLE and not data.unlabeled.keypoints.any()
    assert data.unlabeled.boxes.tolist() == [[5, 5, 40, 50]] * len(data.unlabeled)


@pytest.mark.parametrize("mapping", [False, True])
def test_weights_of_groups(config, mapping):
    persons = labeled(config(grouped("{1: 2.0, 2: 0}", mapping)))
    assert persons.group_ids.tolist() == [1, 2] * (PEOPLE // 2)
    assert persons.weights.tolist() == [2, 0] * (PEOPLE // 2)
    assert labeled(config(grouped("{}", mapping))).weights.tolist() == [1] * PEOPLE


def batch_and_loss(settings):
    """The first labelled batch of a supervised run, its rows' groups, and the loss of the first step."""
    data = assemble.build_data(settings)
    batch = next(assemble.build_pair_loader(settings, data).batches(0))
    torch.manual_seed(0)
    algorithm = assemble.build_algorithm(settings)
    groups = torch.from_numpy(data.labeled.group_ids)[batch.labeled.index]
    return batch.labeled, groups, algorithm(batch, 0, "all").loss.item()


def test_a_factor_of_one_changes_no_bit_and_a_factor_of_two_doubles_the_terms_of_its_group(config):
    run = {weights: batch_and_loss(config(grouped(weights), algorithm="supervised"))
           for weights in ("{}", "{1: 1.0, 2: 1.0}", "{1: 2.0}", "{2: 0.0}")}  # fmt: skip
    plain, groups, loss = run["{}"]
    assert set(groups.tolist()) == {1, 2}
    assert torch.equal(plain.weights, run["{1: 1.0, 2: 1.0}"][0].weights) and run["{1: 1.0, 2: 1.0}"][2] == loss
    double = run["{1: 2.0}"][0].weights
    assert torch.equal(double, plain.weights * torch.where(groups == 1, 2.0, 1.0)[:, None])
    only_first = run["{2: 0.0}"][2]
    assert 0 < only_first < loss
    assert run["{1: 2.0}"][2] == pytest.approx(loss + only_first, rel=1e-6)


def test_an_empty_source_among_several_is_named(root, config):
    document = json.loads((root / TRAIN).read_text()) | {"annotations": []}
    (root / "empty.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="'empty'"):
        assemble.build_data(config("[labeled, {annotation: empty.json, images: images/labeled}]"))


def test_sets_without_a_source_are_refused(config):
    settings = config().clone()
    settings.defrost()
    settings.DATASET.TRAIN_SET = convert_sources("[]", "DATASET.TRAIN_SET", "test")
    with pytest.raises(ConfigError, match="DATASET.TRAIN_SET"):
        assemble.build_data(settings)


def test_skeleton_files_may_lie_below_the_root(root, config):
    source = "{annotation: ankles.json, images: images/labeled, skeleton: ankles.yaml}"
    assert labeled(config(source)).keypoints[:, 15:, 2].any()
    own = config(source, **{"DATASET.SKELETON": "ankles.yaml"})
    assert f"{root}/ankles.yaml" == own.DATASET.SKELETON


def test_images_beside_the_annotations_of_a_subfolder(root, config):
    """data/coco/annotations/person_keypoints_train2017.json and data/coco/images/train2017 below the root data."""
    above = load_config("experiments/demo/supervised.yaml", pairs=["DATASET.ROOT", str(root.parent)])
    above = above.clone()
    above.defrost()
    for key, name in (("TRAIN_SET", "labeled"), ("TEST_SET", "val")):
        above.DATASET[key] = f"{root.name}/annotations/person_keypoints_{name}.json"
    assert len(assemble.build_data(above).labeled) == PEOPLE


def test_image_folders_that_do_not_exist_are_refused(config):
    with pytest.raises(DataError, match="nowhere: image folder"):
        labeled(config("{annotation: joints.mat, format: lsp, images: nowhere}"))


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", "/abs"])
def test_names_of_sources_can_be_those_of_files(name):
    with pytest.raises(ConfigError, match="a name that can be that of a file"):
        convert_sources([{"annotation": "a", "name": name}], "DATASET.TEST_SET", "test")


@pytest.mark.parametrize(
    ("exclude", "out"),
    [
        (["{1}"], [1]), (["unlabeled/{0}", "*{2}"], [0, 2]), (["some.txt"], [1, 3]), (["some.txt", "{5}"], [1, 3, 5]),
        (["nothing.png"], "'nothing.png' fits none of its 6"), (["gone.txt"], "gone.txt: cannot be read"),
        (["unlabeled/*"], "leaves none"),
    ],
)  # fmt: skip
def test_images_that_a_source_leaves_out(root, config, exclude, out):
    names = sorted(path.name for path in (root / "images/unlabeled").iterdir())
    (root / "some.txt").write_text(f"# seen before\n{names[1]}\nunlabeled/{names[3]}\nelsewhere.png\n")
    pool = {"annotation": "images/unlabeled", "exclude": [pattern.format(*names) for pattern in exclude]}
    if isinstance(out, str):
        with pytest.raises(DataError, match=out):
            assemble.build_data(config(pool=json.dumps(pool)))
        return
    kept = assemble.build_data(config(pool=json.dumps(pool))).unlabeled
    left = [name for row, name in enumerate(names) if row not in out]
    assert [Path(kept.path(row)).name for row in range(len(kept))] == left


def test_links_that_the_configuration_allows(root, config, tmp_path):
    folder = tmp_path / "linked"
    folder.mkdir()
    for path in (root / "images/labeled").iterdir():
        (folder / path.name).symlink_to(path)
    source = f"{{annotation: {TRAIN}, images: {folder}}}"
    with pytest.raises(DataError, match="link.*DATASET.LINKS"):
        assemble.build_data(config(source))
    assert len(labeled(config(source, **{"DATASET.LINKS": "[images]"}))) == PEOPLE  # relative to the root


def test_what_validation_leaves_out_is_not_scored(root, config):
    document = json.loads((root / "annotations/person_keypoints_val.json").read_text())
    name = document["images"][0]["file_name"]
    settings = config().clone()
    settings.defrost()
    settings.DATASET.TEST_SET = convert_sources(f"{{annotation: val, exclude: ['{name}']}}", "DATASET.TEST_SET", "test")
    persons = assemble.read_validation(settings)
    truth = assemble.build_validator(settings, persons).sets["val"].labels.ground_truth
    assert len(persons["val"]) == len(truth.dataset["annotations"]) == len(document["annotations"]) - 1


def write_yolo(root: Path) -> None:
    """The drawn people as a YOLO data set: half of them for training, half for validation."""
    document = json.loads((root / TRAIN).read_text())
    for number, image in enumerate(document["images"]):
        split, stem = ("train", "val")[number % 2], Path(image["file_name"]).stem
        for kind in ("images", "labels"):
            (root / f"yolo/{kind}/{split}").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(
            root / "images/labeled" / image["file_name"], root / f"yolo/images/{split}/{image['file_name']}"
        )
        width, height, lines = image["width"], image["height"], []
        for person in (person for person in document["annotations"] if person["image_id"] == image["id"]):
            x, y, w, h = person["bbox"]
            points = np.reshape(person["keypoints"], (-1, 3)) / [width, height, 1]
            box = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
            lines.append(" ".join(map(str, [0, *box, *points.ravel()])))
        (root / f"yolo/labels/{split}/{stem}.txt").write_text("\n".join(lines))
    (root / "yolo/data.yaml").write_text("train: images/train\nval: images/val\nkpt_shape: [17, 3]\nnames: [person]\n")


def test_yolo_on_all_three_sides(root, config):
    write_yolo(root)
    data = assemble.build_data(config("yolo", "yolo/data.yaml", **{"DATASET.TEST_SET": "yolo"}))
    coco = labeled(config())
    assert len(data.labeled) == len(data.unlabeled) == len(data.validation["yolo"]) == PEOPLE // 2
    rows = [number for number in range(PEOPLE) if coco.image_index[number] % 2 == 0]
    np.testing.assert_allclose(data.labeled.keypoints, coco.take(rows).keypoints, atol=1e-3)
    np.testing.assert_array_equal(data.unlabeled.keypoints, data.labeled.keypoints)  # hidden labels
    np.testing.assert_allclose(data.labeled.boxes, coco.take(rows).boxes, atol=1e-3)
    other = labeled(config("{annotation: yolo/data.yaml, split: val}", "labeled", **{"DATASET.TEST_SET": "val"}))
    np.testing.assert_array_equal(other.keypoints, data.validation["yolo"].keypoints)


def test_a_skeleton_that_is_a_part_of_the_labels(root, config):
    shapes = [{"label": name, "points": [[9, 9 + n]], "shape_type": "point"} for n, name in enumerate(("nose", "hat"))]
    file = root / "hats/a.json"
    file.parent.mkdir(exist_ok=True)
    shutil.copyfile(next((root / "images/unlabeled").iterdir()), file.parent / "a.jpg")
    shapes.append({"label": "left_eye", "points": [[20, 30]], "shape_type": "point"})
    file.write_text(json.dumps({"shapes": shapes, "imagePath": "a.jpg"}))
    refused(lambda: labeled(config("hats")), "'hat'", "ignore_unknown")
    assert labeled(config("{annotation: hats, ignore_unknown: true}")).keypoints[0, :, 2].sum() == 2


def test_a_project_as_the_root_has_its_name(root, config):
    assert source_entries(config("{annotation: ., format: labelme}"), "TRAIN_SET")[0]["name"] == root.name
