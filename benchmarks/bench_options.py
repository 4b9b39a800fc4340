"""What each choice for speed is worth: the plain way against ours, in turns."""

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from bench_classic import decode_heatmaps, draw_heatmaps
from bench_data import SIGMA, Scale, first_batch, gaussian_codec, make_algorithm, write_images
from bench_loader import heatmap_size, one_thread
from bench_step import whole_step
from bench_turns import in_turns, markdown, spread
from torch import nn

from semipose.evaluation.coco_protocol import KeypointPredictions, evaluate_oks
from semipose.evaluation.ground_truth import ground_truth_from_persons
from semipose.models.ema import EmaTeacher
from semipose.models.pose_network import NetworkPlan, build_pose_network
from semipose.runtime.freed_memory import keep_freed_memory
from semipose.skeletons import COCO
from semipose.structures import PairBatch, Persons

Pair = dict[str, Callable[[], object]]  # the plain way, and ours
COLUMNS = ("plain", "ours", "ms plain", "ms ours", "plain / ours (quartiles)")


def tables(scale: Scale) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        batch = first_batch(write_images(Path(folder), scale.batch), scale.size, scale.batch)
    rows = [row(pair(scale, batch), scale.repeats) for pair in STEPS]
    yield markdown(f"Options of a cotrain1 step, {scale}", COLUMNS, rows)
    rows = [row(pair, scale.turns, scale.turn_seconds) for pair in (*adam_pairs(), ema_pair())]
    yield markdown("Updates of the parameters of a ResNet-18 pose network", COLUMNS, rows)
    with one_thread():
        rows = [row(pair(scale), scale.turns, scale.turn_seconds) for pair in (target_pair, decoding_pair)]
    yield markdown(f"Heatmaps of {scale.loader_batch} persons, one thread", COLUMNS, rows)
    pair = oks_pair(scale)
    title = f"OKS evaluation of {scale.persons} persons, largest difference of the ten numbers {difference(pair):.1e}"
    yield markdown(title, COLUMNS, [row(pair, scale.turns)])


def row(pair: Pair, repeats: int, at_least: float = 0.0) -> tuple:
    times, (plain, ours) = in_turns(pair, repeats, at_least), pair
    return plain, ours, f"{times.ms(plain):.4g}", f"{times.ms(ours):.4g}", spread(times.ratios(plain, ours))


def layout_pair(scale: Scale, batch: PairBatch) -> Pair:
    steps = (whole_step(make_algorithm("cotrain1", scale.backbone, scale.size, last), batch) for last in (False, True))
    return dict(zip(("contiguous", "channels-last"), steps))


def joint_forward_pair(scale: Scale, batch: PairBatch) -> Pair:
    """Off first: both batches through a student one after the other."""
    steps = [
        whole_step(make_algorithm("cotrain1", scale.backbone, scale.size, True, joint_forward=joint), batch)
        for joint in (False, True)
    ]
    return dict(zip(("TRAIN.JOINT_FORWARD false", "TRAIN.JOINT_FORWARD true"), steps))


def precision_pair(scale: Scale, batch: PairBatch) -> Pair:
    steps = (
        whole_step(make_algorithm("cotrain1", scale.backbone, scale.size, True), batch, amp) for amp in ("off", "bf16")
    )
    return dict(zip(("float32", "TRAIN.AMP bf16"), steps))


def memory_pair(scale: Scale, batch: PairBatch) -> Pair:
    step = whole_step(make_algorithm("cotrain1", scale.backbone, scale.size, True), batch)

    def kept(keep: bool) -> None:
        keep_freed_memory(keep)
        step()
        keep_freed_memory()

    return {"freed memory goes to the kernel": lambda: kept(False), "it stays in the process": lambda: kept(True)}


RESNET = NetworkPlan("resnet18", len(COCO), (192, 256))
STEPS = (layout_pair, joint_forward_pair, precision_pair, memory_pair)


