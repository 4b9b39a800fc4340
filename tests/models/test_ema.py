import copy
import pickle

import pytest
import torch
from torch import nn

from semipose.models.ema import EmaTeacher


def student_of(value: float) -> nn.Module:
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    set_all(net, value)
    return net


def set_all(net: nn.Module, value: float) -> None:
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.fill_(value)


def values(teacher: EmaTeacher) -> dict[str, float]:
    return {name: float(t) for name, t in teacher.module.state_dict().items()}


@pytest.mark.parametrize(
    "decay, expected",
    [
        (0.995, [1.9, 2.8, 3.7]),  # decays 1/10, 2/11, 3/12
        (0.15, [1.9, 2.835, 3.82525]),  # decays 1/10, then the limit 0.15
    ],
)
def test_three_updates_by_hand(decay, expected):
    student = student_of(1.0)
    teacher = EmaTeacher(student, decay)
    for step, target in enumerate(expected):
        set_all(student, step + 2.0)
        teacher.update(student)
        got = values(teacher)
        assert got.pop("1.num_batches_tracked") == step + 2  # integer buffer: copied
        assert all(value == pytest.approx(target, rel=1e-6) for value in got.values())
        assert "1.running_mean" in got


def test_all_tensors_at_once_are_as_one_by_one_to_the_last_bit():
    student = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)).to(memory_format=torch.channels_last)
    teacher, slow = EmaTeacher(student, 0.999), copy.deepcopy(student)
    for step in range(4):
        with torch.no_grad():
            for tensor in student.state_dict().values():
                tensor.copy_(torch.randn(tensor.shape) * 10)
            for ours, theirs in zip(slow.state_dict().values(), student.state_dict().values()):
                ours.lerp_(theirs, 1 - (step + 1) / (step + 10)) if ours.is_floating_point() else ours.copy_(theirs)
        teacher.update(student)
    pairs = zip(teacher.module.state_dict().values(), slow.state_dict().values(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_stays_in_eval_mode_when_a_parent_trains():
    student = student_of(1.0).train()
    parent = nn.ModuleList([student, EmaTeacher(student, 0.9)]).train()
    assert student.training
    assert not any(module.training for module in parent[1].modules())
    before = values(parent[1])
    parent[1](torch.rand(4, 1, 2, 2))
    assert values(parent[1]) == before  # BatchNorm did not see the batch


def test_no_gradients_reach_the_teacher():
    student = student_of(1.0)
    teacher = EmaTeacher(student, 0.9)
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher(torch.rand(1, 1, 2, 2, requires_grad=True)).requires_grad
    assert all(p.requires_grad for p in student.parameters())
    teacher.update(student)
    assert not any(p.requires_grad for p in teacher.parameters())


def test_saved_teacher_continues_exactly(tmp_path):
    student = student_of(1.0)
    teacher = EmaTeacher(student, 0.995)
    for step in range(3):
        set_all(student, step + 2.0)
        teacher.update(student)
    torch.save(teacher.state_dict(), tmp_path / "teacher.pth")
    other = EmaTeacher(student_of(9.0), 0.995)
    other.load_state_dict(torch.load(tmp_path / "teacher.pth", weights_only=True))
    set_all(student, 11.0)
    for each in (teacher, other):
        each.update(student)
    assert values(other) == values(teacher)
    assert values(other)["0.weight"] == pytest.approx(4 / 13 * 3.7 + 9 / 13 * 11.0)  # fourth update: decay 4/13


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["copy", "pickle"])
def test_copies_keep_the_update_rule(duplicate):
    student = student_of(1.0)
    teacher = duplicate(EmaTeacher(student, 0.995))
    set_all(student, 2.0)
    teacher.update(student)
    assert values(teacher)["0.weight"] == pytest.approx(1.9)
