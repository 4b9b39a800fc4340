"""tools/check_dataset.py on small sets that are sound, and then broken in known ways."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from small_coco import COCO, draw, small_coco, write_set

TOOL = Path(__file__).resolve().parent.parent / "tools" / "check_dataset.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("check_dataset", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path) -> Path:
    """Sets `train` and `val` that share nothing, detections for val, and a folder of three pictures."""
    write_set(tmp_path, "train", small_coco(4))
    val = small_coco(3, first=101, ending="png")
    write_set(tmp_path, "val", val)
    boxes = [{"image_id": row["image_id"], "category_id": 1, "bbox": row["bbox"]} for row in val["annotations"]]
    (tmp_path / "det.json").write_text(json.dumps([row | {"score": 0.9} for row in boxes]))
    for number in range(3):
        draw(tmp_path / "pool" / f"{number}.png", 200 + number)
    return tmp_path


def edit(root: Path, name: str, change) -> Path:
    file = root / "annotations" / f"person_keypoints_{name}.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    return file


def check(tool, root: Path, capsys, *arguments, **data) -> tuple[int, list[str]]:
    """Exit code, and the lines of findings but for the two that all these small sets have."""
    sets = {"ROOT": str(root), "TRAIN_SET": "train", "TEST_SET": "val"}
    small = {"TRAIN": {"BATCH_SIZE": 2}, "TEST": data.pop("TEST", {})}
    algorithm = "pose_dual" if "TRAIN_UNSUP_SET" in data else "supervised"
    (root / "c.yaml").write_text(yaml.safe_dump({"ALGORITHM": algorithm, "DATASET": sets | data, **small}))
    code = tool.main(["--cfg", str(root / "c.yaml"), "--out", str(root / "report.json"), *arguments])
    lines = capsys.readouterr().out.splitlines()
    findings = [
        line for line in lines if line.startswith(("BROKEN", "note ")) and not line.endswith("AP_M and AP_L are -1")
    ]
    assert lines[-1] == (
        f"{sum(line.startswith('BROKEN') for line in findings)} faults" if code else "nothing is broken"
    )
    return code, findings


def test_sound_sets(tool, root, capsys):
    code, findings = check(tool, root, capsys, TRAIN_UNSUP_SET=["pool"])
    assert (code, findings) == (0, [])
    report = json.loads((root / "report.json").read_text())
    assert not report["broken"]
    assert report["sources"] == [
        {"source": "labelled train", "images": 4, "persons": 8, "faults": 0, "notes": 0},
        {"source": "unlabelled pool", "images": 3, "persons": 3, "faults": 0, "notes": 0},
        {"source": "validation val", "images": 3, "persons": 6, "faults": 0, "notes": 1},
    ]


def test_everything_that_was_broken_is_told_and_nothing_else(tool, root, capsys):
    def break_train(document):
        document["annotations"][1]["bbox"] = [1, 2, 3]
        document["annotations"][2]["image_id"] = 7

    def break_val(document):
        document["annotations"][0]["keypoints"].pop()
        document["annotations"][2] |= {"category_id": "x", "keypoints": None}
        document["annotations"][5] |= {"iscrowd": 1, "bbox": "all"}  # only the scoring reads the boxes of crowds

    train, val = edit(root, "train", break_train), edit(root, "val", break_val)
    (root / "images/train/004.jpg").write_bytes((root / "images/train/004.jpg").read_bytes()[:700])
    (root / "images/val/101.png").unlink()
    (root / "pool/1.png").write_text("nothing")
    code, findings = check(tool, root, capsys, TRAIN_UNSUP_SET=["pool"])
    assert code == 2
    starts = [
        f"BROKEN labelled train: {train}: annotation id 11: bbox: ",
        f"BROKEN labelled train: {train}: annotation id 20: image_id: 7 ",
        f"BROKEN labelled train: {root}/images/train/004.jpg: ",
        f"BROKEN unlabelled pool: {root}/pool/1.png: ",
        f"BROKEN validation val: {val}: annotation id 1010: keypoints: ",
        f"BROKEN validation val: {val}: annotation id 1020: category_id: ",
        f"BROKEN validation val: {val}: annotation id 1031: bbox: ",
        f"BROKEN validation val: {root}/images/val/101.png: ",
        "note   validation val: not scored",
    ]
    assert [line[: len(start)] for line, start in zip(findings, starts, strict=True)] == starts
    report = json.loads((root / "report.json").read_text())
    assert report["broken"] and [finding["ids"] for finding in report["findings"] if finding["ids"]] == [[4], [101]]


def test_what_a_run_would_turn_pass_over_and_not_mirror_is_noted(tool, root, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(root / "images/train/004.jpg").transpose(Image.Transpose.ROTATE_90).save(
        root / "images/train/004.jpg", exif=exif
    )
    Image.new("RGB", (30, 20)).save(root / "pool/9.jpg", exif=exif)
    (root / "pool/IMG_1.HEIC").write_bytes(b"")
    names = ", ".join(COCO.keypoints)
    (root / "s.yaml").write_text(f"keypoints: [{names}]\nsigmas: 0.05\n")
    code, findings = check(tool, root, capsys, SKELETON="s.yaml", TRAIN_UNSUP_SET=["pool"])
    notes = [("labelled train", "004.jpg"), ("unlabelled pool", "IMG_1.HEIC"), ("unlabelled pool", "9.jpg")]
    notes.append(("skeleton", "left_eye"))
    assert code == 0 and len(findings) == len(notes)
    for source, word in notes:
        assert any(line.startswith(f"note   {source}: ") and word in line for line in findings), (source, findings)


def test_images_in_archives(tool, root, capsys):
    (root / "images/train/004.jpg").write_bytes((root / "images/train/004.jpg").read_bytes()[:700])
    (root / "pool/1.png").write_text("nothing")
    for folder in ("images/train", "pool"):
        shutil.make_archive(str(root / folder), "zip", root / folder)
        shutil.rmtree(root / folder)
    (root / "images/val/101.png").unlink()
    shutil.make_archive(str(root / "images/val"), "zip", root / "images", "val")
    shutil.rmtree(root / "images/val")
    code, findings = check(tool, root, capsys, TRAIN_UNSUP_SET=["pool.zip"])
    assert (code, findings) == (2, [
        f"BROKEN labelled train: {root}/images/train.zip@004.jpg: is truncated or damaged (image id 4, persons: 2)",
        f"BROKEN unlabelled pool: {root}/pool.zip@1.png: is not an image",
        f"BROKEN validation val: {root}/images/val.zip@101.png: is not in the archive (image id 101, persons: 2)",
    ])  # fmt: skip


def test_headers_only_do_not_tell_truncation(tool, root, capsys):
    (root / "images/train/004.jpg").write_bytes((root / "images/train/004.jpg").read_bytes()[:700])
    (root / "images/train/003.jpg").write_bytes(b"")
    code, findings = check(tool, root, capsys, "--fast")
    assert code == 2 and len(findings) == 1 and "003.jpg: is empty" in findings[0]


def test_validation_images_that_are_trained_on(tool, root, capsys):
    shutil.copy(root / "images/val/101.png", root / "pool/copy.png")
    code, findings = check(tool, root, capsys, TRAIN_UNSUP_SET=["pool"])
    assert (
        code == 0 and len(findings) == 1 and findings[0].startswith("note   unlabelled pool: left out of the pool: 1 ")
    )
    assert f"{root}/images/val/101.png" in findings[0] and f"{root}/pool/copy.png" in findings[0]
    code, findings = check(tool, root, capsys, TRAIN_UNSUP_SET=["pool"], OVERLAP={"POOL": "refuse"})
    told = f"{root}/images/val/101.png: is also in the pool 'pool' (DATASET.TRAIN_UNSUP_SET) as {root}/pool/copy.png"
    assert code == 2 and findings[0] == f"BROKEN validation val: {told}" and "DATASET.OVERLAP.POOL" in findings[1]
    code, findings = check(tool, root, capsys, TRAIN_SET="val")
    assert (
        code == 2
        and [line.rsplit(": ", 1)[1] for line in findings[:3]]
        == ["is also in the labelled set 'val' (DATASET.TRAIN_SET)"] * 3
    )
    assert len(findings) == 4 and "semipose split" in findings[3]


def test_a_pool_of_validation_images_only_is_refused(tool, root, capsys):
    code, findings = check(tool, root, capsys, TRAIN_UNSUP_SET=["images/val"])
    assert code == 2 and len(findings) == 4
    assert all("is also in the pool 'val' (DATASET.TRAIN_UNSUP_SET)" in line for line in findings[:3])


def test_the_labelled_part_of_a_file_and_the_rest_of_it_as_pool(tool, root, capsys):
    """Without a pool of its own all of TRAIN_SET is one: its other images may be those of validation."""
    shutil.copy(root / "images/val/101.png", root / "images/train/004.jpg")
    source = {"annotation": "train", "length": 6}
    code, findings = check(tool, root, capsys, TRAIN_SET=source, TRAIN_UNSUP_SET=[])
    assert (
        code == 0 and len(findings) == 1 and findings[0].startswith("note   unlabelled train: left out of the pool: 1 ")
    )
    code, findings = check(tool, root, capsys, TRAIN_SET="train", TRAIN_UNSUP_SET=[])
    assert code == 2 and [line for line in findings if "the labelled set 'train' (DATASET.TRAIN_SET) as" in line]


def test_a_run_without_validation_is_a_note(tool, root, capsys):
    code, findings = check(tool, root, capsys, TEST_SET=[])
    assert code == 0 and len(findings) == 1 and "DATASET.TEST_SET" in findings[0]


def zero_areas(document):
    for row in document["annotations"]:
        row["area"] = 0


def no_counts(document):
    for row in document["annotations"]:
        row["num_keypoints"] = 0


@pytest.mark.parametrize(
    "change, told",
    [
        (zero_areas, "or sigmas are too small"),
        (no_counts, "no person is scored: all have num_keypoints 0 or are crowds"),
    ],
)
def test_why_ap_would_be_zero(tool, root, capsys, change, told):
    edit(root, "val", change)
    code, findings = check(tool, root, capsys)
    assert code == 2 and any(line.startswith("BROKEN") and told in line for line in findings)
    code, _ = check(tool, root, capsys, TEST={"METRICS": ["pck"]})
    assert code == 0  # PCK needs no area


def test_detections_in_place_of_boxes(tool, root, capsys):
    boxes = {"USE_GT_BBOX": False, "COCO_BBOX_FILE": "det.json"}
    assert check(tool, root, capsys, TEST=boxes) == (0, [])
    rows = json.loads((root / "det.json").read_text())
    rows[2]["score"], rows[3]["image_id"] = "high", 5
    (root / "det.json").write_text(json.dumps(rows))
    code, findings = check(tool, root, capsys, TEST=boxes)
    assert code == 2 and findings == [
        f"BROKEN validation val: {root}/det.json: detection number 2: score: must be a finite number, found 'high'",
        f"note   validation val: {root}/det.json: images with detections that the annotation does not list: 1 (ids 5)",
        f"note   validation val: {root}/det.json: images of the annotation without a person detected (score from 0): 1"
        " (ids 102)",
    ]
    pool = {"annotation": "val", "boxes": "det.json"}
    code, findings = check(
        tool, root, capsys, TRAIN_UNSUP_SET=[pool], TEST_SET="train", TRAIN_SET={"annotation": "val"}
    )
    assert [line for line in findings if line.startswith("BROKEN unlabelled")] and code == 2
    rows[2]["score"] = 0.5
    (root / "det.json").write_text(json.dumps(rows))
    code, findings = check(
        tool, root, capsys, TRAIN_UNSUP_SET=[pool], TEST_SET="train", TRAIN_SET={"annotation": "val"}
    )
    table = json.loads((root / "report.json").read_text())["sources"]
    assert code == 0 and [row["persons"] for row in table] == [6, 5, 8]


def test_groups(tool, root, capsys):
    (root / "groups.json").write_text('{"10": 1, "99": 2, "21": 0}')
    source = {"annotation": "train", "group_id_mapping_file": "groups.json", "group_id_weight": {1: 2.0, 5: 0.5}}
    code, findings = check(tool, root, capsys, TRAIN_SET=source)
    mapping, weight = findings
    assert code == 0 and mapping.endswith("groups.json: annotation ids that no annotation has: 1 (ids 99)")
    assert "no person has group 5" in weight
    (root / "groups.json").write_text("[]")
    code, findings = check(tool, root, capsys, TRAIN_SET=source)
    assert code == 2 and len(findings) == 1 and "groups.json: must be a JSON object" in findings[0]


@pytest.mark.parametrize(
    "data, told",
    [
        ({"TRAIN_SET": "missing"}, "person_keypoints_missing.json: annotation file of set 'missing' does not exist"),
        ({"TRAIN_SET": {"annotation": "train", "length": 9}}, "length (or TRAIN_LEN) is 9; it has 8 persons"),
        ({"TRAIN_SET": {"annotation": "train", "format": "cocoa"}}, "format 'cocoa' is not known"),
        ({"TRAIN_SET": {"annotation": "train", "skeleton": "crowdpose"}}, "must name the 14 keypoints"),
        (
            {"TEST_SET": [{"annotation": "val"}, {"annotation": "val"}]},
            "validation val: DATASET.TEST_SET: two sources have this name",
        ),
        ({"TRAIN_UNSUP_SET": ["nowhere"]}, "nowhere.json: annotation file of set 'nowhere' does not exist"),
    ],
)
def test_a_source_that_cannot_be_read_does_not_end_the_check(tool, root, capsys, data, told):
    code, findings = check(tool, root, capsys, **data)
    assert code == 2 and [line for line in findings if told in line and line.startswith("BROKEN")]
    assert len(json.loads((root / "report.json").read_text())["sources"]) >= 2


def test_sizes_that_do_not_fit(tool, root, capsys):
    code, findings = check(tool, root, capsys, "MODEL.HEATMAP_SIZE", "[48,48]", "TRAIN.BATCH_SIZE", "16")
    assert code == 2 and len(findings) == 2
    assert findings[0].startswith("BROKEN configuration: MODEL.HEATMAP_SIZE is [48, 48]") and "[48, 64]" in findings[0]
    assert findings[1].startswith("note   configuration: TRAIN.BATCH_SIZE is 16, but only 8 persons are labelled")


def test_the_first_persons_only(tool, root, capsys):
    (root / "images/train/004.jpg").unlink()
    assert check(tool, root, capsys, TRAIN_LEN=6)[0] == 0
    pool = {"TRAIN_LEN": 6, "TRAIN_UNSUP_SET": []}  # then all of the labelled set is the pool
    code, findings = check(tool, root, capsys, **pool)
    assert code == 2 and "004.jpg" in findings[0]


def test_errors_are_one_line(tool, root, capsys):
    (root / "c.yaml").write_text(
        yaml.safe_dump({"DATASET": {"ROOT": str(root), "TRAIN_SET": "train", "TEST_SET": "val"}})
    )
    for arguments in (
        ["--cfg", root / "c.yaml", "--out", root / "no folder" / "r.json"],
        ["--cfg", root / "none.yaml"],
    ):
        assert tool.main(list(map(str, arguments))) == 2
        told = capsys.readouterr().err
        assert told.startswith("error: ") and told.count("\n") == 1


def test_several_files_are_joined_as_in_training(tool, root, capsys):
    sets = {"ROOT": str(root), "TRAIN_SET": "train", "TEST_SET": "nowhere"}
    (root / "data.yaml").write_text(yaml.safe_dump({"DATASET": sets}))
    (root / "method.yaml").write_text(yaml.safe_dump({"ALGORITHM": "supervised"}))
    files = [str(root / "data.yaml"), str(root / "method.yaml")]
    assert tool.main(["--cfg", *files, "DATASET.TEST_SET", "no"]) == 2
    assert "BROKEN validation no" in capsys.readouterr().out


def test_as_a_command(root):
    (root / "c.yaml").write_text(
        yaml.safe_dump({"DATASET": {"ROOT": str(root), "TRAIN_SET": "train", "TEST_SET": "no"}})
    )
    command = [sys.executable, TOOL, "--cfg", root / "c.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "BROKEN validation no" in done.stdout and done.stderr == ""
