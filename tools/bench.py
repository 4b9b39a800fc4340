"""Where the time goes: loading, and what a training step costs besides the networks. Prints tables; asserts nothing.

python tools/bench.py            # what `make bench` runs; a few minutes on two cores
python tools/bench.py --quick    # the same with small images and fewer repeats
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from semipose.algorithms import ALGORITHMS, Algorithm
from semipose.algorithms.algorithm import Recipe
from semipose.algorithms.terms import forward_together
from semipose.augment.views import ViewPolicies, ViewSampler
from semipose.codecs import HeatmapCodec
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.loaders import PairLoader
from semipose.data.person_dataset import PersonDataset
from semipose.engine.stepper import OptimizerSettings, Stepper
from semipose.inference.predictor import predict_heatmaps
from semipose.models.pose_network import build_pose_network
from semipose.pseudo_labels import PseudoLabeler
from semipose.skeletons import COCO
from semipose.structures import PairBatch, Persons

BATCH = 8
IMAGES = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small images, few repeats: only to see that it works")
    quick = parser.parse_args().quick
    size, repeats, images = ((64, 96), 2, 32) if quick else ((192, 256), 7, IMAGES)
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, input {size[1]}x{size[0]}, batch {BATCH}+{BATCH}")
    with tempfile.TemporaryDirectory() as folder:
        persons = write_images(Path(folder), images)
        bench_loader(persons, size, Path(folder))
        batch = first_batch(persons, size)
    for name in ("pose_dual", "cotrain1"):
        bench_step(name, size, batch, repeats)
    with tempfile.TemporaryDirectory() as folder:
        persons = write_images(Path(folder), images)
        bench_turns("light_unet", (64, 64), (16, 32), persons, repeats)
        bench_turns("resnet18", size, (BATCH, BATCH), persons, repeats)


def write_images(folder: Path, count: int) -> Persons:
    """JPEG pictures of 640x480 with one person box each."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{i}.jpg"), cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC))
    boxes = np.tile(np.array([[200, 60, 180, 360]], dtype=np.float32), (count, 1))
    keypoints = np.concatenate([rng.uniform((200, 60), (380, 420), (count, 17, 2)), np.ones((count, 17, 1))], -1)
    return Persons(
        image_paths=np.array([str(folder / f"{i}.jpg") for i in range(count)]), image_ids=np.arange(count),
        image_index=np.arange(count, dtype=np.int32), ids=np.arange(count), boxes=boxes,
        keypoints=keypoints.astype(np.float32), areas=np.full(count, 1e4, np.float32),
        scores=np.ones(count, np.float32),
    )  # fmt: skip


def make_dataset(persons: Persons, size: tuple[int, int], cache: str, folder: Path) -> PersonDataset:
    crops = ContextCrops(persons, size, margin=1.25, padding=1.25)
    return PersonDataset(make_crop_source(crops, cache, folder), [1.0] * len(COCO), "replace")


def bench_loader(persons: Persons, size: tuple[int, int], folder: Path) -> None:
    """Samples per second of one loader process."""
    print("\nloader, one worker process             samples/s")
    for cache, title in (("none", "decode and crop"), ("ram", "from the cache, RAM"), ("disk", "from the cache, disk")):
        loader = PairLoader(make_dataset(persons, size, cache, folder), None, (BATCH, 0), 0, 0, workers=1)
        fill = sum(len(batch.labeled) for batch in loader.batches(0))
        start = time.perf_counter()
        count = sum(len(batch.labeled) for batch in loader.batches(1))
        assert fill == count == len(persons)
        print(f"  {title:34s} {count / (time.perf_counter() - start):10.0f}")


def first_batch(persons: Persons, size: tuple[int, int]) -> PairBatch:
    dataset = make_dataset(persons, size, "none", Path("."))
    rows = list(range(BATCH))
    return PairBatch(dataset.__getitems__(rows), dataset.__getitems__(rows).without_labels())


def make_algorithm(name: str, size: tuple[int, int], channels_last: bool, backbone: str = "resnet18") -> Algorithm:
    kind = ALGORITHMS[name]
    torch.manual_seed(0)
    students = [build_pose_network(backbone, len(COCO), "", channels_last) for _ in range(kind.num_students)]
    codec = HeatmapCodec(size, students[0].heatmap_size(size), 2.0)
    views = ViewSampler(ViewPolicies(), COCO, size, students[0].mean.flatten(), 0)
    return kind(students, Recipe(codec, views, PseudoLabeler(codec), unlabeled_size=IMAGES)).train()


