"""semipose init: what it makes of each kind of folder loads, builds and trains, and validation is kept apart."""

import json
import re
from pathlib import Path

import own_data
import pytest
from PIL import Image
from small_coco import draw

from semipose import assemble, runs
from semipose.config import load_config
from semipose.data.formats.corrected_labelme import FLAG, RECORD, shapes_digest
from semipose.jobs import init
from semipose.models import timm_weights
from semipose.prepare.drawn_people import write_demo_data
from semipose.prepare.project.measure import shown_twice
from semipose.prepare.project.plan import Facts, Machine, batches, input_size, steps
from semipose.skeletons import get_skeleton

SMALL = [
    "MODEL.BACKBONE", "light_unet", "MODEL.IMAGE_SIZE", "[64, 64]", "TRAIN.BATCH_SIZE", "2",
    "TRAIN.BATCH_SIZE_UNSUP", "2", "TRAIN.END_EPOCH", "1", "TRAIN.STEPS_PER_EPOCH", "1", "GPUS", "cpu", "WORKERS", "0",
    "DATASET.CACHE", "none", "TRACKING.TENSORBOARD", "false",
]  # fmt: skip
KINDS = {
    "coco": own_data.coco,
    "coco of several, and bare pictures": lambda root: own_data.coco(root, people=2, bare=6),
    "coco with its own validation": own_data.coco_with_validation,
    "labelme": own_data.labelme,
    "few of labelme": lambda root: own_data.labelme(root, labelled=4, bare=3),
    "deeplabcut": own_data.deeplabcut,
    "deeplabcut of several": lambda root: own_data.deeplabcut(root, ("a", "b")),
    "lightning-pose": own_data.lightning_pose,
    "yolo": own_data.yolo,
    "yolo with its own validation": lambda root: own_data.yolo(root, validation=4),
    "mpii": own_data.mpii,
    "few of aic": own_data.aic,
    "mixture": own_data.mixture,
}
BOTTOM_UP = {"coco of several, and bare pictures", "deeplabcut of several"}
WITHOUT_VALIDATION = {"few of labelme", "few of aic"}


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    monkeypatch.setattr(timm_weights, "can_be_had", lambda name: False)


def started(tmp_path: Path, write, *words: str) -> Path:
    """The configuration that the command writes for a folder."""
    out = tmp_path / "project.yaml"
    assert init.main([str(write(tmp_path / "data")), "--out", str(out), *words]) == 0
    return out


def small(file: Path, tmp_path: Path):
    pairs = [*SMALL, "OUTPUT_DIR", str(tmp_path / "output"), "DATASET.CACHE_DIR", str(tmp_path / "cache")]
    return load_config(file, pairs=pairs)


def used(persons) -> set[str]:
    return {persons.path(row) for row in range(len(persons))}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_split_and_trains_a_step(tmp_path, kind):
    file = started(tmp_path, KINDS[kind])
    lines = file.read_text().splitlines()
    assert 25 <= len(lines) <= 40 and max(map(len, lines)) <= 120
    config = small(file, tmp_path)
    assert (config.MODEL.CODEC == "dekr") == (kind in BOTTOM_UP) and config.ALGORITHM == "cotrain1"
    data = assemble.build_data(config)
    held = {path for persons in data.validation.values() for path in used(persons)}
    assert bool(held) == (kind not in WITHOUT_VALIDATION)
    assert len(data.labeled) and len(data.unlabeled)
    assert not held & used(data.labeled) and not held & used(data.unlabeled)
    assert runs.train(config, None) == 0
    assert (tmp_path / "output/run/last.pth").is_file()
    assert (tmp_path / "output/run/best.pth").is_file() == bool(held)


@pytest.mark.parametrize("kind", ["coco", "labelme", "deeplabcut", "yolo", "mixture"])
def test_the_skeleton_is_that_of_the_labels(tmp_path, kind):
    skeleton = get_skeleton(load_config(started(tmp_path, KINDS[kind])).DATASET.SKELETON)
    names = tuple(f"point_{n}" for n in (1, 2, 3, 4)) if kind == "yolo" else own_data.NAMES
    assert skeleton.keypoints == names and skeleton.mirrors
    assert skeleton.swaps == ((names[1], names[2]),)
    links = {"coco": 3, "deeplabcut": 2, "mixture": 3}.get(kind, 0)
    assert len(skeleton.links) == links and (not links or ("nose", "tail") in skeleton.links)


