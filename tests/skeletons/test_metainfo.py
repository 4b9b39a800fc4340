"""Metainfo files in the manner of MMPose: read as literals, checked, and never executed."""

import pytest
from refusals import refused

from semipose.skeletons import Skeleton, get_skeleton, load_skeleton

CRAB = """
'''Text before is fine.'''
dataset_info = dict(
    dataset_name='crab',
    paper_info=dict(author='A. ' 'B', title=r'C{\\'r}ab', year=2020),
    keypoint_info={
        1: dict(name='left_claw', id=1, color=[0, 255, 0], type='upper', swap='right_claw'),
        0: dict(name='mouth', id=0, color=(51, 153, 255), type='upper', swap=''),
        2: dict(name='right_claw', id=7, color=[0, 255, 0], type='upper', swap='left_claw'),
        3: dict(name='tail', id=3, color=[0, 255, 0], type='lower'),
    },
    skeleton_info={
        0: dict(link=('mouth', 'left_claw'), id=0, color=[0, 0, 0]),
        1: dict(link=['mouth', 'right_claw'], id=0),
    },
    joint_weights=[1.] * 2 + [1.5, +2 - 1],
    sigmas=[0.026, 0.035 * 2, 0.14 / 2, 0.1])

data_root = 'data/crab'
data = dict(train=dict(type='CrabDataset', ann_file=f'{data_root}/train.json', dataset_info=dataset_info))
"""


@pytest.fixture
def write(tmp_path):
    def _write(content):
        file = tmp_path / "crab.py"
        file.write_text(content, encoding="utf-8")
        return file

    return _write


def refused_text(write, text: str, *words: str) -> str:
    return refused(lambda: load_skeleton(write(text)), "crab.py", *words)


def test_every_field_of_a_file(write):
    expected = Skeleton(
        name="crab",
        keypoints=("mouth", "left_claw", "right_claw", "tail"),
        sigmas=(0.026, 0.07, 0.07, 0.1),
        swaps=(("left_claw", "right_claw"),),
        links=(("mouth", "left_claw"), ("mouth", "right_claw")),
        upper_body=("mouth", "left_claw", "right_claw"),
        loss_weights=(1.0, 1.0, 1.5, 1.0),
    )
    assert load_skeleton(write(CRAB)) == expected
    assert get_skeleton(str(write(CRAB))) == expected
    assert load_skeleton(write("\ufeff" + CRAB.replace("\n", "\r\n"))) == expected  # as editors on Windows save it


def test_the_least_file(write):
    text = "dataset_info = {'keypoint_info': {0: {'name': 'tip'}}, 'sigmas': (0.1,)}"
    assert load_skeleton(write(text)) == Skeleton(name="crab", keypoints=("tip",), sigmas=(0.1,))


def test_a_set_without_sigmas_gets_stand_ins_and_a_warning(write, caplog):
    skeleton = load_skeleton(write(CRAB.replace("sigmas=[0.026, 0.035 * 2, 0.14 / 2, 0.1]", "sigmas=[]")))
    assert skeleton.sigmas == (0.05,) * 4
    assert "crab.py: sigmas: is empty" in caplog.text


def test_the_19_points_with_18_weights_are_refused(write):
    points = ", ".join(f"{k}: dict(name='p{k}', id={k}, color=[0, 0, 0], type='', swap='')" for k in range(19))
    text = f"dataset_info = dict(keypoint_info={{{points}}}, joint_weights=[1.] * 18, sigmas=[0.1] * 19)"
    refused_text(write, text, "joint_weights: has 18 values; 19 expected")
    assert len(load_skeleton(write(text.replace("* 18", "* 19")))) == 19


