"""Keypoints in pictures and videos, by a trained network. All that it needs is in the run's checkpoint.

A SOURCE is a picture, a folder, a pattern such as 'a/*.jpg', a zip archive, a video, a list in a .txt file or the
number of a camera. Files in DIR are named after their source: NAME.csv (DeepLabCut, lightning-pose), NAME.times.csv
(when the frames of a video are shown), NAME.json (COCO), NAME.labelme/, NAME.overlay.mp4 or NAME.overlay/.

Examples:
  semipose predict output/mouse video.mp4 --out found --overlay
  semipose predict output/people photos --boxes detections.json --out found --format coco labelme
  semipose predict output/people walk.mp4 --detector person --out found   (needs: pip install 'semipose[detector]')
  semipose predict output/scenes photos --out found --instance-score 0.3   (bottom-up: no boxes)
  semipose predict output/people walk.mp4 --out found --lift output/lifter   (3D too)
  semipose predict theirs.pth photos --out found --cfg theirs.yaml MODEL.CODEC msra

Exit code 0: done; frames that could not be read are counted and named. 2: a mistake in the command, or nothing could be
read. 4: the disk is full. 130: stopped by Ctrl-C; what was done until then is in the files.
"""

import argparse
import sys


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("run", metavar="RUN", help="run folder (its best.pth, else last.pth) or a checkpoint")
    made.add_argument("sources", nargs="+", metavar="SOURCE", help="what to predict on")
    made.add_argument("--out", required=True, metavar="DIR", help="folder to write into")
    made.add_argument(
        "--format", nargs="+", choices=("csv", "coco", "labelme"), default=["csv", "coco"], help="default: csv coco"
    )
    made.add_argument(
        "--cfg", nargs="+", action="extend", default=[], metavar="WORD",
        help="for a pose checkpoint of others: its configuration, YAML files and then KEY VALUE pairs",
    )  # fmt: skip
    made.add_argument("--overlay", action="store_true", help="also pictures or an mp4 with skeletons")
    made.add_argument("--which", default="", help="a network of the run, or ensemble; default: its main result")
    made.add_argument("--device", default="", help="cpu, cuda, cuda:1, ...; default: a GPU where there is one")
    made.add_argument("--batch-size", type=int, help="persons at once (default 32), or whole pictures (default 8)")
    made.add_argument("--flip-test", action="store_true", help="average with the mirrored picture")
    whole = made.add_argument_group("bottom-up networks, which take whole pictures and no boxes")
    whole.add_argument(
        "--instance-score", type=float, help="smallest mean score of the keypoints of an instance (default 0.1)"
    )
    whole.add_argument(
        "--scales", nargs="+", type=float, default=[1.0], metavar="FACTOR", help="sizes to look at (default: 1)"
    )
    boxes = made.add_argument_group("boxes (default: the whole picture is the box of one animal or person)")
    boxes.add_argument("--boxes", metavar="FILE", help="COCO results or annotations (.json), or a .csv table")
    boxes.add_argument("--images", default="", metavar="FILE", help="COCO file that says which image_id is which file")
    boxes.add_argument("--box-category", type=int, metavar="ID", help="category of --boxes; needed if it has several")
    boxes.add_argument("--box-score", type=float, default=0.0, help="smallest score of a box (default %(default)s)")
    boxes.add_argument("--detector", metavar="CLASS", help="find them by RT-DETR: person, dog, horse, ...")
    boxes.add_argument("--detector-model", metavar="NAME", help="of huggingface.co, or a folder (default: a small one)")
    boxes.add_argument("--detector-score", type=float, default=0.3, help="smallest score of it (default %(default)s)")
    boxes.add_argument(
        "--nms", type=float, default=0.9, help="OKS above which two poses are one (default %(default)s; 0: keep all)"
    )
    video = made.add_argument_group("videos")
    video.add_argument(
        "--track", action="store_true", help="persons keep their number; needs --boxes, --detector or bottom-up"
    )
    video.add_argument("--max-gap", type=int, default=15, help="frames a track may be unseen (default %(default)s)")
    video.add_argument("--smooth", choices=("one-euro", "savgol"), help="also NAME.smooth.*; the raw files stay")
    lifting = made.add_argument_group("from 2D to 3D (docs/lifting.md)")
    lifting.add_argument(
        "--lift", metavar="LIFT_RUN", help="also NAME.3d.csv, .npz, and the frames with a turning 3D skeleton"
    )
    lifting.add_argument("--camera", default="", metavar="FILE[@NAME]", help="the camera of the pictures, for --lift")
    made.add_argument(
        "--min-score",
        type=float,
        default=0.0,
        help="keypoints below it are left out of overlays and labelme",
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    made = parser()
    args = made.parse_intermixed_args(arguments)
    if (args.batch_size is not None and args.batch_size < 1) or not 0 <= args.nms <= 1 or args.max_gap < 0:
        made.error("--batch-size must be 1 or more, --nms 0 to 1, --max-gap 0 or more")
    if any(value != value for value in (args.min_score, args.box_score, args.detector_score, args.instance_score or 0)):
        made.error("--min-score, --box-score, --detector-score and --instance-score must be numbers, not nan")
    idle = flag_without_effect(args, made)
    if idle:
        made.error(idle)

    from semipose.errors import SemiposeError

    try:
        return predict(args)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def flag_without_effect(args: argparse.Namespace, made: argparse.ArgumentParser) -> str:
    """What to say of the first flag that was given without the one that it needs; "" if there is none."""
    boxes = bool(args.boxes or args.detector)
    needs = {
        "images": ("--boxes", args.boxes), "box_category": ("--boxes", args.boxes),
        "box_score": ("--boxes", args.boxes), "detector_model": ("--detector", args.detector),
        "detector_score": ("--detector", args.detector), "nms": ("--boxes or --detector", boxes),
        "max_gap": ("--track", args.track), "camera": ("--lift", args.lift),
        "min_score": ("--overlay or --format labelme", args.overlay or "labelme" in args.format),
    }  # fmt: skip
    for name, (needed, given) in needs.items():
        if not given and getattr(args, name) != made.get_default(name):
            return f"--{name.replace('_', '-')} needs {needed}"
    return ""


def predict(args: argparse.Namespace) -> int:
    """Do the job; returns the exit code. Raises SemiposeError."""
    from semipose.writable import check_folder

    out = check_folder(args.out, "--out")

    from semipose.errors import ConfigError
    from semipose.predict.boxes import read_boxes
    from semipose.predict.sources import find_sources
    from semipose.predict.writers import check_replaceable

    sources = find_sources(args.sources)
    unfit = next((s for s in sources if "labelme" in args.format and not writes_labelme(s)), None)
    if unfit is not None:
        raise ConfigError(f"--format labelme: {unfit.title} is no picture file; labelme needs files that it can open")
    if args.boxes and args.detector:
        raise ConfigError("--boxes and --detector are both given; give one of them")
    check_video_flags(args, sources)
    for source in sources:
        check_replaceable(out, source.title, args.format)
    boxes = read_boxes(args.boxes, args.images, args.box_score, args.box_category) if args.boxes else None

    from semipose.api import load_model

    model = load_model(args.run, args.which, args.device, args.flip_test, args.cfg, args.scales)
    check_instances(args, model, sources)
    if args.instance_score is not None:
        model.predictor.instance_score = args.instance_score
    model.predictor.batch_size = args.batch_size or model.predictor.batch_size
    print(f"{model.source}: {model.which} on {model.predictor.device}", file=sys.stderr)
    return predict_all(model, sources, make_options(args, model, boxes, out))


def check_video_flags(args: argparse.Namespace, sources: list) -> None:
    """Raises ConfigError for flags of videos that do not go together, or not with the sources."""
    from semipose.errors import ConfigError

    flag = "--track" if args.track else "--smooth"
    picture = next((source.title for source in sources if not source.is_video), None)
    if (args.track or args.smooth) and picture is not None:
        raise ConfigError(f"{flag}: {picture} is no video; pictures have no order in time")


def check_instances(args: argparse.Namespace, model, sources: list) -> None:
    """Raises ConfigError for flags that do not fit the number of instances that the network finds."""
    from semipose.errors import ConfigError

    bottom_up, given = model.predictor.bottom_up, "--boxes" if args.boxes else "--detector"
    if bottom_up and (args.boxes or args.detector):
        raise ConfigError(f"{given}: {model.source} is bottom-up: it finds all instances of a picture without boxes")
    if not bottom_up and args.instance_score is not None:
        raise ConfigError(f"--instance-score: {model.source} is not bottom-up; for boxes there is --box-score")
    several = bool(args.boxes or args.detector or bottom_up)
    if args.track and not several:
        raise ConfigError("--track: the whole picture is one box, so there is one animal; give --boxes or --detector")
    if args.smooth and several and not args.track:
        raise ConfigError("--smooth: which person is which over time? Give --track too")
    if args.lift and several and not args.track and any(source.is_video for source in sources):
        raise ConfigError("--lift: which person is which over time? Give --track too")


def writes_labelme(source) -> bool:
    """Whether its pictures are files; members of an archive and frames are not."""
    from semipose.data.archives import split_member

    return not source.is_video and not split_member(source.paths[0])


def make_options(args: argparse.Namespace, model, boxes, out):
    """What is asked for, as `predict.session` takes it."""
    from semipose.api import EXPORTED
    from semipose.predict.bar import progress_bar
    from semipose.predict.overlay import Overlay
    from semipose.predict.session import Options

    detector = None
    if args.detector:
        from semipose.predict.rtdetr import MODEL, RtDetr

        name = args.detector_model or MODEL
        detector = RtDetr(args.detector, name, args.detector_score, model.predictor.device)
    overlay = Overlay(model.skeleton, args.min_score, bool(args.boxes or args.detector)) if args.overlay else None
    lift = None
    if args.lift:
        from semipose.assemble import build_track_lifter

        lift = build_track_lifter(args.lift, model.skeleton, model.predictor.device, args.camera)
    source = model.source.resolve()
    alone = source.suffix in EXPORTED or args.cfg  # in no run folder
    name = source.stem if alone else source.parent.name
    scorer = f"semipose_{name}_{model.which}"
    return Options(
        out, tuple(args.format), scorer, boxes, detector, args.nms,
        args.max_gap if args.track else None, args.smooth or "", overlay=overlay, min_score=args.min_score, lift=lift,
        bar=progress_bar,
    )  # fmt: skip


def predict_all(model, sources: list, options) -> int:
    """Predict each source and print what was done; returns the exit code."""
    import time

    from semipose.predict.session import predict_source

    frames = 0
    for source in sources:
        start = time.monotonic()
        report = predict_source(model.predictor, source, options)
        report_source(source, report, time.monotonic() - start)
        frames += report.frames
        if report.stopped:
            print("stopped; the files hold what was done until then", file=sys.stderr)
            return 130
    if options.boxes is not None:
        report_boxes(options.boxes)
    if not frames:
        print("error: no picture could be read", file=sys.stderr)
        return 2
    return 0


def report_source(source, report, seconds: float) -> None:
    """A line for a source, one for each of the first faults, and its files."""
    from semipose.predict.session import NAMED

    rate = report.frames / max(seconds, 1e-9)
    print(f"{source.title}: {report.frames} frames, {report.instances} instances, {rate:.1f} frames per second")
    if report.empty:
        print(f"  {report.empty} frames without an instance")
    for fault in report.faults[:NAMED]:
        print(f"  left out: {fault}", file=sys.stderr)
    if len(report.faults) > NAMED:
        print(f"  left out: {len(report.faults)} in all", file=sys.stderr)
    for file in report.files:
        print(f"  {file}")


def report_boxes(boxes) -> None:
    """How many names of the file were not among the pictures."""
    unused = len(boxes.by_name.keys() - boxes.used)
    if unused:
        print(f"{boxes.file}: boxes of {unused} pictures were not asked for", file=sys.stderr)
