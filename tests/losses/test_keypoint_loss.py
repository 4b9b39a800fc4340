import pytest
import torch

from semipose.losses import heatmap_mse, reduce_keypoints


def maps(seed=0, shape=(3, 5, 8, 6)):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_zero_at_equality():
    assert torch.equal(heatmap_mse(maps(), maps()), torch.zeros(3, 5))


def test_mse_equals_a_loop_over_joints():
    output, target = maps(1), maps(2)
    loss = heatmap_mse(output, target)
    for b in range(3):
        for k in range(5):
            pixels = zip(output[b, k].flatten().tolist(), target[b, k].flatten().tolist(), strict=True)
            assert loss[b, k].item() == pytest.approx(sum((p - t) ** 2 for p, t in pixels) / 48 / 2, rel=1e-5)


def test_reducer_divides_by_all_joints_not_by_the_weights():
    loss, weights = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.5, 2.0]])
    assert reduce_keypoints(loss, weights).item() == pytest.approx((1 + 1.5 + 8) / 4)


def test_all_ones_equal_unweighted_bit_for_bit():
    loss = heatmap_mse(maps(3, (7, 17, 9, 5)), maps(4, (7, 17, 9, 5)))
    assert torch.equal(reduce_keypoints(loss, torch.ones_like(loss)), loss.sum() / loss.numel())
    # a sum times 1/n and a sum over n may differ in the last bit; the mean is the same to that bit
    assert torch.allclose(reduce_keypoints(loss, torch.ones_like(loss)), loss.mean(), rtol=2e-7, atol=0)


def test_weight_zero_joints_add_nothing_to_loss_or_gradient():
    target, weights = maps(6), torch.ones(3, 5)
    weights[0, 2] = weights[1] = 0
    kept = weights[..., None, None] > 0
    results = []
    for rubbish in (0.0, 1e3):
        output = torch.where(kept, maps(5), maps(5) + rubbish).requires_grad_()
        loss = reduce_keypoints(heatmap_mse(output, target), weights)
        loss.backward()
        results.append((loss.detach(), output.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert (results[0][1][~kept.expand_as(target)] == 0).all()
    assert (results[0][1][kept.expand_as(target)] != 0).any()


def test_gradient_by_hand():
    output = torch.full((1, 1, 2, 2), 3.0, requires_grad=True)
    reduce_keypoints(heatmap_mse(output, torch.ones(1, 1, 2, 2)), torch.full((1, 1), 0.5)).backward()
    assert output.grad.flatten().tolist() == pytest.approx([0.25] * 4)
