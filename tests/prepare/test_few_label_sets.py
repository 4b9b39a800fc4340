"""Few-label sets: held-out frames stay out of training, subsets differ by seed, and the tool as a user calls it."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import mouse_project as project
import numpy as np
import pytest

from semipose.data.formats import locate_coco, read_coco, read_unlabeled_coco
from semipose.data.images import read_image
from semipose.data.video_frames import thumbnail
from semipose.errors import DataError, SemiposeError
from semipose.prepare.few_label_sets import VAL_SEED, SplitOptions, convert_lightning_pose
from semipose.skeletons import get_skeleton

TOOL = Path(__file__).parents[2] / "tools/convert_lightning_pose.py"
COUNT, VAL, GUARD = 10, 3, 2
OPTIONS = SplitOptions(labels=(2, 3), seeds=(0, 1), val=VAL, every=1, guard=GUARD)
SETS = ("labeled", "unlabeled")
HELD_OUT = np.sort(np.random.default_rng(VAL_SEED).permutation(COUNT)[:VAL])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    return (root, *project.write_project(root, COUNT))


def convert(source, out, options=OPTIONS, **changes):
    root, csv_file, video = source
    values = {"annotation": csv_file, "image_root": str(root), "videos": [video], "out": str(out), "options": options}
    return convert_lightning_pose(**(values | {"skeleton": project.SKELETON} | changes))


@pytest.fixture(scope="module")
def converted(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, convert(source, out)


def names(out, name) -> list[str]:
    document = json.loads((out / f"annotations/person_keypoints_{name}.json").read_text())
    return [image["file_name"] for image in document["images"]]


def frame_numbers(members) -> list[int]:
    return [int(Path(name).stem) for name in members if name.startswith("videos/")]


def labeled_numbers(members) -> list[int]:
    return [int(Path(name).stem[1:]) for name in members if name.startswith("labeled-data/")]


def test_no_held_out_frame_and_no_neighbour_of_one_is_trained_on(converted):
    out, counts = converted
    assert labeled_numbers(names(out, "val")) == HELD_OUT.tolist()
    shown = [project.video_frame(number) for number in HELD_OUT]
    forbidden = {frame + step for frame in shown for step in range(-GUARD, GUARD + 1)}
    expected = [number for number in range(project.FRAMES) if number not in forbidden]
    for count in (2, 3):
        for seed in (0, 1):
            labeled, unlabeled = (names(out, f"{kind}_n{count}_seed{seed}") for kind in SETS)
            assert frame_numbers(unlabeled) == expected and not frame_numbers(labeled)
            assert sorted(labeled_numbers(labeled) + labeled_numbers(unlabeled)) == sorted(
                set(range(COUNT)) - set(HELD_OUT.tolist())
            )
    written = {int(path.stem) for path in (out / "images/videos/day").iterdir()}
    assert written == set(expected)
    assert counts["held-out frames that a video shows"] == VAL
    assert counts["left out near a held-out one"] == len(forbidden) == project.FRAMES - counts["in the pool"]


def test_no_picture_of_the_pool_looks_like_a_held_out_one(converted):
    out, _ = converted
    persons = [read(*locate_coco(str(out), name), project.SKELETON) for read, name in (
        (read_coco, "val"), (read_unlabeled_coco, "unlabeled_n2_seed0"), (read_coco, "labeled_n2_seed0"),
    )]  # fmt: skip
    val, *training = ([thumbnail(read_image(people.path(n))) for n in range(len(people))] for people in persons)
    assert len(val) == VAL
    for other in sum(training, []):
        assert min(np.abs(other - one).mean() for one in val) > OPTIONS.same


def test_a_labelled_frame_that_shows_a_held_out_one_is_left_out(tmp_path):
    root = tmp_path / "project"
    csv_file, video = project.write_project(root, COUNT)
    copy = next(number for number in range(COUNT) if number not in HELD_OUT)
    project.write_image(root / f"labeled-data/f{copy}.png", project.picture(project.video_frame(HELD_OUT[0])))
    counts = convert((root, csv_file, video), tmp_path / "out")
    assert counts["other frames left out, same as a held-out one"] == 1
    for kind in SETS:
        assert copy not in labeled_numbers(names(tmp_path / "out", f"{kind}_n3_seed1"))


def test_subsets_are_nested_and_differ_by_seed(converted):
    out, _ = converted
    small, large = (set(names(out, f"labeled_n{n}_seed0")) for n in (2, 3))
    assert len(small) == 2 and len(large) == 3 and small < large
    assert large != set(names(out, "labeled_n3_seed1"))


def test_a_subset_does_not_depend_on_what_else_is_asked_for(source, converted, tmp_path):
    convert(source, tmp_path, SplitOptions(labels=(3,), seeds=(1,), val=VAL, every=1, guard=GUARD))
    for name in ("val", "labeled_n3_seed1", "unlabeled_n3_seed1"):
        file = f"annotations/person_keypoints_{name}.json"
        assert (tmp_path / file).read_text() == (converted[0] / file).read_text()


def test_the_readers_of_a_run_read_what_was_written(converted):
    out, _ = converted
    labeled = read_coco(*locate_coco(str(out), "labeled_n2_seed0"), project.SKELETON)
    rows = labeled_numbers(names(out, "labeled_n2_seed0"))
    np.testing.assert_allclose(labeled.keypoints[:, :, :2], project.points(COUNT)[rows], atol=1e-3)
    assert labeled.areas.tolist() == [project.WIDTH * project.HEIGHT] * 2
    unlabeled = read_unlabeled_coco(*locate_coco(str(out), "unlabeled_n2_seed0"), project.SKELETON)
    hidden = unlabeled.keypoints[:, :, 2].any(axis=1)
    others = labeled_numbers(names(out, "unlabeled_n2_seed0"))
    assert hidden.tolist() == [True] * len(others) + [False] * (len(unlabeled) - len(others))
    np.testing.assert_allclose(unlabeled.keypoints[hidden, :, :2], project.points(COUNT)[others], atol=1e-3)
    assert len(set(unlabeled.ids.tolist())) == len(unlabeled) == len(others) + converted[1]["in the pool"]


def test_an_unlabelled_point_stays_unlabelled(source, tmp_path):
    root, _, video = source
    cells = project.rows(COUNT)
    cells[3 + HELD_OUT[0]][3:5] = ["", ""]
    csv_file = project.write_csv(root / "gaps.csv", cells)
    convert((root, csv_file, video), tmp_path)
    val = read_coco(*locate_coco(str(tmp_path), "val"), project.SKELETON)
    assert val.keypoints[0].tolist()[1] == [0, 0, 0] and val.keypoints[:, :, 2].sum() == 3 * VAL - 1
    document = json.loads((tmp_path / "annotations/person_keypoints_val.json").read_text())
    first = document["annotations"][0]
    assert first["keypoints"][2::3] == [2, 0, 2] and first["num_keypoints"] == 2


def test_every_so_many_th_frame(source, tmp_path):
    counts = convert(source, tmp_path, SplitOptions(labels=(2,), val=VAL, every=4, guard=0))
    shown = {project.video_frame(number) for number in HELD_OUT}
    assert frame_numbers(names(tmp_path, "unlabeled_n2_seed0")) == [
        number for number in range(0, project.FRAMES, 4) if number not in shown
    ]
    assert counts["video frames"] == project.FRAMES


def test_a_video_of_other_frames_loses_none(source, tmp_path):
    root, csv_file, _ = source
    other = project.write_video(tmp_path / "other.avi", [project.picture(1000 + n) for n in range(6)])
    counts = convert((root, csv_file, other), tmp_path / "out")
    assert counts["in the pool"] == 6 and counts["held-out frames that a video shows"] == 0
    assert counts["nearest video frame to a held-out one (grey levels of 255)"] > OPTIONS.same


def test_without_a_video_the_pool_is_the_other_labelled_frames(source, tmp_path):
    counts = convert(source, tmp_path, videos=[])
    assert counts["in the pool"] == 0 and counts["unlabeled_n2_seed0"] == COUNT - VAL - 2


def test_two_videos_share_no_file_and_no_id(source, tmp_path):
    root, csv_file, video = source
    other = project.write_video(tmp_path / "night.avi", [project.picture(1000 + n) for n in range(6)])
    counts = convert((root, csv_file, video), tmp_path / "out", videos=[video, other])
    people = read_unlabeled_coco(*locate_coco(str(tmp_path / "out"), "unlabeled_n2_seed0"), project.SKELETON)
    assert len(set(people.ids.tolist())) == len(set(people.image_paths.tolist())) == len(people)
    assert counts["in the pool"] == len(people) - (COUNT - VAL - 2)
    with pytest.raises(DataError, match="'day'"):
        convert((root, csv_file, video), tmp_path / "twice", videos=[video, video])


def test_more_subsets_can_be_added_but_only_of_the_same_split(source, tmp_path):
    few = SplitOptions(labels=(2,), seeds=(0,), val=VAL, every=1, guard=GUARD)
    convert(source, tmp_path, few)
    convert(source, tmp_path, SplitOptions(labels=(3,), seeds=(5,), val=VAL, every=1, guard=GUARD))
    split = json.loads((tmp_path / "split.json").read_text())
    assert split["sets"].keys() == {"val"} | {f"{k}_{n}" for k in SETS for n in ("n2_seed0", "n3_seed5")}
    assert split["sets"]["labeled_n2_seed0"] == names(tmp_path, "labeled_n2_seed0")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for change in ({"val": VAL + 1}, {"guard": 0}, {"every": 2}, {"same": 1.0}):
        with pytest.raises(DataError, match="split.json"):
            convert(
                source, tmp_path, SplitOptions(**({"labels": (2,), "val": VAL, "every": 1, "guard": GUARD} | change))
            )
    with pytest.raises(DataError, match="split.json"):
        convert(source, tmp_path, few, videos=[])
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", ["[]", "{}", '{"options": {}, "sets": []}'])
def test_a_foreign_split_file_is_refused(source, tmp_path, content):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(DataError, match="split.json"):
        convert(source, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("labels", ()), ("labels", (0,)), ("seeds", (-1,)), ("val", 0), ("every", 0), ("guard", -1),
                        ("same", -0.1), ("same", float("nan"))],
)  # fmt: skip
def test_wrong_options_are_named(name, value):
    with pytest.raises(DataError, match=f"{name}"):
        SplitOptions(**{name: value})


def test_too_few_frames(source, tmp_path):
    with pytest.raises(DataError, match="10 labelled frames.*3.*8"):
        convert(source, tmp_path, SplitOptions(labels=(2, 3), val=8))
    with pytest.raises(DataError, match="0 labelled frames"):
        convert(source, tmp_path, SplitOptions(labels=(2, 3), val=VAL, same=255.0))


def test_a_folder_that_cannot_be_written(source, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(SemiposeError, match="out.*: cannot write"):
        convert(source, tmp_path / "out")


def test_the_tool_starts():
    done = subprocess.run([sys.executable, TOOL, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--guard" in done.stdout


def test_the_tool_prints_its_counts_and_one_line_for_an_error(tmp_path, capsys):
    """With the mouse, whose skeleton is the default."""
    main = runpy.run_path(str(TOOL))["main"]
    csv_file, video = project.write_project(tmp_path, COUNT)
    parts = get_skeleton("mirror_mouse").keypoints
    head = [["scorer", *["me"] * 34], ["bodyparts", *[n for n in parts for _ in "xy"]], ["coords", *["x", "y"] * 17]]
    project.write_csv(Path(csv_file), head + [[f"labeled-data/f{n}.png", *["7.5"] * 34] for n in range(COUNT)])
    command = ["--csv", csv_file, "--videos", video, "--out", tmp_path / "out", "--labels", 2, 4, "--seeds", 0, 3]
    assert main([*map(str, command), "--val", str(VAL), "--guard", "1"]) == 0
    printed = capsys.readouterr().out
    assert "held out: 3\n" in printed and "labeled_n4_seed3: 4\n" in printed
    assert len(list((tmp_path / "out/annotations").iterdir())) == 9
    assert main([*map(str, command), "--val", "9"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def test_a_deeplabcut_project_of_two_animals(tmp_path):
    """Frames are split and not animals; names begin at the project."""
    root, out = tmp_path / "project", tmp_path / "out"
    cells = project.rows(COUNT)
    head = [cells[0] + cells[0][1:], ["individuals", *["a"] * 6, *["b"] * 6], *(row + row[1:] for row in cells[1:3])]
    frames = [[f"labeled-data/day/f{number}.png", *row[1:] * 2] for number, row in enumerate(cells[3:])]
    frames[4][1:] = [""] * 12  # nothing is labelled
    for number in range(COUNT):
        project.write_image(root / f"labeled-data/day/f{number}.png", project.picture(number))
    project.write_csv(root / "labeled-data/day/CollectedData_me.csv", head + frames)
    (root / "config.yaml").write_text("scorer: me\nbodyparts: MULTI!\n")
    for number, annotation in enumerate((root, root / "config.yaml", root / "labeled-data/day/CollectedData_me.csv")):
        folder = out / str(number)
        counts = convert_lightning_pose(str(annotation), "", [], str(folder), project.SKELETON, OPTIONS)
        assert counts["labelled frames"] == COUNT - 1 and counts["labeled_n3_seed0"] == 3
        document = json.loads((folder / "annotations/person_keypoints_labeled_n3_seed0.json").read_text())
        assert [row["image_id"] for row in document["annotations"]] == [
            i["id"] for i in document["images"] for _ in "ab"
        ]
        assert all(name.startswith("labeled-data/day/") for name in names(folder, "val"))
        persons = read_coco(*locate_coco(str(folder), "labeled_n3_seed0"), project.SKELETON)
        assert len(persons) == 6 and (persons.boxes[:, 2] < project.WIDTH).all()
