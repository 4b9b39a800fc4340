"""What each backbone costs: parameters, milliseconds for an image, and what channels-last is worth."""

from collections.abc import Callable, Iterator

import torch
from bench_data import Scale
from bench_loader import one_thread
from bench_step import LAYOUTS
from bench_turns import in_turns, markdown, spread

from semipose.models.pose_network import NetworkPlan, PoseNetwork, build_pose_network
from semipose.skeletons import COCO

SIZE = (192, 256)
BACKBONES = {
    "resnet18": SIZE,
    "resnet50": SIZE,
    "light_unet_deep": SIZE,
    "hrnet_w32": SIZE,
    "hrnet_w48": SIZE,
    "timm/hrnet_w18_small": SIZE,
    "timm/tf_efficientnet_lite0": SIZE,
    "timm/mobilenetv3_large_100": SIZE,
    "timm/convnext_tiny": SIZE,
    "timm/vit_small_patch16_224": SIZE,
    "timm/vit_small_patch14_dinov2": (196, 252),  # multiples of 14
}
QUICK_BACKBONES = {"light_unet": (64, 96), "timm/test_vit": (64, 96)}
BATCH, TURNS = 4, 3  # three turns of all of them take about five minutes
COLUMNS = (
    "backbone", "input", "parameters (M)", "ms/image forward", "channels-last / contiguous",
    "ms/image forward + backward", "channels-last / contiguous (quartiles)",
)  # fmt: skip


def tables(scale: Scale) -> Iterator[str]:
    quick = scale.images < Scale.images
    backbones, turns = (QUICK_BACKBONES, 1) if quick else (BACKBONES, TURNS)
    with one_thread():
        rows = [row(name, size, turns) for name, size in backbones.items()]
    yield markdown(f"Pose networks of {len(COCO)} keypoints, one thread, batch {BATCH}, contiguous", COLUMNS, rows)


def row(name: str, size: tuple[int, int], turns: int) -> tuple:
    functions = {}
    for layout, channels_last in LAYOUTS.items():
        network = build_pose_network(NetworkPlan(name, len(COCO), size), channels_last=channels_last)
        functions[f"forward, {layout}"], functions[f"both, {layout}"] = passes(network, size)
    times = in_turns(functions, turns)
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    cells = [
        (f"{times.ms(f'{what}, contiguous') / BATCH:.1f}",
         spread(times.ratios(f"{what}, channels-last", f"{what}, contiguous")))
        for what in ("forward", "both")
    ]  # fmt: skip
    return name, f"{size[1]}x{size[0]}", f"{millions:.1f}", *cells[0], *cells[1]


def passes(network: PoseNetwork, size: tuple[int, int]) -> tuple[Callable[[], object], Callable[[], None]]:
    """As in prediction, and as in training."""
    images = torch.rand(BATCH, 3, size[1], size[0])

    def forward() -> object:
        with torch.no_grad():
            return network.eval()(images)

    def both() -> None:
        network.train()(images).square().mean().backward()
        network.zero_grad(set_to_none=True)

    return forward, both
