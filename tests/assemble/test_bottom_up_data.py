"""The data of a bottom-up run: counts are of pictures, weights are of instances."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_coco import draw, person, small_coco, write_set

from semipose.assemble import build_data, build_dataset, build_network
from semipose.assemble.check_data import check_dataset
from semipose.assemble.constraints import build_multiview
from semipose.assemble.tasks import labelled_rows
from semipose.assemble.training import build_health, build_pair_loader, say_what_is_small
from semipose.codecs import CodecSettings, find_codec
from semipose.config import load_config
from semipose.data.images import read_image
from semipose.errors import ConfigError, DataError
from semipose.structures import IGNORED


@pytest.fixture
def root(tmp_path) -> Path:
    """`train`: 4 pictures with two persons each, a fifth with a person without keypoints, an empty sixth; `val`: two
    pictures with two persons each and an empty one; a folder of three pictures; groups 1 and 2 on each picture."""
    train, val = small_coco(6), small_coco(3, first=101, ending="png")
    train["annotations"] = [row for row in train["annotations"] if row["image_id"] < 5]
    val["annotations"] = [row for row in val["annotations"] if row["image_id"] < 103]
    nobody = person(900, 5, np.random.default_rng(0)) | {"keypoints": [0] * 51, "num_keypoints": 0}
    crowd = {"id": 901, "image_id": 2, "category_id": 1, "iscrowd": 1, "bbox": [60, 40, 19, 19]}
    for row in (*train["annotations"], *val["annotations"]):
        row["group_id"] = 1 + row["id"] % 2
    train["annotations"] += [nobody, crowd | {"segmentation": {"size": [60, 80], "counts": [0, 600, 4200]}}]
    write_set(tmp_path, "train", train)
    write_set(tmp_path, "val", val)
    for number in range(3):
        draw(tmp_path / "pool" / f"{number}.png", 200 + number)
    return tmp_path


def config_of(root: Path, *pairs, algorithm="pose_dual", train="train"):
    given = {
        "ALGORITHM": algorithm, "MODEL.CODEC": "dekr", "MODEL.BACKBONE": "light_unet", "MODEL.IMAGE_SIZE": "[64,64]",
        "DATASET.ROOT": root, "DATASET.TRAIN_SET": train, "DATASET.TEST_SET": "val", "GPUS": "cpu",
        "TRAIN.BATCH_SIZE": 2, "TRAIN.BATCH_SIZE_UNSUP": 2, "WORKERS": 0,
    }  # fmt: skip
    words = [str(word) for pair in given.items() for word in pair]
    return load_config([], {}, [*words, *map(str, pairs)])


def test_counts_are_of_pictures(root):
    data = build_data(config_of(root))
    assert (data.labeled_mix.lengths, data.unlabeled_mix.lengths) == ((4,), (6,))
    report = data.report
    assert (report.labeled, report.unlabeled, report.overlap, report.validation) == (4, 6, 4, 3)
    assert report.instances == (8, 4)
    assert {path[-5:]: len(parts) for path, parts in data.regions.items()} == {"2.jpg": 1}


def test_the_record_of_a_run_names_its_pictures(root):
    config = config_of(root, "DATASET.TRAIN_LEN", 2)
    rows = labelled_rows(config, build_data(config))
    assert (
        rows["image_ids"] == [1, 2] and rows["annotation_ids"] == [10, 11, 20, 21] and rows["sources"] == [("train", 2)]
    )


def test_the_first_pictures_with_labels(root):
    data = build_data(config_of(root, "DATASET.TRAIN_LEN", 3, "DATASET.TRAIN_UNSUP_SET", "pool"))
    assert (data.labeled_mix.lengths, data.unlabeled_mix.lengths) == ((3,), (3,))
    assert data.report.labeled == 3 and len(data.labeled) == 6
    with pytest.raises(ConfigError, match="4 pictures"):
        build_data(config_of(root, "DATASET.TRAIN_LEN", 5))


def test_batches(root):
    config = config_of(root)
    loader = build_pair_loader(config, build_data(config))
    batches = list(loader.batches(0))
    assert len(batches) == 3 and sorted(i for b in batches for i in b.unlabeled.index.tolist()) == list(range(6))
    batch = batches[0].labeled
    assert batch.keypoints.shape == (2, 2, 17, 2) and batch.mask.shape == batch.images[:, 0].shape
    hidden = {int(row): mask.numpy() for b in batches for row, mask in zip(b.labeled.index, b.labeled.mask)}
    assert all(mask.all() == (row != 1) for row, mask in hidden.items())
    assert batches[0].unlabeled.mask is None and not batches[0].unlabeled.weights.any()


def test_the_codec_takes_a_batch(root):
    config = config_of(root, algorithm="supervised")
    batch = next(build_pair_loader(config, build_data(config)).batches(0)).labeled
    side = batch.images.shape[-1]
    codec = find_codec("dekr")(CodecSettings((side, side), 17, 4, 2.0))
    target, _ = codec.encode(batch.keypoints, batch.weights, batch.mask[:, None].float())
    assert target.shape[0] == 2 and target.isfinite().all()


def grouped(root: Path, factors: dict) -> list:
    return [{"annotation": "train", "group_id_weight": factors}]


def test_keypoints_that_a_source_does_not_have_are_known_to_be_unknown(root):
    mine = "name: mine\nkeypoints: [nose, left_eye, tail]\nsigmas: 0.05\nswaps: []\n"
    (root / "mine.yaml").write_text(mine)
    document = json.loads((root / "annotations/person_keypoints_train.json").read_text())
    for row in document["annotations"]:
        row["keypoints"] = row.get("keypoints", [0] * 51)[:9]
    (root / "annotations/person_keypoints_other.json").write_text(json.dumps(document))
    shutil.copytree(root / "images/train", root / "images/other")
    config = config_of(root, train="[train, {name: other, annotation: other, skeleton: mine.yaml}]")
    data = build_data(config)
    assert data.known[:, :3].tolist() == 4 * [3 * [True]] + 4 * [[True, True, False]]
    assert not data.known[4:, 2:].any() and data.known[:4].all()
    loader = build_pair_loader(config, data)
    batch = loader._loaders[0].dataset.__getitems__([0, 5])
    assert batch.known.tolist() == data.known[[0, 5]].astype(float).tolist()
    assert build_data(config_of(root)).known.all()


def test_group_weights_reach_their_instances_only(root):
    plain, weighted, none = (
        build_dataset(config, build_data(config).labeled, "replace", True)[0]
        for config in (
            config_of(root, algorithm="supervised", train=grouped(root, factors)) for factors in ({}, {1: 2.0}, {2: 0})
        )
    )
    first, second = 0, 1  # annotation 10 has group 1, annotation 11 has group 2
    assert plain.weights.unique().tolist() == [1]
    assert (weighted.weights[0, first] == 2).all() and (weighted.weights[0, second] == 1).all()
    assert (none.weights[0, second] == IGNORED).all() and (none.weights[0, first] == 1).all()


def test_groups_by_a_mapping_file(root):
    (root / "groups.json").write_text(json.dumps({"10": 7, "21": 7}))
    document = json.loads((root / "annotations/person_keypoints_train.json").read_text())
    for row in document["annotations"]:
        row.pop("group_id", None)
    (root / "annotations/person_keypoints_train.json").write_text(json.dumps(document))
    source = [{"annotation": "train", "group_id_mapping_file": "groups.json", "group_id_weight": {7: 3.0}}]
    config = config_of(root, algorithm="supervised", train=source)
    weights = build_dataset(config, build_data(config).labeled, "replace", True).__getitems__([0, 1]).weights
    assert weights[..., 0].tolist() == [[3, 1], [1, 3]]


def test_validation_has_no_group_weights(root):
    sets = [{"name": "val", "annotation": "val", "group_id_weight": {1: 3.0, 2: 0}}]
    config = config_of(root, "DATASET.TEST_SET", sets, algorithm="supervised")
    data = build_data(config)
    batch = build_dataset(config, data.validation["val"], "omit").__getitems__([0, 1, 2])
    assert batch.mask is None and len(batch) == 3
    assert (batch.weights[:2] == 1).all() and (batch.weights[2] == 0).all()


def test_boxes_are_refused(root):
    with pytest.raises(ConfigError, match="USE_GT_BBOX"):
        build_data(config_of(root, "TEST.USE_GT_BBOX", False, "TEST.COCO_BBOX_FILE", "det.json"))
    pool = [{"name": "p", "annotation": "train", "boxes": "det.json"}]
    with pytest.raises(ConfigError, match="'p': boxes"):
        build_data(config_of(root, "DATASET.TRAIN_UNSUP_SET", pool))


def test_what_is_about_single_persons(root):
    config = config_of(root, "PSEUDO.MULTIVIEW_PAIRS", "[[left_eye,right_eye]]")
    data = build_data(config)
    with pytest.raises(ConfigError, match="MULTIVIEW_PAIRS"):
        build_multiview(config, data)
    codec = find_codec("dekr")(CodecSettings((64, 64), 17, 4, 2.0))
    assert build_health(config, data, codec).hidden is None


def test_persons_too_small_for_a_root_are_counted(root, caplog):
    """The annotated persons are about 20 pixels wide on pictures of 80, which fill 64 pixels of the input."""
    config = config_of(root, algorithm="supervised")
    data = build_data(config)
    points = data.labeled.keypoints[0, :, :2]
    diagonal = np.linalg.norm(np.ptp(points, axis=0)) * 64 / 80
    for keypoints in data.labeled.keypoints[1:]:
        keypoints[1:, 2] = 0  # a single one has no size
    for smallest, count in ((diagonal - 0.01, 7), (diagonal + 0.01, 8)):
        caplog.clear()
        say_what_is_small(config, data, smallest)
        assert caplog.records[0].args[:2] == (count, 8)
    caplog.clear()
    say_what_is_small(config, data, 0)
    assert not caplog.records


def test_one_keypoint_has_no_size(root):
    (root / "one.yaml").write_text("name: one\nkeypoints: [nose]\nsigmas: 0.05\nswaps: []\n")
    with pytest.raises(ConfigError, match="two keypoints"):
        build_network(config_of(root, "DATASET.SKELETON", root / "one.yaml"))


def found(config) -> tuple[dict, list[str]]:
    checked = check_dataset(config)
    counts = {check.name: (len(set(check.paths())), check.count) for check in checked.sources}
    return counts, [f"{finding.source}: {finding.text}" for finding in checked.findings if finding.broken]


def test_check_of_a_sound_set(root):
    counts, broken = found(config_of(root, "DATASET.TRAIN_UNSUP_SET", "pool"))
    assert broken == []
    assert counts["labelled train"] == (4, 8) and counts["validation val"] == (3, 4)
    assert counts["unlabelled pool"][0] == 3


def test_check_sees_pictures_without_persons(root):
    (root / "images/val/103.png").write_bytes(b"no image")
    _, broken = found(config_of(root, "DATASET.TRAIN_UNSUP_SET", "pool"))
    assert len(broken) == 1 and "103.png" in broken[0]


def test_check_counts_pictures_for_a_batch(root):
    config = config_of(root, "TRAIN.BATCH_SIZE", 5, algorithm="supervised")
    assert any("only 4 pictures" in finding.text for finding in check_dataset(config).findings)


def test_pictures_that_validation_shows_leave_the_pool(root):
    """Also one without persons; and those that a source excludes."""
    shutil.copy(root / "images/val/103.png", root / "pool/copy.png")
    shutil.copy(root / "images/val/101.png", root / "pool/other.png")
    data = build_data(config_of(root, "DATASET.TRAIN_UNSUP_SET", "pool"))
    assert [Path(path).name for path in data.unlabeled.image_paths] == ["0.png", "1.png", "2.png"]
    assert data.unlabeled_mix.lengths == (3,) and data.report.left_out == 2
    pool = [{"annotation": "pool", "exclude": ["1.png"]}]
    data = build_data(config_of(root, "DATASET.TRAIN_UNSUP_SET", pool))
    assert [Path(path).name for path in data.unlabeled.image_paths] == ["0.png", "2.png"]


def test_labelled_pictures_that_validation_shows_are_refused(root):
    shutil.copy(root / "images/train/003.jpg", root / "images/val/103.png")
    with pytest.raises(DataError, match="003.jpg"):
        build_data(config_of(root, algorithm="supervised"))
    counts, broken = found(config_of(root, algorithm="supervised"))
    assert len(broken) == 1 and "003.jpg" in broken[0]


def test_check_says_what_is_masked(root):
    file = root / "annotations/person_keypoints_train.json"
    document = json.loads(file.read_text())
    document["annotations"][-1]["segmentation"]["counts"] = "@"
    file.write_text(json.dumps(document))
    checked = check_dataset(config_of(root, algorithm="supervised"))
    told = [finding.text for finding in checked.findings if finding.source == "labelled train"]
    assert not checked.broken
    assert [text for text in told if "annotation id 901: segmentation" in text]
    assert [text for text in told if "1 images have regions" in text]


def test_turned_pictures_without_persons(root):
    """The sixth picture, on which nobody is, is stored lying."""
    file, path = root / "annotations/person_keypoints_train.json", root / "images/train/006.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).save(path, exif=exif)
    document = json.loads(file.read_text())
    document["images"][5] |= {"width": 60, "height": 80}
    file.write_text(json.dumps(document))
    config = config_of(root)
    data = build_data(config)
    dataset = build_dataset(config, data.unlabeled, "omit")
    assert dataset.persons.boxes[4:, 2:].tolist() == [[80, 60], [60, 80]]
    upright = read_image(str(path), reading=data.unlabeled.reading(5))
    assert upright.shape == (80, 60, 3)
    assert np.array_equal(dataset[5].images[0].numpy(), dataset.source.crops.cut_from(upright, [5])[0])
    assert not dataset[5].faults
