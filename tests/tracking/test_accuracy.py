import math

import pytest
import torch

from semipose.structures import LabeledOutput
from semipose.tracking.accuracy import PoseAccuracy, pose_accuracy


def draw(batch=5, joints=7, height=44, width=26, seed=0) -> LabeledOutput:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(batch, joints, height, width, generator=generator)
    near = target.roll((1, 1), (-2, -1)) * (torch.rand(batch, joints, 1, 1, generator=generator) < 0.5)
    heatmaps = torch.where(near.amax((-2, -1), keepdim=True) > 0, near, target.flip(-1))
    weights = (torch.rand(batch, joints, generator=generator) < 0.6).float()
    weights[:, 2] = 0
    return LabeledOutput(heatmaps, target, weights)


def accuracy_by_loop(output: LabeledOutput) -> float:
    batch, joints, height, width = output.heatmaps.shape
    shares = []
    for joint in range(joints):
        hits = []
        for image in range(batch):
            if output.weights[image, joint] > 0:
                y, x = divmod(int(output.heatmaps[image, joint].argmax()), width)
                v, u = divmod(int(output.target[image, joint].argmax()), width)
                hits.append(math.hypot((x - u) / (width / 10), (y - v) / (height / 10)) < 0.5)
        if hits:
            shares.append(sum(hits) / len(hits))
    return sum(shares) / len(shares) if shares else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_a_loop(seed):
    output = draw(seed=seed)
    assert 0 < accuracy_by_loop(output) < 1
    assert float(pose_accuracy(output)) == pytest.approx(accuracy_by_loop(output), abs=1e-6)


def test_the_tolerance_is_half_a_tenth_of_each_side():
    target, found = torch.zeros(1, 4, 40, 20), torch.zeros(1, 4, 40, 20)
    target[:, :, 20, 10] = 1
    for joint, (y, x) in enumerate([(20, 10), (21, 10), (22, 10), (20, 11)]):  # 2 rows or 1 column are too far
        found[0, joint, y, x] = 1
    each = [float(pose_accuracy(LabeledOutput(found[:, k : k + 1], target[:, :1], torch.ones(1, 1)))) for k in range(4)]
    assert each == [1, 1, 0, 0]


def test_nothing_labelled_is_zero():
    output = draw()
    assert float(pose_accuracy(LabeledOutput(output.heatmaps, output.target, torch.zeros(5, 7)))) == 0


def test_mean_over_students_computed_only_when_read(monkeypatch):
    outputs = draw(seed=1), draw(seed=2)
    expected = sum(map(accuracy_by_loop, outputs)) / 2
    calls = []
    monkeypatch.setattr("semipose.tracking.accuracy.pose_accuracy", lambda o: calls.append(o) or pose_accuracy(o))
    value = PoseAccuracy(outputs)
    assert calls == []
    assert [float(value), float(value)] == pytest.approx([expected] * 2, abs=1e-6)
    assert len(calls) == 2