def test_names_of_the_catalogue_are_its_skeleton(tmp_path):
    config = load_config(started(tmp_path, KINDS["mpii"]))
    assert config.DATASET.SKELETON == "mpii" and config.AUGMENT.LABELED.FLIP == 0.5


def test_names_without_sides_are_not_mirrored(tmp_path):
    config = load_config(started(tmp_path, KINDS["lightning-pose"]))
    assert {config.AUGMENT[view].FLIP for view in ("LABELED", "EASY", "HARD")} == {0}


def test_frames_of_a_video_are_split_in_time(tmp_path):
    """Also the frames between them that are not labelled are kept apart."""
    data = assemble.build_data(small(started(tmp_path, KINDS["deeplabcut"]), tmp_path))
    held = {path for persons in data.validation.values() for path in used(persons)}
    for video in ("v1", "v2"):
        numbers = [
            [int(re.search(r"img(\d+)", path)[1]) for path in paths if f"/{video}/" in path]
            for paths in (held, used(data.labeled), used(data.unlabeled))
        ]
        assert 2 <= len(numbers[0]) <= 4 and len(numbers[1]) >= 7
        for others in numbers[1:]:
            assert others and min(abs(a - b) for a in numbers[0] for b in others) > 5


def test_whole_pictures_are_seen_on_both_sides(tmp_path):
    """Where the pool has no boxes, a single animal is seen in the whole picture everywhere."""
    data = assemble.build_data(small(started(tmp_path, KINDS["labelme"]), tmp_path))
    for persons in (data.labeled, data.unlabeled, *data.validation.values()):
        assert persons.boxes[0].tolist() == [0, 0, own_data.WIDTH, own_data.HEIGHT]
    assert len(data.unlabeled) == 30 - len(next(iter(data.validation.values())))


def test_a_configuration_is_never_overwritten(tmp_path, capsys):
    file = started(tmp_path, KINDS["labelme"])
    before = file.read_bytes()
    assert init.main([str(tmp_path / "data"), "--out", str(file)]) == 2
    assert file.read_bytes() == before and str(file) in capsys.readouterr().err
    assert init.main([str(tmp_path / "data"), "--out", str(tmp_path / "new/x.yaml")]) == 2
    captured = capsys.readouterr()
    assert "new/x.yaml" in captured.err and not captured.out  # before it looks


@pytest.mark.parametrize("write", [own_data.pictures, own_data.video])
def test_without_labels_it_says_how_to_get_them(tmp_path, capsys, write):
    out = tmp_path / "project.yaml"
    assert init.main([str(write(tmp_path / "data")), "--out", str(out)]) == 2
    message = capsys.readouterr().err
    assert "labelme" in message and "semipose label" in message and not out.exists()


def test_what_is_not_there_is_named(tmp_path, capsys):
    assert init.main([str(tmp_path / "nowhere")]) == 2
    assert str(tmp_path / "nowhere") in capsys.readouterr().err


def test_one_broken_file_does_not_hide_the_others(tmp_path, capsys):
    def write(root):
        own_data.coco(root)
        (root / "broken.json").write_text('{"images": [], "annotations": [')
        return root

    started(tmp_path, write)
    assert "broken.json" in capsys.readouterr().out


def test_results_in_the_folder_are_no_pool(tmp_path, capsys):
    def write(root):
        own_data.video(own_data.labelme(root, bare=0))
        (root / "day.overlay.avi").write_bytes((root / "day.avi").read_bytes())
        own_data.pictures(root / "chosen.overlay")
        return root

    file = started(tmp_path, write)
    assert "overlay" not in file.read_text() and "1 video " in capsys.readouterr().out


def test_predictions_in_the_folder_are_no_labels(tmp_path, capsys):
    def write(root):
        (own_data.labelme(root) / "found").mkdir()
        columns = [(name, coord) for name in own_data.NAMES for coord in ("x", "y", "likelihood")]
        rows = [
            ["scorer", *["semipose"] * len(columns)],
            *([key, *words] for key, words in zip(("bodyparts", "coords"), zip(*columns))),
        ]
        rows += [[path.name, *["9", "9", "0.9"] * len(own_data.NAMES)] for path in sorted(root.glob("*.png"))]
        (root / "found/data.csv").write_text("\n".join(map(",".join, rows)) + "\n")
        head = {"info": {"description": "predicted", "contributor": "semipose"}, "categories": [], "images": []}
        (root / "found/data.json").write_text(json.dumps(head))
        return root

    file = started(tmp_path, write)
    assert [source["annotation"] for source in load_config(file).DATASET.TRAIN_SET] == ["."]
    assert "found/data.json" not in capsys.readouterr().out
    assert init.main([str(tmp_path / "data/found/data.csv"), "--out", str(tmp_path / "named.yaml")]) == 0