def bench_step(name: str, size: tuple[int, int], batch: PairBatch, repeats: int) -> None:
    """A whole step against the bare forward and backward passes that it needs, in turns."""
    print(f"\n{name}, ResNet-18               ms/step   bare passes   outside the networks   images/s")
    for channels_last in (False, True):
        algorithm = make_algorithm(name, size, channels_last)
        stepper = Stepper({"all": algorithm.learners("all")}, OptimizerSettings(), 1000)
        step, bare = whole_step(algorithm, stepper, batch), bare_passes(algorithm, batch)
        step(), bare()
        times = [(clock(step), clock(bare)) for _ in range(repeats)]
        whole, passes = (statistics.median(column) for column in zip(*times))
        outside = statistics.median(1 - b / a for a, b in times)
        title = "channels-last" if channels_last else "contiguous"
        print(
            f"  {title:30s} {1e3 * whole:8.0f} {1e3 * passes:13.0f} {100 * outside:20.1f} % {2 * BATCH / whole:10.1f}"
        )


def whole_step(algorithm: Algorithm, stepper: Stepper, batch: PairBatch) -> Callable[[], None]:
    def step() -> None:
        stepper.step("all", algorithm(batch, 0, "all").loss, 0)
        algorithm.after_step("all")

    return step


def bare_passes(algorithm: Algorithm, batch: PairBatch) -> Callable[[], None]:
    """The same networks on ready-made views: each teacher once, each student forward and backward."""
    draws = algorithm.recipe.views.at_step(0)
    labeled, easy = draws.labeled(batch.labeled), draws.easy(batch.unlabeled)

    def passes() -> None:
        for student in algorithm.learners("all"):
            predict_heatmaps(student.network, easy, algorithm.recipe.codec)
            features = forward_together(student, [labeled.images, easy.images])
            outputs = [student.heatmaps(found) for found in features]
            torch.stack([nn.functional.mse_loss(o, torch.zeros_like(o)) for o in outputs]).sum().backward()
            student.zero_grad(set_to_none=True)

    return passes


def bench_turns(
    backbone: str, size: tuple[int, int], batches: tuple[int, int], persons: Persons, repeats: int
) -> None:  # fmt: skip
    """Joint against sequential co-training: one update of each network, loading included, in turns."""
    dataset = make_dataset(persons, size, "ram", Path("."))
    updates = {}
    for name in ("cotrain1", "cotrain"):
        loader = PairLoader(dataset, dataset, batches, 0, 0, workers=0)
        updates[name] = update_of_each(make_algorithm(name, size, True, backbone), loader)
        updates[name]()
    times = [{name: clock(updates[name]) for name in order} for order in orders(list(updates), 2 * repeats)]
    joint, sequential = (statistics.median(row[name] for row in times) for name in updates)
    ratio = statistics.median(row["cotrain1"] / row["cotrain"] for row in times)
    print(
        f"\nco-training, {backbone}, {size[1]}x{size[0]}, batch {batches[0]}+{batches[1]}, one update of each network"
    )
    print(f"  joint {1e3 * joint:.0f} ms, sequential {1e3 * sequential:.0f} ms, joint / sequential {ratio:.2f}")


def orders(names: list[str], count: int) -> list[list[str]]:
    """Each second time the other way round, so that none is always the first."""
    return [names[:: 1 if number % 2 else -1] for number in range(count)]


def update_of_each(algorithm: Algorithm, loader: PairLoader) -> Callable[[], None]:
    """One optimiser step of every phase, each with a batch of its own, as the trainer makes them."""
    stepper = Stepper({phase: algorithm.learners(phase) for phase in algorithm.phases}, OptimizerSettings(), 1000)
    batches = (batch for epoch in itertools.count() for batch in loader.batches(epoch))
    steps = itertools.count()

    def update() -> None:
        for phase in algorithm.phases:
            step = next(steps)
            stepper.step(phase, algorithm(next(batches), step, phase).loss, step)
            algorithm.after_step(phase)

    return update


def clock(function: Callable[[], None]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
