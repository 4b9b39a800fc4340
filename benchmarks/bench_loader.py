"""Samples per second of the loader, against the classic loader that makes one finished sample at a time."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import torch
from bench_classic import ClassicDataset
from bench_data import SIGMA, Scale, gaussian_codec, make_dataset, write_images
from bench_turns import Times, in_turns, markdown, spread
from torch.utils.data import DataLoader

from semipose.data.loaders import PairLoader, Side, Workers
from semipose.data.person_dataset import PersonDataset
from semipose.models.feature_levels import Normalisation
from semipose.skeletons import COCO
from semipose.structures import PoseBatch
from semipose.views.sampler import ViewPolicies, ViewSampler

CLASSIC = "classic: decode, affine, heatmaps"
CACHES = {"none": "decode and crop", "ram": "from the cache, RAM", "disk": "from the cache, disk"}
FINISHED = "from the cache, RAM; view and targets of each batch"
PASSES = 8  # over the cached crops in one turn


def tables(scale: Scale) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, one_thread():
        persons = write_images(Path(folder), scale.images)
        classic = ClassicDataset(persons, scale.size, heatmap_size(scale), SIGMA)
        datasets = {cache: make_dataset(persons, scale.size, cache, Path(folder)) for cache in CACHES}
        for workers, title in ((1, "one worker process"), (0, "no worker process")):
            functions = {CLASSIC: classic_pass(classic, scale, workers)}
            for cache, dataset in datasets.items():
                functions[CACHES[cache]] = our_pass(dataset, scale, workers, 1 if cache == "none" else PASSES)
            functions[FINISHED] = our_pass(datasets["ram"], scale, workers, 1, finisher(scale))
            yield table(f"Loader, {title}, one thread each, batch {scale.loader_batch}", scale, functions)


@contextmanager
def one_thread() -> Iterator[None]:
    """As a worker has it; so that both sides have the same, with and without workers."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def table(title: str, scale: Scale, functions: dict[str, Callable[[], int]]) -> str:
    counts = {name: function() for name, function in functions.items()}
    times = in_turns(functions, scale.repeats)
    rates = Times({name: [s / counts[name] for s in seconds] for name, seconds in times.seconds.items()})
    rows = [(name, f"{1e3 / rates.ms(name):.0f}", spread(rates.ratios(CLASSIC, name), 1)) for name in functions]
    return markdown(title, ("", "samples/s", "times classic (quartiles)"), rows)


def classic_pass(dataset: ClassicDataset, scale: Scale, workers: int) -> Callable[[], int]:
    loader = DataLoader(
        dataset, scale.loader_batch, shuffle=True, num_workers=workers, worker_init_fn=opencv_in_one_thread,
        persistent_workers=workers > 0,
    )  # fmt: skip
    return lambda: sum(len(images) for images, _, _ in loader)


def our_pass(
    dataset: PersonDataset, scale: Scale, workers: int, passes: int, finish: Callable[[PoseBatch], None] | None = None
) -> Callable[[], int]:
    steps = passes * len(dataset) // scale.loader_batch
    loading = Workers(workers, opencv_in_one_thread)
    loader = PairLoader(Side(dataset, scale.loader_batch), steps=steps, workers=loading)
    numbers = itertools.count()

    def run() -> int:
        count = 0
        for batch in loader.batches(next(numbers)):
            count += len(batch.labeled)
            if finish:
                finish(batch.labeled)
        return count

    return run


def finisher(scale: Scale) -> Callable[[PoseBatch], None]:
    """What the classic loader has done already: the view at random, normalised, and its targets."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (Normalisation.mean, Normalisation.std))
    codec = gaussian_codec(scale)
    views = ViewSampler(ViewPolicies(), COCO, scale.size, mean.flatten(), 0)
    steps = itertools.count()

    def finish(batch: PoseBatch) -> None:
        view = views.at_step(next(steps)).labeled(batch)
        to_view = view.from_base()
        codec.encode(to_view.points(batch.keypoints), to_view.swap(batch.weights))
        (view.images - mean) / std

    return finish


def heatmap_size(scale: Scale) -> tuple[int, int]:
    return scale.size[0] // 4, scale.size[1] // 4


def opencv_in_one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