@pytest.mark.parametrize(
    ("line", "wrong", "says"),
    [
        ("name='tail'", "name='mouth'", "keypoint_info: 'mouth' is the name of more"),
        ("name='tail'", "title='tail'", "keypoint_info: 3: name: None"),
        ("name='tail'", "name=7", "keypoint_info: 3: name: 7"),
        ("name='tail'", "name='ta\\nil'", "keypoints: 'ta\\nil'"),
        ("name='tail'", "name='tail', name='tail'", "a key is given twice"),
        ("3: dict(name='tail'", "4: dict(name='tail'", "keypoint_info: {0: dict"),
        ("3: dict(name='tail'", "'3': dict(name='tail'", "keypoint_info: 3: dict(...) expected"),
        ("3: dict(name='tail'", "2: dict(name='tail'", "a key is given twice"),
        ("swap='left_claw'", "swap='tail'", "keypoint_info: 'left_claw' has swap 'right_claw'"),
        ("swap='left_claw'", "swap='claw'", "does not swap back"),
        ("swap='right_claw'", "swap=['tail']", "keypoint_info: 'left_claw' has swap ['tail']"),
        ("link=('mouth', 'left_claw')", "link=('mouth', 'claw')", "skeleton_info: 0: link"),
        ("link=('mouth', 'left_claw')", "link=('mouth',)", "skeleton_info: 0: link"),
        ("link=('mouth', 'left_claw')", "link='ab'", "skeleton_info: 0: link"),
        ("link=('mouth', 'left_claw')", "lines=1", "skeleton_info: 0: link None"),
        ("link=('mouth', 'left_claw')", "link=('mouth', 'mouth')", "links: ("),
        ("joint_weights=[1.] * 2 + [1.5, +2 - 1]", "joint_weights=3", "joint_weights: is 3"),
        ("[1.5, +2 - 1]", "[1.5, 0]", "joint_weights: 0 is not allowed"),
        ("[1.5, +2 - 1]", "[1.5, True]", "joint_weights: True is not allowed"),
        ("[1.5, +2 - 1]", "[1.5, 'a']", "joint_weights: 'a' is not allowed"),
        ("0.14 / 2", "0.14 / 0", "line 17: float division by zero"),
        ("0.14 / 2", "-0.07", "sigmas: -0.07 is not allowed"),
        ("0.14 / 2", "1e999", "sigmas: inf is not allowed"),
        (", 0.1]", "]", "sigmas: has 3 values; 4 expected"),
        ("dataset_name='crab'", "dataset_name=0", "dataset_name: 0"),
        ("dataset_info = dict(", "info = dict(", "dataset_info = ... expected once, found 0"),
        ("data_root = 'data/crab'", "dataset_info = 1", "found 2 times"),
    ],
)
def test_a_wrong_entry_is_named(write, line, wrong, says):
    assert CRAB.count(line) == 1
    refused_text(write, CRAB.replace(line, wrong), says)


HOSTILE = (
    "__import__('os').system('touch ran')", "open('ran', 'w')", "exec('1')", "print", "().__class__.__bases__",
    "colors['red']", "f'{1}'", "lambda: 1", "[x for x in (1, 2)]", "1 if True else 2", "9 ** 9 ** 9", "1 << 9999",
    "not 1", "~1", "b'bytes'", "1j", "...", "{1, 2}", "{**{}}", "{(1, 2): 3}", "[*[1]]", "(y := 1)",
    "dict([('a', 1)])", "dict(**{'a': 1})", "d.dict(a=1)", "list(a=1)", "'a' * 1000000000", "'a' + 'b'", "'%s' % 'a'",
    "True + True", "[[1] * 100] * 100", "['a'] * 3", "[1] * 3.0", "[1] * 10000000000", "[1] * 10001", "[1] * True",
    "0x" + "f" * 5000, "9223372036854775807 * 2", "[" * 21 + "]" * 21, "[" * 5000, "-" * 5000 + "1",
    "+".join("1" * 30), "1" + "+1" * 50_000, "a" + ".b" * 50_000, "f" + "()" * 50_000, "yield",
)  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_more_than_a_literal_is_refused(write, tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    message = refused(
        lambda: load_skeleton(write(CRAB.replace("dataset_name='crab'", f"dataset_name='crab', extra={value}"))),
        "crab.py",
    )
    assert "line " in message or "not valid Python" in message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "line",
    [
        "import os", "from os import system", "open('ran', 'w')", "def dict(**fields): return fields",
        "class dict: pass", "dict.a = 1", "a, dataset_info = 1, 2", "dataset_info['x'] = 1", "dataset_info: dict = 1",
        "dataset_info |= {}", "for dataset_info in [1]: pass", "if True: dataset_info = 1", "del dataset_info",
        "x = \0", "x = (",
    ],
)  # fmt: skip
def test_a_line_that_does_more_than_assign_is_refused(write, tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    for text in (f"{line}\n{CRAB}", f"{CRAB}\n{line}"):
        message = refused_text(write, text)
        assert "is not allowed; only literals" in message or "not valid Python" in message or "null" in message
    assert not (tmp_path / "ran").exists()


def test_other_assignments_are_not_run(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_skeleton(write(f"x = open('ran', 'w')\n{CRAB}")).name == "crab"
    assert not (tmp_path / "ran").exists()


def test_too_many_keypoints_are_refused(write):
    points = ",".join(f"{k}:{{'name':'{k}'}}" for k in range(2001))
    refused(
        lambda: load_skeleton(write(f"dataset_info = {{'keypoint_info': {{{points}}}}}")),
        "keypoint_info: has 2001 items",
    )
