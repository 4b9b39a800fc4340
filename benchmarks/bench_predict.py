"""Prediction of a video: the whole way (decode, crop, network, decode keypoints, write) against the bare network."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from bench_data import Scale
from bench_turns import in_turns, markdown, spread

from semipose.models.pose_network import NetworkPlan, build_pose_network
from semipose.predict.description import Description
from semipose.predict.export import export_onnx
from semipose.predict.exported import load_onnx
from semipose.predict.overlay import Overlay
from semipose.predict.predictor import Predictor
from semipose.predict.session import Options, predict_source
from semipose.predict.sources import find_sources
from semipose.skeletons import COCO

FRAMES, QUICK_FRAMES = 128, 16
PICTURE = (640, 480)


def tables(scale: Scale) -> Iterator[str]:
    """One person in each frame, the whole frame as box."""
    quick = scale.images < Scale.images
    torch.manual_seed(0)
    size = scale.size
    plan = NetworkPlan(scale.backbone, len(COCO), size)
    network = build_pose_network(plan, channels_last=True).eval()
    description = Description("student", (plan,), (network.codec.stride,), 1.0, 1.25, COCO)
    with tempfile.TemporaryDirectory() as folder:
        count = QUICK_FRAMES if quick else FRAMES
        video = write_video(Path(folder) / "video.mp4", count)
        own = description.predictor([network])
        exported, _ = load_onnx(export_onnx(own, description, Path(folder) / "network.onnx"))
        rows = [
            row(name, predictor, video, count, scale.repeats)
            for name, predictor in (("torch", own), ("onnx", exported))
        ]
    title = (
        f"Prediction of a video of {PICTURE[0]}x{PICTURE[1]} pixels, {scale.backbone} {size[1]}x{size[0]}, one person"
    )
    columns = ("on", "frames/s, bare network", "frames/s to csv", "share (quartiles)", "share with mp4 (quartiles)")
    yield markdown(title, columns, rows)


def row(name: str, predictor: Predictor, video: Path, count: int, repeats: int) -> tuple:
    """Frames per second of the bare passes and of whole jobs, in turns."""
    with tempfile.TemporaryDirectory() as out:
        jobs = {
            "bare": bare(predictor, count),
            "csv": job(predictor, video, Options(Path(out), ("csv",))),
            "mp4": job(predictor, video, Options(Path(out), ("csv",), overlay=Overlay(COCO, 0.0))),
        }
        times = in_turns(jobs, repeats)
    rates = {key: f"{1e3 * count / times.ms(key):.1f}" for key in ("bare", "csv")}
    shares = [spread(times.ratios("bare", key)) for key in ("csv", "mp4")]
    return name, rates["bare"], rates["csv"], *shares


def bare(predictor: Predictor, count: int) -> Callable[[], None]:
    """The network on ready-made inputs, in the batches of a job."""
    width, height = predictor.size
    batches = torch.rand(count, 3, height, width).split(predictor.batch_size)

    @torch.no_grad()
    def passes() -> None:
        for batch in batches:
            for network in predictor.networks:
                network(batch)

    return passes


def job(predictor: Predictor, video: Path, options: Options) -> Callable[[], None]:
    (source,) = find_sources([str(video)])
    return lambda: predict_source(predictor, source, options)


def write_video(path: Path, count: int) -> Path:
    """A moving spot on noise that is the same in each frame."""
    noise = np.random.default_rng(0).integers(0, 60, (PICTURE[1], PICTURE[0], 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30.0, PICTURE)
    for number in range(count):
        frame = noise.copy()
        cv2.circle(frame, (100 + 3 * number, 240), 40, (200, 220, 250), -1)
        writer.write(frame)
    writer.release()
    return path
