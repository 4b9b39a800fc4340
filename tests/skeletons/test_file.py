"""Skeletons in YAML files: what a user writes comes out by field, anything wrong is named with file and key."""

import pytest
from refusals import refused

import semipose.skeletons.file as skeleton_file
from semipose.errors import ConfigError
from semipose.skeletons import COCO, Skeleton, get_skeleton, load_skeleton

HERON = """
name: heron
keypoints: [bill, left_knee, right_knee, left_foot, right_foot]
sigmas: 0.05
swaps: [[left_knee, right_knee], [left_foot, right_foot]]
links: [[left_knee, left_foot], [right_knee, right_foot]]
upper_body: [bill]
loss_weights: [1, 1, 1, 1.5, 15e-1]
head: [left_knee, bill]
torso: [left_knee, right_knee]
"""


@pytest.fixture
def write(tmp_path):
    def _write(content, name="bird.yaml"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return file

    return _write


def test_every_field_of_a_file(write):
    assert load_skeleton(write(HERON)) == Skeleton(
        name="heron",
        keypoints=("bill", "left_knee", "right_knee", "left_foot", "right_foot"),
        sigmas=(0.05,) * 5,
        swaps=(("left_knee", "right_knee"), ("left_foot", "right_foot")),
        links=(("left_knee", "left_foot"), ("right_knee", "right_foot")),
        upper_body=("bill",),
        loss_weights=(1.0, 1.0, 1.0, 1.5, 1.5),
        head=("left_knee", "bill"),
        torso=("left_knee", "right_knee"),
    )


def test_the_example_for_users_is_a_skeleton(write):
    example = skeleton_file.__doc__.split("::\n")[1].split("\nName the file")[0]
    assert load_skeleton(write(example)) == load_skeleton(write(HERON))


def test_only_keypoints_and_sigmas_are_needed(write):
    skeleton = load_skeleton(write("keypoints: [no, on, 5]\nsigmas: [1e-2, 0.2, 1]\n", "my bird.YML"))
    assert skeleton == Skeleton(name="my bird", keypoints=("no", "on", "5"), sigmas=(0.01, 0.2, 1.0))


def test_windows_files_read_the_same(write):
    assert load_skeleton(write(b"\xef\xbb\xbf" + HERON.replace("\n", "\r\n").encode())) == load_skeleton(write(HERON))


def test_get_skeleton_takes_a_file_and_reads_it_once(write):
    file = write(HERON)
    skeleton = get_skeleton(str(file))
    assert skeleton.name == "heron"
    file.unlink()
    assert get_skeleton(str(file)) is skeleton
    assert get_skeleton("coco") is COCO
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        get_skeleton("nowhere.yaml")


@pytest.mark.parametrize(
    ("line", "wrong", "says"),
    [
        ("name: heron", "name: [a]", "name: ['a']"),
        ("name: heron", "name: ''", "name: ''"),
        ("name: heron", "nam: heron", "'nam'; did you mean name?"),
        ("name: heron", "nose: 1", "'nose'; "),
        ("name: heron", "name: heron\nname: stork", "'name' is given twice"),
        ("sigmas: 0.05", "sigmas: [0.1, 0.2]", "sigmas: has 2 values for 5"),
        ("sigmas: 0.05", "sigmas: 0", "sigmas: must be positive"),
        ("sigmas: 0.05", "sigmas: .nan", "sigmas: '.nan'"),
        ("sigmas: 0.05", "sigmas: nan", "sigmas: must be positive"),
        ("sigmas: 0.05", "sigmas: [a, 1, 1, 1, 1]", "sigmas: 'a' is not allowed; a number"),
        ("sigmas: 0.05", "sigmas: {a: 1}", "sigmas: {'a': '1'}"),
        ("sigmas: 0.05", "", "sigmas: is missing"),
        ("upper_body: [bill]", "upper_body: bill", "upper_body: 'bill' is not allowed; a list"),
        ("upper_body: [bill]", "upper_body: [beak]", "upper_body: 'beak'"),
        ("upper_body: [bill]", "upper_body: [[bill]]", "upper_body: ['bill']"),
        ("head: [left_knee, bill]", "head: [bill]", "head: must name exactly two"),
        ("links: [[left_knee, left_foot], [right_knee, right_foot]]", "links: [left_knee, bill]", "links: 'left_knee'"),
        ("links: [[left_knee, left_foot], [right_knee, right_foot]]", "links: [[1, 2]]", "links: '1'"),
        ("torso: [left_knee, right_knee]", 'torso: ["a\\nb", bill]', "torso: 'a\\nb'"),
    ],
)
def test_a_wrong_line_is_named(write, line, wrong, says):
    assert HERON.count(line) == 1
    refused(lambda: load_skeleton(write(HERON.replace(line, wrong))), says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "KEY: value"), ("- a", "KEY: value"), ("coco", "KEY: value"), ("keypoints: [a", "not valid YAML"),
        ("keypoints: &a [x]\nsigmas: *a", "aliases"), ("keypoints: !!python/object/apply:os.system [ls]", "tags"),
        ("keypoints: !!python/name:os.system", "tags"), ("keypoints: [a]\nsigmas: !!float 1", "tags"),
        ("[" * 500, "not valid YAML"), ("? [a]\n: 1", "not valid YAML"), ("{" * 50, "not valid YAML"),
        ("keypoints: []\nsigmas: 1", "no keypoint"), (b"\xff\xfe\x00", "cannot be read"),
        (b"keypoints: [\x00]", "not valid YAML"),
        (f"keypoints: [{','.join(f'a{k}' for k in range(2001))}]\nsigmas: 1", "at most 2000"),
        ("keypoints: [[" + "],[".join(["a" + ",a" * 999] * 51) + "]]", "more than 50000 values"),
        (f"keypoints: [{'a' * 101}]\nsigmas: 1", "a name expected"), (f"{'k' * 300}: 1", "unknown key"),
        ("#" + "ä" * 500_001, "larger than 1000000 bytes"),
    ],
    ids=range(19),
)  # fmt: skip
def test_broken_and_hostile_files_are_refused(write, content, says):
    refused(lambda: load_skeleton(write(content)), says)


def test_other_endings_missing_files_and_folders_are_refused(tmp_path):
    for name in ("skeleton.json", "skeleton", "missing.yaml", "missing.py", "nul\0.yaml", "new\nline.yaml"):
        with pytest.raises(ConfigError, match="ends in|cannot be read") as caught:
            load_skeleton(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "folder.yaml").mkdir()
    refused(lambda: load_skeleton(tmp_path / "folder.yaml"), "cannot be read: Is a directory")
