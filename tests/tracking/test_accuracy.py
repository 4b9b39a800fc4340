import math

import pytest
import torch

from semipose.structures import LabeledOutput
from semipose.tracking.accuracy import PoseAccuracy, pose_accuracy


def output_of(found, points, weights, size=(26, 44)) -> LabeledOutput:
    return LabeledOutput(lambda: (found, torch.ones(found.shape[:2])), points, weights, size)


def draw(batch=5, joints=7, size=(26, 44), seed=0) -> LabeledOutput:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(batch, joints, 2, generator=generator) * torch.tensor(size)
    found = points + torch.randn(batch, joints, 2, generator=generator)
    weights = (torch.rand(batch, joints, generator=generator) < 0.6).float()
    weights[:, 2] = 0
    return output_of(found, points, weights, size)


def accuracy_by_loop(output: LabeledOutput) -> float:
    (found, _), (width, height) = output.decode(), output.size
    shares = []
    for joint in range(found.shape[1]):
        hits = []
        for image in range(len(found)):
            if output.weights[image, joint] > 0:
                x, y = (found - output.points)[image, joint].tolist()
                hits.append(math.hypot(x / (width / 10), y / (height / 10)) < 0.5)
        if hits:
            shares.append(sum(hits) / len(hits))
    return sum(shares) / len(shares) if shares else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_a_loop(seed):
    output = draw(seed=seed)
    assert 0 < accuracy_by_loop(output) < 1
    assert float(pose_accuracy(output)) == pytest.approx(accuracy_by_loop(output), abs=1e-6)


def test_the_tolerance_is_half_a_tenth_of_each_side():
    points = torch.tensor([[[10.0, 20.0]]])
    steps = [(0, 0), (0, 1.9), (0, 2.1), (0.9, 0), (1.1, 0)]  # a tenth is 2 pixels across and 4 down
    found = [points + torch.tensor(step) for step in steps]
    each = [float(pose_accuracy(output_of(point, points, torch.ones(1, 1), (20, 40)))) for point in found]
    assert each == [1, 1, 0, 1, 0]


def test_nothing_labelled_is_zero():
    output = draw()
    assert float(pose_accuracy(output_of(output.points, output.points, torch.zeros(5, 7)))) == 0


def test_mean_over_students_computed_only_when_read(monkeypatch):
    outputs = draw(seed=1), draw(seed=2)
    expected = sum(map(accuracy_by_loop, outputs)) / 2
    calls = []
    monkeypatch.setattr("semipose.tracking.accuracy.pose_accuracy", lambda o: calls.append(o) or pose_accuracy(o))
    value = PoseAccuracy(outputs)
    assert calls == []
    assert [float(value), float(value)] == pytest.approx([expected] * 2, abs=1e-6)
    assert len(calls) == 2