def test_a_video_that_cannot_be_read_is_left_out_and_named(tmp_path, capsys):
    def write(root):
        own_data.labelme(root)
        (root / "film.mp4").write_bytes(b"no video")
        return root

    file = started(tmp_path, write)
    assert "film.mp4" in capsys.readouterr().out
    assert "film.mp4" not in str(load_config(file).DATASET.TRAIN_UNSUP_SET)
    assemble.build_data(small(file, tmp_path))


def test_a_file_of_weights_is_taken(tmp_path):
    weights = tmp_path / "lite0.pth"
    weights.write_bytes(b"")
    config = load_config(started(tmp_path, KINDS["labelme"], "--weights", str(weights)))
    assert str(weights) == config.MODEL.PRETRAINED and config.MODEL.BACKBONE == "timm/tf_efficientnet_lite0"


def misspelt(root: Path, labelled: int) -> Path:
    """Labelme files, in one of which a nose is a nsoe."""
    own_data.labelme(root, labelled=labelled)
    document = json.loads((root / "p03.json").read_text())
    document["shapes"][0]["label"] = "nsoe"
    (root / "p03.json").write_text(json.dumps(document))
    return root


def test_rare_labels_are_slips_of_the_pen(tmp_path, capsys):
    file = started(tmp_path, lambda root: misspelt(root, 25))
    assert get_skeleton(load_config(file).DATASET.SKELETON).keypoints == own_data.NAMES
    assert "nsoe" in capsys.readouterr().out
    assemble.build_data(small(file, tmp_path))


def test_a_keypoint_of_a_single_file_is_said(tmp_path, capsys):
    started(tmp_path, lambda root: misspelt(root, 12))
    assert "nsoe (p03.json)" in capsys.readouterr().out


def corrected(root: Path, moved: list[int], untouched: list[int]) -> Path:
    """Files as `semipose label` writes them, some of which a person has changed."""
    own_data.labelme(root, labelled=40, bare=0)
    for number in range(40):
        file = root / f"p{number:02d}.json"
        if number not in (*moved, *untouched):
            file.unlink()
            file.with_suffix(".png").unlink()
            continue
        document = json.loads(file.read_text())
        document |= {"flags": {FLAG: True}, RECORD: {"sha1": shapes_digest(document["shapes"])}}
        if number in moved:
            document["shapes"][0]["points"][0][0] += 2
        file.write_text(json.dumps(document))
    return root


def test_corrected_files_become_a_source_and_all_else_stays(tmp_path, capsys):
    file = started(tmp_path, KINDS["labelme"])
    before, old = load_config(file), file.read_text().splitlines()
    folder = corrected(tmp_path / "corrected", moved=[20, 25, 28], untouched=[23])
    assert init.main(["--add", str(folder), "--cfg", str(file)]) == 0
    assert "3 corrected" in capsys.readouterr().out
    after, new = load_config(file), file.read_text().splitlines()
    assert after.DATASET.TRAIN_SET[:-1] == before.DATASET.TRAIN_SET and after.DATASET.TRAIN_SET[-1]["whole_frames"]
    assert after.DATASET.TEST_SET == before.DATASET.TEST_SET
    assert [line for line in old if "TRAIN_SET:" not in line] == [line for line in new if line in old]
    data, less = assemble.build_data(small(file, tmp_path)), assemble.build_data(before)
    assert len(data.labeled) == len(less.labeled) + 3
    text = file.read_text()
    assert init.main(["--add", str(folder), "--cfg", str(file)]) == 0 and file.read_text() == text


def test_corrected_pictures_that_are_held_out_stay_held_out(tmp_path, capsys):
    file = started(tmp_path, KINDS["labelme"])
    held = next(iter(assemble.build_data(small(file, tmp_path)).validation.values()))
    number = int(Path(held.path(0)).stem[1:])
    folder = corrected(tmp_path / "corrected", moved=[number, 20], untouched=[])
    for name in (f"p{number:02d}.png", "p20.png"):
        (folder / name).write_bytes((tmp_path / "data" / name).read_bytes())
    assert init.main(["--add", str(folder), "--cfg", str(file)]) == 0
    assert "without 1 " in capsys.readouterr().out
    data = assemble.build_data(small(file, tmp_path))
    assert {Path(path).stem for path in used(data.labeled) if "/corrected/" in path} == {"p20"}


