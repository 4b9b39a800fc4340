"""What a training step costs besides its networks, and joint against sequential co-training."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from bench_data import Scale, first_batch, make_algorithm, make_dataset, write_images
from bench_turns import in_turns, markdown, spread
from torch import nn

from semipose.algorithms import Algorithm
from semipose.algorithms.learning import Task, student_features
from semipose.data.loaders import PairLoader, Side
from semipose.engine.precision import Precision
from semipose.engine.stepper import OptimizerSettings, Stepper
from semipose.evaluation.network_outputs import predict_output
from semipose.structures import PairBatch, Persons

LAYOUTS = {"contiguous": False, "channels-last": True}


def tables(scale: Scale) -> Iterator[str]:
    """A whole step against the bare forward and backward passes that it needs."""
    with tempfile.TemporaryDirectory() as folder:
        batch = first_batch(write_images(Path(folder), scale.batch), scale.size, scale.batch)
    columns = ("", "ms/step", "ms bare passes", "step / bare passes (quartiles)", "images/s")
    for name in ("pose_dual", "cotrain1"):
        yield markdown(f"Training step, {scale}", columns, step_rows(name, scale, batch))


def step_rows(name: str, scale: Scale, batch: PairBatch) -> list[tuple]:
    functions = {}
    for layout, channels_last in LAYOUTS.items():
        algorithm = make_algorithm(name, scale.backbone, scale.size, channels_last)
        functions[layout], functions[f"{layout}, bare"] = whole_step(algorithm, batch), bare_passes(algorithm, batch)
    times = in_turns(functions, scale.repeats)
    return [
        (f"{name}, {layout}", f"{times.ms(layout):.0f}", f"{times.ms(f'{layout}, bare'):.0f}",
         spread(times.ratios(layout, f"{layout}, bare")), f"{1e3 * len(batch) / times.ms(layout):.1f}")
        for layout in LAYOUTS
    ]  # fmt: skip


def whole_step(algorithm: Algorithm, batch: PairBatch, amp: str = "off") -> Callable[[], None]:
    """A step on a batch as the trainer makes it."""
    precision = Precision(amp, batch.labeled.images.device, algorithm)
    stepper = Stepper({"all": algorithm.learners("all")}, OptimizerSettings(), 1000, precision)

    def step() -> None:
        with stepper.forward_pass("all"):
            output = algorithm(batch, 0, "all")
        stepper.step("all", output.loss, 0)
        algorithm.after_step("all")

    return step


def bare_passes(algorithm: Algorithm, batch: PairBatch) -> Callable[[], None]:
    """The same networks on ready-made views: each teacher once, each student forward and backward."""
    draws = algorithm.recipe.views.at_step(0)
    labeled, easy = draws.labeled(batch.labeled), draws.easy(batch.unlabeled)

    def passes() -> None:
        for student in algorithm.learners("all"):
            predict_output(student.network, easy)
            tasks = [
                Task(term, view.images, None, None, None, 1.0) for term, view in (("pose", labeled), ("cons", easy))
            ]
            features = student_features(student, tasks, together=True)
            outputs = [student.output(found) for found in features]
            torch.stack([nn.functional.mse_loss(o, torch.zeros_like(o)) for o in outputs]).sum().backward()
            student.zero_grad(set_to_none=True)

    return passes


def turns_tables(scale: Scale) -> Iterator[str]:
    """Joint against sequential co-training: one update of each network, loading included."""
    with tempfile.TemporaryDirectory() as folder:
        persons = write_images(Path(folder), scale.images)
        rows = [
            turns_row("light_unet", (64, 64), (16, 32), persons, scale.repeats),
            turns_row(scale.backbone, scale.size, (scale.batch, scale.batch), persons, scale.repeats),
        ]
    columns = ("co-training, channels-last", "ms joint", "ms sequential", "joint / sequential (quartiles)")
    yield markdown("One update of each network, from the cache", columns, rows)


def turns_row(
    backbone: str, size: tuple[int, int], batches: tuple[int, int], persons: Persons, repeats: int
) -> tuple:  # fmt: skip
    dataset = make_dataset(persons, size, "ram", Path("."))
    sides = [Side(dataset, batch) for batch in batches]
    updates = {
        name: update_of_each(make_algorithm(name, backbone, size, True), PairLoader(*sides))
        for name in ("cotrain1", "cotrain")
    }
    times = in_turns(updates, repeats)
    ratios = spread(times.ratios("cotrain1", "cotrain"))
    title = f"{backbone}, {size[1]}x{size[0]}, batch {batches[0]}+{batches[1]}"
    return title, f"{times.ms('cotrain1'):.0f}", f"{times.ms('cotrain'):.0f}", ratios


def update_of_each(algorithm: Algorithm, loader: PairLoader) -> Callable[[], None]:
    """One optimiser step of every phase, each with a batch of its own, as the trainer makes them."""
    stepper = Stepper({phase: algorithm.learners(phase) for phase in algorithm.phases}, OptimizerSettings(), 1000)
    batches = (batch for epoch in itertools.count() for batch in loader.batches(epoch))
    steps = itertools.count()

    def update() -> None:
        for phase in algorithm.phases:
            step = next(steps)
            with stepper.forward_pass(phase):
                output = algorithm(next(batches), step, phase)
            stepper.step(phase, output.loss, step)
            algorithm.after_step(phase)

    return update