def adam_pairs() -> list[Pair]:
    loop, foreach, fused = (adam_step(**kind) for kind in ({"foreach": False}, {"foreach": True}, {"fused": True}))
    return [{"Adam, loop": loop, "Adam, foreach": foreach}, {"Adam, loop": loop, "Adam, fused": fused}]


def adam_step(**kind: bool) -> Callable[[], None]:
    parameters = list(build_pose_network(RESNET).parameters())
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e-4)
    return torch.optim.Adam(parameters, lr=1e-3, **kind).step


def ema_pair() -> Pair:
    student = build_pose_network(RESNET)
    teacher, plain = EmaTeacher(student, 0.999), copy.deepcopy(student)
    return {"EMA, loop": lambda: ema_loop(plain, student, 0.999), "EMA, foreach": lambda: teacher.update(student)}


@torch.no_grad()
def ema_loop(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    for ours, theirs in zip(teacher.state_dict().values(), student.state_dict().values()):
        if ours.is_floating_point():
            ours.mul_(decay).add_(theirs, alpha=1 - decay)
        else:
            ours.copy_(theirs)


def target_pair(scale: Scale) -> Pair:
    size, small, rng = scale.size, heatmap_size(scale), np.random.default_rng(0)
    points = rng.uniform((0, 0), size, (scale.loader_batch, len(COCO), 2)).astype(np.float32)
    seen, codec = np.ones(points.shape[:2], bool), gaussian_codec(scale)
    batch = torch.from_numpy(points), torch.from_numpy(seen).float()
    return {
        "targets, joint by joint": lambda: [draw_heatmaps(*one, size, small, SIGMA) for one in zip(points, seen)],
        "targets, whole batch": lambda: codec.encode(*batch),
    }


def decoding_pair(scale: Scale) -> Pair:
    codec = gaussian_codec(scale)
    points = torch.rand(scale.loader_batch, len(COCO), 2) * torch.tensor(scale.size)
    heatmaps, _ = codec.encode(points, torch.ones(points.shape[:2]))
    return {
        "decoding (DARK), joint by joint": lambda: decode_heatmaps(heatmaps.numpy(), codec.stride, SIGMA),
        "decoding (DARK), whole batch": lambda: codec.decode(heatmaps),
    }


def oks_pair(scale: Scale) -> Pair:
    """Persons at random places, predicted with errors of all sizes."""
    rng, count = np.random.default_rng(0), scale.persons
    images = np.sort(rng.integers(0, max(1, count // 2), count)).astype(np.int32)
    boxes = np.concatenate([rng.uniform(0, 300, (count, 2)), rng.uniform(30, 300, (count, 2))], -1).astype(np.float32)
    xy = boxes[:, None, :2] + rng.random((count, len(COCO), 2)) * boxes[:, None, 2:]
    xyv = np.concatenate([xy, np.ones((count, len(COCO), 1))], -1).astype(np.float32)
    areas, names = boxes[:, 2] * boxes[:, 3], np.arange(images.max() + 1)
    persons = Persons(names.astype(str), names, images, np.arange(count), boxes, xyv, areas, np.ones(count, np.float32))
    errors = rng.normal(size=xy.shape) * rng.exponential(0.1, (count, 1, 1)) * np.sqrt(areas)[:, None, None]
    scores = rng.random((count, len(COCO)))
    predictions = KeypointPredictions(images.astype(np.int64), xy + errors, scores, np.ones(count), areas)
    truth = ground_truth_from_persons(persons, COCO.sigmas)
    backends = {"pycocotools": "pycocotools", "faster-coco-eval": "faster"}
    return {
        name: lambda backend=backend: evaluate_oks(truth, predictions, backend=backend)
        for name, backend in backends.items()
    }


def difference(pair: Pair) -> float:
    plain, ours = (function() for function in pair.values())
    return max(abs(plain[name] - ours[name]) for name in plain)
