"""The learned density of rle."""

import math

import torch
from torch import nn

from semipose.codecs import CODECS, CodecSettings
from semipose.codecs.flow import RealNVP
from semipose.codecs.rle import LEAST_SIGMA


def trained_flow():
    """A flow that is far from the standard normal distribution it begins with."""
    torch.manual_seed(0)
    flow = RealNVP()
    for layer in flow.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.8 / layer.in_features**0.5)
            nn.init.normal_(layer.bias, std=0.3)
    return flow


def test_the_determinant_is_that_of_the_jacobian():
    flow, places = trained_flow(), torch.randn(10, 2, generator=torch.Generator().manual_seed(1))
    _, log_det = flow.to_normal(places)
    jacobians = [torch.autograd.functional.jacobian(lambda v: flow.to_normal(v)[0], place) for place in places]
    expected = torch.stack([torch.linalg.det(jacobian).abs().log() for jacobian in jacobians])
    torch.testing.assert_close(log_det, expected, atol=1e-4, rtol=1e-4)
    assert log_det.abs().max() > 0.1


def test_the_density_adds_up_to_one():
    flow = trained_flow()
    axis = torch.linspace(-15, 15, 201)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    with torch.no_grad():
        mass = flow.log_density(places).exp().sum() * (axis[1] - axis[0]) ** 2
    assert abs(mass.item() - 1) < 0.01


def test_a_new_flow_is_about_normal():
    torch.manual_seed(0)
    places = torch.randn(20, 2)
    expected = -0.5 * places.square().sum(-1) - math.log(2 * math.pi)
    torch.testing.assert_close(RealNVP().log_density(places), expected, atol=0.05, rtol=0.02)


def test_the_loss_equals_a_loop_over_keypoints():
    codec = CODECS["rle"](CodecSettings((96, 128), 3))
    head = codec.make_head(4)
    head.flow = trained_flow()
    output = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    target = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(1))
    loss = codec.loss(output, target, head)
    for b in range(2):
        for k in range(3):
            sigma = [LEAST_SIGMA + (1 - LEAST_SIGMA) / (1 + math.exp(-v)) for v in output[b, k, 2:].tolist()]
            error = [((output[b, k, i] - target[b, k, i]) / sigma[i]).item() for i in range(2)]
            learned = head.flow.log_density(torch.tensor(error)).item()
            terms = [2 * math.log(sigma[i]) + math.log(2) + abs(error[i]) - learned for i in range(2)]
            assert math.isclose(loss[b, k].item(), sum(terms) / 2, rel_tol=1e-4)


def test_the_flow_is_trained_and_saved_with_the_head():
    codec = CODECS["rle"](CodecSettings((96, 128), 3))
    head = codec.make_head(4)
    target, _ = codec.encode(50 * torch.rand(2, 3, 2), torch.ones(2, 3))
    codec.loss(head(torch.randn(2, 4, 8, 6)), target, head).sum().backward()
    assert all(weight.grad.abs().max() > 0 for weight in head.flow.parameters() if weight.dim() == 2)
    assert any(name.startswith("flow.") for name in head.state_dict())


def test_the_average_is_that_of_sigmas_and_not_of_their_logits():
    codec = CODECS["rle"](CodecSettings((96, 128), 1))
    sure, unsure = torch.tensor([[[0.5, 0.5, -8.0, -8.0]]]), torch.tensor([[[0.5, 0.5, 0.0, 0.0]]])
    scores = [codec.decode(output)[1].item() for output in (sure, unsure, codec.average([sure, unsure]))]
    assert math.isclose(scores[2], (scores[0] + scores[1]) / 2, abs_tol=1e-5)


def test_what_was_learned_by_heart_is_not_lost_at_a_constant_rate():
    codec = CODECS["rle"](CodecSettings((48, 64), 6))
    torch.manual_seed(0)
    features, points = torch.randn(4, 64, 2, 2), 5 + 35 * torch.rand(4, 6, 2)
    layer, head = nn.Linear(64 * 4, 64 * 4), codec.make_head(64)
    target, _ = codec.encode(points, torch.ones(4, 6))
    optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=2e-3)
    errors = []
    for _ in range(400):
        output = head(layer(features.flatten(1)).view(features.shape))
        errors.append((codec.decode(output.detach())[0] - points).norm(dim=-1).mean().item())
        optimizer.zero_grad()
        codec.loss(output, target, head).mean().backward()
        optimizer.step()
    assert errors[0] > 10 and max(errors[150:]) < 3
