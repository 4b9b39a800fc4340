"""Label splits: which persons and images go where, what is kept of them, and every refusal."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from refusals import refused
from small_coco import draw

from semipose.data.formats import read_coco, read_unlabeled_coco
from semipose.errors import DataError, NoSpaceError, SemiposeError
from semipose.prepare.label_splits import make_splits
from semipose.skeletons import get_skeleton

COCO = get_skeleton("coco")
SUPERVISED = Path(__file__).parents[2] / "experiments/coco/res18_256x192_1k_supervised.yaml"
BARE = 90  # an image without an annotation
IMAGES = [50, 30, BARE, 80, 10, 70, 20, 60, 40]  # of which 80 has no person to train on
ON = [10, 10, 80, 20, 20, 30, 40, 50, 50, 60, 70, 30]  # image of each annotation
LEFT_OUT = {
    102: {"keypoints": [0] * 51},
    103: {"iscrowd": 1},
    106: {"keypoints": [99, 5, 2] * 17, "bbox": [99, 5, 0, 9]},
}
DRAWN = ({10, 20, 60}, {50, 30})  # three images by seed 7, after two to validate on
ALL_KEPT = [number for number in range(100, 112) if number not in LEFT_OUT]
KEPT = [107, 108, 105, 111, 100, 101, 110, 104, 109]  # image by image, as the published loaders take them


def annotation(number: int, image: int) -> dict:
    rng = np.random.default_rng(number)
    keypoints = np.concatenate([rng.uniform(5, 40, (17, 2)).round(2), rng.integers(1, 3, (17, 1))], axis=1)
    return {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [1, 2, 30.25, 35.5], "area": 500.5,
        "keypoints": keypoints.ravel().tolist(), "num_keypoints": 17, "group_id": number % 3, "own": {"é": [None, 1.5]},
    } | LEFT_OUT.get(number, {})  # fmt: skip


def document() -> dict:
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 60, "height": 44, "license": 3} for n in IMAGES]
    people = [annotation(100 + row, image) for row, image in enumerate(ON)]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}
    return {"info": {"year": 1}, "images": images, "annotations": people, "categories": [category]}


def write(folder: Path, content: dict, name: str = "person_keypoints_all.json") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


@pytest.fixture
def source(tmp_path) -> str:
    return write(tmp_path / "in", document())


def load(out: Path, name: str) -> dict:
    return json.loads((out / f"person_keypoints_all_{name}.json").read_text())


def split(source: str, out: Path, *names: str, **options) -> list[dict]:
    make_splits(source, str(out), COCO, **options)
    return [load(out, name) for name in names]


def ids(content: dict, field: str = "annotations") -> list[int]:
    return [entry["id"] for entry in content[field]]


def contents(folder: Path) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_first_persons_as_they_are_and_only_their_images(tmp_path):
    content = document()
    content["annotations"][7]["segmentation"] = [[1, 2, 3, 4]]  # only this is dropped
    (first,) = split(write(tmp_path / "in", content), tmp_path, "first4", first=[4])
    assert ids(first) == [105, 107, 108, 111] == sorted(KEPT[:4])
    assert ids(first, "images") == [50, 30]
    whole = document()
    assert first["annotations"] == [a for a in whole["annotations"] if a["id"] in KEPT[:4]]
    assert first["images"] == [image for image in whole["images"] if image["id"] in (50, 30)]
    assert (first["info"], first["categories"]) == (whole["info"], whole["categories"])


def pixels(root: Path) -> None:
    """An image folder that a run finds; its content is not read."""
    (root / "images").mkdir(parents=True)
    for number in (*IMAGES, 1000):
        (root / f"images/{number}.jpg").write_bytes(b"")


@pytest.mark.parametrize("count", [1, 4, len(KEPT)])
def test_a_run_has_the_same_persons_with_train_len_and_with_the_file(tmp_path, count):
    from semipose.assemble import build_data
    from semipose.config import load_config

    source = write(tmp_path / "annotations", document())
    validation = {"images": [{"id": 1, "file_name": "1000.jpg", "width": 60, "height": 44}]}
    validation["annotations"] = [annotation(1, 1)]
    write(tmp_path / "annotations", validation, "person_keypoints_val.json")
    pixels(tmp_path)
    draw(tmp_path / "images" / "1000.jpg", 1, (60, 44))  # the others are one picture
    make_splits(source, str(tmp_path / "annotations"), COCO, first=[count])

    def labeled(name: str, length: int):
        pairs = ["DATASET.ROOT", str(tmp_path), "DATASET.TRAIN_SET", name, "DATASET.TEST_SET", "val"]
        return build_data(load_config(SUPERVISED, pairs=[*pairs, "DATASET.TRAIN_LEN", str(length)])).labeled

    asked, written = labeled("all", count), labeled(f"all_first{count}", 0)
    asked = asked.take(np.argsort(asked.ids))  # a run has them image by image, the file in the order of annotations
    for name in ("ids", "boxes", "keypoints", "areas", "group_ids"):
        np.testing.assert_array_equal(getattr(asked, name), getattr(written, name))
    assert sorted(asked.ids.tolist()) == sorted(KEPT[:count])
    assert [asked.path(row) for row in range(count)] == [written.path(row) for row in range(count)]


def test_images_with_all_their_persons_and_all_others_as_pool(source, tmp_path):
    labeled, pool = split(source, tmp_path, "images3_seed1", "images3_seed1_unlabeled", images=[3], seed=1)
    own, others = set(ids(labeled, "images")), set(ids(pool, "images"))
    assert len(own) == 3 and not own & others and own | others == set(ON)
    assert not own & {80, BARE} and 80 in others
    whole = document()["annotations"]
    assert labeled["annotations"] == [a for a in whole if a["image_id"] in own]
    assert pool["annotations"] == [a for a in whole if a["image_id"] in others]


def test_readers_read_both_sides(source, tmp_path):
    make_splits(source, str(tmp_path), COCO, images=[2])
    files = [str(tmp_path / f"person_keypoints_all_images2_seed0{end}.json") for end in ("", "_unlabeled")]
    labeled, pool = read_coco(files[0], "", COCO), read_unlabeled_coco(files[1], "", COCO)
    assert sorted(labeled.ids.tolist() + pool.ids.tolist()) == sorted([*KEPT, 102])  # without keypoints: a pool's box


def test_names_with_back_slashes_that_begin_above_the_annotation(tmp_path):
    content = document()
    for row in content["images"]:
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / f"images/{row['file_name']}").write_bytes(b"")
        row["file_name"] = "images\\" + row["file_name"]
    found = make_splits(write(tmp_path / "annotations", content), str(tmp_path / "out"), COCO, first=[2])
    assert found["first2"]["persons"] == 2


def test_drawn_images_on_every_platform(source, tmp_path):
    """These numbers are part of the format: another numpy, or another order in the file, must not change them."""
    labeled, val = split(source, tmp_path / "a", "images3_seed7", "val2", images=[3], seed=7, val=2)
    assert (set(ids(labeled, "images")), set(ids(val, "images"))) == DRAWN
    content = document()
    content["images"].reverse()
    content["annotations"].reverse()
    again, held_out = split(
        write(tmp_path / "in2", content), tmp_path / "b", "images3_seed7", "val2", images=[3], seed=7, val=2
    )
    assert (set(ids(again, "images")), set(ids(held_out, "images"))) == DRAWN


def test_seeds_and_counts(source, tmp_path):
    names = ["images2_seed0", "images3_seed0", "val2"]
    small, large, val = split(source, tmp_path / "a", *names, images=[2, 3], val=2)
    assert set(ids(small)) < set(ids(large))
    drawn, held_out = {tuple(ids(small))}, {tuple(ids(val))}
    for seed in (1, 2, 3):
        labeled, val = split(source, tmp_path / "a", f"images2_seed{seed}", "val2", images=[2], seed=seed, val=2)
        drawn.add(tuple(ids(labeled)))
        held_out.add(tuple(ids(val)))
    assert len(drawn) > 1 and len(held_out) == 1


def test_held_out_images_are_in_no_other_set(source, tmp_path):
    make_splits(source, str(tmp_path), COCO, first=[4], images=[2], val=2)
    sets = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("person*.json")}
    val = set(ids(sets.pop("person_keypoints_all_val2"), "images"))
    assert len(val) == 2 and len(sets) == 4
    assert not any(val & set(ids(content, "images")) for content in sets.values())
    rest = sets["person_keypoints_all_without_val2"]
    assert set(ids(rest, "images")) | val == set(ON)
    kept = [number for number in KEPT if number in ids(rest)]
    assert ids(sets["person_keypoints_all_first4"]) == sorted(kept[:4]) != sorted(KEPT[:4])
    labeled, pool = (sets[f"person_keypoints_all_images2_seed0{end}"] for end in ("", "_unlabeled"))
    assert sorted(ids(labeled) + ids(pool)) == ids(rest)


def test_counts_and_record(source, tmp_path):
    counts = make_splits(source, str(tmp_path), COCO, first=[4], images=[3])
    assert counts["all"] == {"persons": 9, "images": 8, "others": 3}
    assert counts["first4"] == {"persons": 4, "images": 2, "others": 0}
    record = json.loads((tmp_path / "split.json").read_text())
    assert record["options"] == {"annotation": "person_keypoints_all.json", "val": 0, "val_seed": 2024} | counts["all"]
    assert record["sets"].keys() == counts.keys() - {"all"}
    for name, entry in record["sets"].items():
        content = load(tmp_path, name)
        assert entry == counts[name] | {"image_ids": ids(content, "images"), "annotation_ids": ids(content)}


def test_what_is_left_out_is_logged(source, tmp_path, caplog):
    with caplog.at_level("INFO", "semipose"):
        make_splits(source, str(tmp_path), COCO, first=[1])
    assert "9 persons; left out: 1 crowds, 1 without keypoints, 1 with an empty box" in caplog.text
    assert "left out: 1 images without an annotation" in caplog.text


def test_sets_can_be_added_and_written_again(source, tmp_path):
    make_splits(source, str(tmp_path), COCO, first=[2], val=2)
    before = contents(tmp_path)
    make_splits(source, str(tmp_path), COCO, first=[2], val=2)
    assert contents(tmp_path) == before
    make_splits(source, str(tmp_path), COCO, images=[2], val=2)
    names = json.loads((tmp_path / "split.json").read_text())["sets"].keys()
    assert names == {"val2", "without_val2", "first2", "images2_seed0", "images2_seed0_unlabeled"}


@pytest.mark.parametrize("present", ["first2", "first3"])
def test_another_file_is_kept(source, tmp_path, present):
    (tmp_path / f"person_keypoints_all_{present}.json").write_text("{}")
    before = contents(tmp_path)
    with pytest.raises(DataError, match=f"{present}.*.json"):
        make_splits(source, str(tmp_path), COCO, first=[2, 3])
    assert contents(tmp_path) == before


def test_another_split_is_kept(source, tmp_path):
    make_splits(source, str(tmp_path / "out"), COCO, images=[2], val=2)
    before = contents(tmp_path / "out")
    content = document()
    content["annotations"].pop()
    for annotation_file, val in ((source, 3), (source, 0), (write(tmp_path / "in2", content), 2)):
        with pytest.raises(DataError, match=r"split.json"):
            make_splits(annotation_file, str(tmp_path / "out"), COCO, images=[1], seed=5, val=val)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"options": {}, "sets": []}'])
def test_a_foreign_split_file_is_kept(source, tmp_path, content):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(DataError, match=r"split\.json"):
        make_splits(source, str(tmp_path), COCO, first=[2])
    assert (tmp_path / "split.json").read_text() == content


@pytest.mark.parametrize(
    ("image", "word"),
    [
        ({"id": 40, "file_name": "other.jpg"}, "40"),
        ({"id": 1, "file_name": "40.jpg"}, "'40.jpg'"),
        ({"id": 1, "file_name": ".//40.jpg"}, "'40.jpg'"),
    ],
)
def test_a_leak_is_refused(source, tmp_path, image, word):
    content = {"images": [image | {"width": 60, "height": 44}], "annotations": [annotation(1, image["id"])]}
    val, out = write(tmp_path / "in", content, "val.json"), tmp_path / "out"
    refused(lambda: make_splits(source, str(out), COCO, first=[2], val_annotation=val), "val.json: ", "all.json", word)
    assert not out.exists()


def test_validation_images_that_only_one_file_annotates_are_no_leak(source, tmp_path):
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 60, "height": 44} for n in (1, 40, BARE)]
    val = write(tmp_path / "in", {"images": images, "annotations": [annotation(1, 1), annotation(2, BARE)]}, "val.json")
    make_splits(source, str(tmp_path), COCO, first=[2], val_annotation=val)


def test_a_picture_under_two_ids(tmp_path):
    content = document()
    content["images"][-1]["file_name"] = "./50.jpg"
    source = write(tmp_path / "in", content)
    for options in ({"images": [2]}, {"val": 2}):
        with pytest.raises(DataError, match=r"all.json.*image id 50.*file_name.*'50.jpg'"):
            make_splits(source, str(tmp_path / "out"), COCO, **options)
    make_splits(source, str(tmp_path / "out"), COCO, first=[2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"first": [0]}, ("0 persons", "1 to 9")), ({"first": [10]}, ("10 persons", "1 to 9")),
        ({"images": [0]}, ("0 images", "1 to 5")), ({"images": [6]}, ("6 images",)),
        ({"images": [2], "seed": -1}, ("seed -1",)), ({"val": -1}, ("-1 images",)), ({"val": 6}, ("6 images",)),
        ({"val": 3, "images": [3]}, ("3 images", "1 to 2")),
    ],
)  # fmt: skip
def test_wrong_numbers(source, tmp_path, options, words):
    refused(lambda: make_splits(source, str(tmp_path / "out"), COCO, **options), "all.json: ", *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda content: content.pop("annotations"), "'annotations'"),
        (lambda content: content["annotations"][3].update(image_id=10**40), "annotation id 103: image_id"),
        (lambda content: content["images"][2].update(file_name="../a.jpg"), "file_name"),
    ],
)
def test_broken_files_are_named(tmp_path, damage, word):
    content = document()
    damage(content)
    source = write(tmp_path / "in", content)
    refused(lambda: make_splits(source, str(tmp_path / "out"), COCO, images=[2]), "person_keypoints_all.json: ", word)


def test_a_folder_that_cannot_be_written(source, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(SemiposeError, match="out.*: cannot write"):
        make_splits(source, str(tmp_path / "out"), COCO, first=[2])


def test_a_full_disk_leaves_nothing_half_written_and_the_next_call_goes_on(source, tmp_path, monkeypatch):
    def full_disk(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        with pytest.raises(NoSpaceError, match="out: cannot write: No space left"):
            make_splits(source, str(tmp_path / "out"), COCO, first=[2])
    assert contents(tmp_path / "out") == {}
    assert len(split(source, tmp_path / "out", "first2", first=[2])[0]["annotations"]) == 2


@pytest.mark.parametrize("name", ["mine.json", "person_keypoints_mine.json"])
def test_names_of_the_sets(tmp_path, name):
    make_splits(write(tmp_path / "in", document(), name), str(tmp_path / "out"), COCO, first=[2])
    assert sorted(os.listdir(tmp_path / "out")) == ["person_keypoints_mine_first2.json", "split.json"]