def test_a_joint_that_the_project_does_not_have_is_named_before_anything_is_written(tmp_path, capsys, monkeypatch):
    file = started(tmp_path, KINDS["labelme"])
    before = file.read_bytes()
    folder = corrected(tmp_path / "corrected", moved=[20, 25], untouched=[])
    document = json.loads((folder / "p25.json").read_text())
    document["shapes"][1]["label"] = "whisker"
    (folder / "p25.json").write_text(json.dumps(document))
    monkeypatch.chdir(file.parent)
    assert init.main(["--add", str(folder)]) == 2 and file.name == init.PROJECT
    assert re.search("p25.json.*'whisker'", capsys.readouterr().err) and file.read_bytes() == before


def test_another_folder_than_that_of_the_project_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own_data.labelme(tmp_path / "data")
    folder = corrected(tmp_path / "corrected", moved=[20], untouched=[])
    assert init.main(["data"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert init.main(["--add", str(folder), "--cfg", f"../{init.PROJECT}"]) == 2
    assert "DATASET.ROOT data " in capsys.readouterr().err


@pytest.mark.parametrize(
    "train", ["pictures", "[pictures]", "\n    - pictures", "\n    - pictures  # mine\n    - {annotation: more}"]
)
def test_all_ways_to_write_a_list_are_added_to(tmp_path, train):
    own_data.labelme(tmp_path / "pictures")
    own_data.labelme(tmp_path / "more", first=60)
    file, folder = tmp_path / "mine.yaml", corrected(tmp_path / "new", moved=[1], untouched=[])
    skeleton = "{keypoints: [nose, left_ear, right_ear, tail], sigmas: 0.05}"
    text = f"DATASET:\n  ROOT: {tmp_path}\n  TRAIN_SET: {train}\n  SKELETON: {skeleton}\n  TEST_SET: []  # none\n"
    file.write_text(text)
    count = len(assemble.build_data(load_config(file)).labeled)
    assert init.main(["--add", str(folder), "--cfg", str(file)]) == 0
    assert len(assemble.build_data(load_config(file)).labeled) == count + 1


def test_nothing_corrected_and_files_that_cannot_be_changed_are_named(tmp_path, capsys):
    file = started(tmp_path, KINDS["labelme"])
    folder = corrected(tmp_path / "untouched", moved=[], untouched=[1, 2])
    before = file.read_bytes()
    assert init.main(["--add", str(folder), "--cfg", str(file)]) == 2
    assert str(folder) in capsys.readouterr().err and file.read_bytes() == before
    leaf = tmp_path / "leaf.yaml"
    leaf.write_text("_BASE_: project.yaml\n")
    folder = corrected(tmp_path / "corrected", moved=[21], untouched=[])
    assert init.main(["--add", str(folder), "--cfg", str(leaf)]) == 2
    assert str(leaf) in capsys.readouterr().err and leaf.read_text() == "_BASE_: project.yaml\n"


@pytest.mark.parametrize("gpus", [0, 1])
def test_pictures_are_not_blown_up_by_more_than_half(tmp_path, monkeypatch, gpus):
    monkeypatch.setattr(init, "this_machine", lambda: Machine(gpus, 2, 2**33))
    config = load_config(started(tmp_path, KINDS["labelme"]))
    assert config.MODEL.IMAGE_SIZE == [128, 96] and (32 if gpus else 8) == config.TRAIN.BATCH_SIZE_UNSUP


def test_a_gpu_has_larger_batches_and_inputs():
    facts = Facts(100, 100, 400, 80, 0, (640, 480), 0.8, 500, False, 900, 900, True)
    cpu, gpu = Machine(0, 2, 2**33), Machine(1, 16, 2**37)
    assert input_size(facts, cpu).value == [128, 96] and input_size(facts, gpu).value == [256, 192]
    assert batches(facts, cpu) == (8, 8) and batches(facts, gpu) == (16, 32)
    assert steps(facts, cpu) < steps(facts, gpu)


def test_small_things_in_large_pictures_get_a_larger_input():
    small, large = (Facts(20, 20, 80, 16, 0, (640, 640), fill, 640 * fill, False, 99, 99, True) for fill in (0.3, 0.8))
    sizes = [input_size(facts, Machine(0, 2, 2**33)).value for facts in (small, large)]
    assert sizes == [[256, 256], [128, 128]]


def test_more_labels_bear_more_steps():
    counts = [
        steps(Facts(n, n, n, n, 0, (64, 64), 1.0, 64, False, 9, 9, True), Machine(0, 2, 2**33))
        for n in (5, 15, 50, 200, 800, 5000)
    ]
    assert counts == [1350, 1350, 1350, 1500, 2500, 5000]


def test_keypoints_that_a_mirror_shows_again_are_paired():
    names = [f"{part}_{view}" for view in ("top", "bot") for part in ("nose", "paw", "tail")]
    assert shown_twice([*names, "obs"]) == [("nose_top", "nose_bot"), ("paw_top", "paw_bot"), ("tail_top", "tail_bot")]
    assert shown_twice(own_data.NAMES) == [] and shown_twice(["lip_top", "lip_bot", "a", "b", "c"]) == []


def test_folders_that_are_held_out_whole_are_no_pool(tmp_path):
    def write(root):
        for film in range(5):
            for number in range(8):
                draw(root / f"walk{film}/img{number:03d}.png", 100 * film + number)
            own_data.labelme(root / f"walk{film}", labelled=3, bare=0)
        return root

    file = started(tmp_path, write)
    config = load_config(file)
    held = {pattern.split("/")[0] for source in config.DATASET.TEST_SET for pattern in source["only"]}
    pool = {source["annotation"] for source in config.DATASET.TRAIN_UNSUP_SET}
    assert held and pool and not held & pool
    assert assemble.build_data(small(file, tmp_path)).unlabeled is not None


def test_labelme_files_in_another_folder_than_their_pictures(tmp_path, capsys):
    def write(root):
        own_data.labelme(root / "pics")
        (root / "labels").mkdir()
        for path in sorted((root / "pics").glob("*.json")):
            document = json.loads(path.read_text()) | {"imagePath": f"..\\pics\\{path.stem}.png"}
            (root / "labels" / path.name).write_text(json.dumps(document))
            path.unlink()
        return root

    file = started(tmp_path, write)
    assert {source["images"] for source in load_config(file).DATASET.TRAIN_SET} == {"pics"}
    assert runs.train(small(file, tmp_path), None) == 0
    capsys.readouterr()
    assert init.main([str(tmp_path / "data/labels"), "--out", str(tmp_path / "b.yaml")]) == 2
    assert "labels" in capsys.readouterr().err


def test_pictures_of_a_phone_are_as_large_as_they_are_shown(tmp_path):
    def write(root):
        own_data.labelme(root, bare=0)
        upright = Image.Exif()
        upright[0x0112] = 6
        for path in sorted(root.glob("*.png")):
            Image.open(path).rotate(90, expand=True).convert("RGB").save(path.with_suffix(".jpg"), exif=upright)
            label = path.with_suffix(".json")
            label.write_text(label.read_text().replace(path.name, f"{path.stem}.jpg"))
            path.unlink()
        return root

    turned = load_config(started(tmp_path, write)).MODEL.IMAGE_SIZE
    (tmp_path / "plain").mkdir()
    assert turned == load_config(started(tmp_path / "plain", KINDS["labelme"])).MODEL.IMAGE_SIZE != turned[::-1]


@pytest.mark.parametrize(("comma", "ear"), [(",", "左耳"), (";", "left_ear")])
def test_a_table_as_excel_saves_it_is_named(tmp_path, caplog, comma, ear):
    data = own_data.deeplabcut(tmp_path / "data")
    tables = list(data.rglob("*.csv"))
    for table in tables:
        table.write_bytes(table.read_text().replace(",", comma).replace("left_ear", ear).encode("gbk"))
    assert init.main([str(data), "--out", str(tmp_path / "x.yaml")]) == 2
    assert all(str(table) in caplog.text for table in tables)


def test_hidden_labels_are_counted_as_pictures_without_labels(tmp_path, capsys):
    started(tmp_path, lambda root: write_demo_data(root, labeled=12, unlabeled=7, val=3, seed=0) and root)
    assert "without labels: 7 pictures" in capsys.readouterr().out


def test_the_next_commands_are_known(tmp_path, capsys):
    file = started(tmp_path, KINDS["mixture"])
    commands = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  semipose ")]
    assert [words[1] for words in commands] == ["cotrain1", "report", "predict"]
    assert str(file) in commands[0] and str(tmp_path / "data/day.avi") in commands[2]
