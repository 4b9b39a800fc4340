import pytest
import torch

from semipose.models.manifold_mix import mix_rows, mixed_inside
from semipose.models.pose_network import NetworkPlan, build_pose_network

PERMUTATION = torch.tensor([1, 2, 0])


@pytest.fixture(scope="module", params=["light_unet", "resnet18"])
def network(request):
    torch.manual_seed(0)
    return build_pose_network(NetworkPlan(request.param, 4, (64, 64))).eval()


def stage_output(network, stage, images, run):
    """Output of an early stage as the next module gets it."""
    seen = []
    hook = network.early_stages[stage].register_forward_hook(lambda _, inputs, output: seen.append(output))
    heatmaps = run(images)
    hook.remove()
    return seen[0], heatmaps


def has_hooks(network):
    return any(module._forward_hooks for module in network.modules())


def test_mix_rows_equals_a_loop():
    x = torch.rand(3, 2, 5, 4)
    mixed = mix_rows(x, PERMUTATION, 0.3)
    for row, partner in enumerate(PERMUTATION.tolist()):
        assert torch.allclose(mixed[row], 0.3 * x[row] + 0.7 * x[partner])


def stages(network):
    return range(len(network.early_stages))


def test_a_mixture_of_nothing_but_the_partner_is_the_partner(network):
    """No path of the network, a skip connection least of all, may show the image itself."""
    images = torch.rand(3, 3, 64, 32)
    with torch.no_grad():
        expected = network.features(images[PERMUTATION])
        for stage in stages(network):
            with mixed_inside(network, stage, PERMUTATION, 0.0):
                torch.testing.assert_close(network.features(images), expected)


@pytest.mark.parametrize("stage", [0, 1])
def test_images_are_mixed_after_the_stage(network, stage):
    images = torch.rand(3, 3, 64, 32)
    with torch.no_grad():
        plain, heatmaps = stage_output(network, stage, images, network)
        with mixed_inside(network, stage, PERMUTATION, 0.3):
            mixed, mixed_heatmaps = stage_output(network, stage, images, network)
    assert torch.allclose(mixed, mix_rows(plain, PERMUTATION, 0.3))
    assert not any(torch.equal(*pair) for pair in zip(mixed_heatmaps, heatmaps))


def test_gradient_flows_to_both_images(network):
    images = torch.rand(3, 3, 64, 32, requires_grad=True)
    with mixed_inside(network, 1, PERMUTATION, 0.3):
        network(images)[1].square().sum().backward()  # image 1 is mixed with image 2
    reached = images.grad.abs().sum(dim=(1, 2, 3)) > 0
    assert reached.tolist() == [False, True, True]


def test_nothing_is_left_behind(network):
    images = torch.rand(3, 3, 64, 32)
    with torch.no_grad():
        plain = network(images)
        with mixed_inside(network, 0, PERMUTATION, 0.3):
            assert has_hooks(network)
        assert not has_hooks(network)
        with pytest.raises(ValueError, match="inside"), mixed_inside(network, 0, PERMUTATION, 0.3):
            raise ValueError("inside")
        assert not has_hooks(network)
        assert torch.equal(network(images), plain)


def test_statistics_of_batchnorm_do_not_move(network):
    before = {name: value.clone() for name, value in network.named_buffers() if "running" in name}
    network.train()
    with mixed_inside(network, 1, PERMUTATION, 0.3):
        network(torch.rand(3, 3, 64, 32))
    after = dict(network.named_buffers())
    assert before and all(torch.equal(value, after[name]) for name, value in before.items())
    network(torch.rand(3, 3, 64, 32))
    assert not any(torch.equal(value, after[name]) for name, value in before.items())
    network.eval()
