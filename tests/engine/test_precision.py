import pytest
import torch
from small_codecs import make_codec
from torch import nn

from semipose.engine.optimizers import OptimizerSettings
from semipose.engine.precision import AMP, Precision
from semipose.engine.stepper import SKIPPED, UPDATED, Stepper
from semipose.errors import ConfigError, DivergedError
from semipose.models.ema import EmaTeacher
from semipose.models.pose_network import NetworkPlan, build_pose_network

CPU = torch.device("cpu")


def types_inside(network, images) -> set[torch.dtype]:
    """Of the outputs of all convolutions of backbone and neck."""
    seen = set()
    convolutions = [m for m in network.backbone.modules() if isinstance(m, nn.Conv2d)]
    hooks = [m.register_forward_hook(lambda _, __, output: seen.add(output.dtype)) for m in convolutions]
    network(images)
    for hook in hooks:
        hook.remove()
    return seen


def scaled(stepper: Stepper, scale: float) -> Stepper:
    """As with fp16 on a GPU; the loss scale itself works on a CPU too."""
    stepper.precision.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=4)
    return stepper


def test_students_and_teachers_compute_in_16_bits_inside_a_step_only():
    student = build_pose_network(NetworkPlan("light_unet", 3, (32, 48)))
    both = nn.ModuleList([student, EmaTeacher(student, 0.9)])
    precision, images = Precision("bf16", CPU, both), torch.rand(1, 3, 48, 32)
    for network in (student, both[1].module):
        assert types_inside(network, images) == {torch.float32}
        with precision.forward_pass():
            assert types_inside(network, images) == {torch.bfloat16}
        assert types_inside(network, images) == {torch.float32}


def test_heatmaps_weights_gradients_and_statistics_stay_float32():
    network = build_pose_network(NetworkPlan("light_unet", 3, (32, 48))).train()
    with Precision("bf16", CPU, network).forward_pass():
        features = network.features(torch.rand(2, 3, 48, 32))
        heatmaps = network.head(features)
    heatmaps.square().mean().backward()
    assert features.dtype == heatmaps.dtype == torch.float32
    assert {p.grad.dtype for p in network.parameters()} == {torch.float32}
    assert {b.dtype for b in network.buffers()} == {torch.float32, torch.int64}


def test_decoding_does_not_see_the_steps_of_bfloat16():
    """Heatmaps have one highest pixel each; of 8 bits, as from a last layer in bfloat16, they have several."""
    target, _ = make_codec((128, 192), (32, 48)).encode(torch.rand(1, 40, 2) * 100 + 14, torch.ones(1, 40))
    assert (peaks(target) == 1).all() and (peaks(target.bfloat16()) > 1).any()
    network = build_pose_network(NetworkPlan("light_unet", 40, (32, 48)))
    nn.init.normal_(network.head.final.weight)
    with Precision("bf16", CPU, network).forward_pass():
        heatmaps = network(torch.rand(2, 3, 192, 128))
    assert (peaks(heatmaps) == 1).all()


def peaks(heatmaps: torch.Tensor) -> torch.Tensor:
    """(B, K) how many pixels are the highest."""
    return (heatmaps == heatmaps.amax((-2, -1), keepdim=True)).sum((-2, -1))


@pytest.mark.parametrize(("name", "message"), [("fp8", f"allowed: {', '.join(AMP)}"), ("fp16", "needs a GPU")])
def test_what_is_not_there_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        Precision(name, CPU)


def test_the_loss_scale_is_taken_out_of_the_gradient_before_clipping():
    nets = [nn.Linear(2, 1), nn.Linear(2, 1)]
    nets[1].load_state_dict(nets[0].state_dict())
    settings = OptimizerSettings("sgd", lr=0.1, schedule="constant", clip_norm=0.5)
    steppers = [Stepper({"all": [net]}, settings, 4) for net in nets]
    scaled(steppers[1], 2.0**10)
    for _ in range(5):
        for net, stepper in zip(nets, steppers):
            assert stepper.step("all", net(torch.ones(1, 2)).square().sum(), 0) == UPDATED
    assert steppers[1].precision.scaler.get_scale() == 2.0**11  # grown after four good steps
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


def test_an_overflow_of_the_scaled_gradient_lowers_the_scale_and_is_no_divergence():
    net = nn.Linear(1, 1)
    stepper = scaled(Stepper({"all": [net]}, OptimizerSettings(max_nonfinite=0), 10), 2.0**126)
    before = net.weight.clone()
    outcomes = [stepper.step("all", net(torch.ones(1, 1)).sum() * 1e3, step) for step in range(9)]
    first = outcomes.index(UPDATED)
    assert first > 0 and set(outcomes[:first]) == {SKIPPED} and set(outcomes[first:]) == {UPDATED}
    assert stepper.skipped == first and not torch.equal(net.weight, before)
    state = stepper.state_dict()
    other = scaled(Stepper({"all": [net]}, OptimizerSettings(), 10), 4.0)
    other.load_state_dict(state)
    assert other.precision.scaler.get_scale() == stepper.precision.scaler.get_scale()


def test_a_gradient_that_no_scale_makes_finite_is_a_divergence():
    net = nn.Linear(1, 1)
    stepper = scaled(Stepper({"all": [net]}, OptimizerSettings(max_nonfinite=0), 10), 2.0)
    with pytest.raises(DivergedError, match="gradient .*step 1"):
        for step in range(9):
            stepper.step("all", (net(torch.zeros(1, 1)) - net.bias).abs().sqrt().sum(), step)


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_mixed_precision_trains(name, device):
    if name == "fp16" and device.type == "cpu":
        name = "off"  # refused there
    network = build_pose_network(NetworkPlan("light_unet", 3, (32, 48))).to(device).train()
    stepper = Stepper(
        {"all": [network]}, OptimizerSettings("adamw", fused=True), 20, Precision(name, device, network)
    )  # fmt: skip
    images, losses = torch.rand(4, 3, 64, 48, device=device), []
    for step in range(20):
        with stepper.forward_pass("all"):
            loss = (network(images) - 0.5).square().mean()
        stepper.step("all", loss, step)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
