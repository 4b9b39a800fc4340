"""Steps on a GPU: how many images a second, what share the networks have, and what bounds it."""

import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from bench_data import first_batch, make_algorithm, make_dataset, write_images
from bench_step import bare_passes, whole_step
from torch import nn

from semipose.algorithms import Algorithm
from semipose.data.loaders import PairLoader, Side
from semipose.engine.precision import Precision
from semipose.models.pose_network import NetworkPlan, build_pose_network
from semipose.skeletons import COCO
from semipose.structures import PairBatch

PRECISIONS = {"off": "float32", "bf16": "bf16", "fp16": "fp16"}
QUEUED = 3  # steps that are queued without waiting, to see what the CPU needs for one


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def cotraining_rows(scale, device: torch.device, folder: Path) -> Iterator[tuple[str, str, str]]:
    """cotrain1 in each precision, with batches that lie on the device, and the loader beside it."""
    (folder / "pictures").mkdir()
    persons = write_images(folder / "pictures", 2 * scale.batch)
    batch = first_batch(persons, scale.size, scale.batch).to(device)
    dataset = make_dataset(persons, scale.size, "ram", folder)
    loading = loader_seconds(PairLoader(Side(dataset, scale.batch), Side(dataset, scale.batch)))
    title = f"cotrain1 {scale.backbone} {scale.size[1]}x{scale.size[0]} {scale.batch}+{scale.batch}"
    for amp, name in PRECISIONS.items():
        if amp == "fp16" and device.type == "cpu":
            continue
        yield f"{title}, {name}", *step_cells(scale, device, batch, amp, loading)
    yield "its loader, crops in memory, no workers", f"{2 * scale.batch / loading:.0f} images/s", ""


def step_cells(scale, device: torch.device, batch: PairBatch, amp: str, loading: float) -> tuple[str, str]:
    """Images a second; the share of bare passes of the networks, what bounds the step, and the peak memory."""
    algorithm = on_device(make_algorithm("cotrain1", scale.backbone, scale.size, True), device)
    step, bare = whole_step(algorithm, batch, amp), in_precision(algorithm, bare_passes(algorithm, batch), amp, device)
    forget_peak(device)
    whole = seconds(step, device, scale.seconds)
    memory = peak(device)
    queued, networks = launch_seconds(step, device), seconds(bare, device, scale.seconds)
    share = f"networks {100 * networks / whole:.0f} % of {1e3 * whole:.1f} ms"
    return f"{len(batch) / whole:.0f} images/s", f"{share}; {bound(whole, queued, loading, device)}; {memory}"


def bound(whole: float, queued: float, loading: float, device: torch.device) -> str:
    """What the time of a step is decided by, with the three times in milliseconds.

    Args:
        whole: seconds of a step; queued: seconds in which the CPU hands one to the GPU; loading: seconds of a batch in
            one process, which workers divide among them.
    """
    if device.type == "cpu":
        return "bound by the CPU"
    by = "the CPU, which launches it" if queued > 0.9 * whole else "the GPU"
    workers = int(-(-loading // whole))
    return f"bound by {by} (launching {1e3 * queued:.1f} ms); {workers} loader processes keep up"


def network_rows(scale, device: torch.device) -> Iterator[tuple[str, str, str]]:
    """Forward, backward and update of one network on a labelled batch."""
    for amp, name in PRECISIONS.items():
        if amp == "fp16" and device.type == "cpu":
            continue
        network = build_pose_network(NetworkPlan(scale.second, len(COCO), scale.size), channels_last=True).to(device)
        images = torch.rand(scale.batch, 3, scale.size[1], scale.size[0], device=device)
        forget_peak(device)
        taken = seconds(network_step(network, images, amp), device, scale.seconds)
        title = f"{scale.second} {scale.size[1]}x{scale.size[0]}, supervised step of {scale.batch}, {name}"
        yield title, f"{1e3 * taken:.1f} ms", f"{scale.batch / taken:.0f} images/s; {peak(device)}"


def network_step(network: nn.Module, images: torch.Tensor, amp: str) -> Callable[[], None]:
    precision = Precision(amp, images.device, network)
    optimizer = torch.optim.Adam(network.parameters(), fused=images.device.type == "cuda")

    def step() -> None:
        with precision.forward_pass():
            output = network(images)
        precision.backward(output.square().mean(), optimizer)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def on_device(algorithm: Algorithm, device: torch.device) -> Algorithm:
    for record in algorithm.records.values():
        record.to(device)
    return algorithm.to(device)


def in_precision(algorithm: Algorithm, passes: Callable[[], None], amp: str, device: torch.device) -> Callable:
    precision = Precision(amp, device, algorithm)

    def run() -> None:
        with precision.forward_pass():
            passes()

    return run


def loader_seconds(loader: PairLoader) -> float:
    """Of one batch, once the crops are in the cache."""
    list(loader.batches(0))
    start, count = time.perf_counter(), 0
    for number in (1, 2):
        count += sum(1 for _ in loader.batches(number))
    return (time.perf_counter() - start) / count


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], None], device: torch.device, budget: float) -> float:
    """Of one call, with the GPU kept busy; called for `budget` seconds after three calls that do not count."""
    for _ in range(3):
        function()
    wait(device)
    start, calls = time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - start < budget:
        function()
        calls += 1
        if calls % 5 == 0:
            wait(device)  # else the queue grows long after the budget
    wait(device)
    return (time.perf_counter() - start) / calls


def launch_seconds(function: Callable[[], None], device: torch.device) -> float:
    """What the CPU needs for one call when it does not wait for the GPU."""
    wait(device)
    start = time.perf_counter()
    for _ in range(QUEUED):
        function()
    taken = (time.perf_counter() - start) / QUEUED
    wait(device)
    return taken


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> str:
    if device.type == "cpu":
        return "no memory is counted on a CPU"
    return f"peak {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB"
