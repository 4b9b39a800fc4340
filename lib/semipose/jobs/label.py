"""Which pictures to label next, with the predictions of a run filled in, so that a person corrects instead of clicking.

A SOURCE is what `semipose predict` takes, but no camera: a picture, a folder, a pattern, a zip archive, a video, a list
in a .txt file. Left out, it is the unlabelled pool of the run. Pictures that the run was trained on with labels, or
validates on, are not chosen, nor are frames next to them.

In DIR: a picture and a labelme file NAME.json for each, chosen.csv (rank, picture, file, frame, score, reasons), and
chosen.overlay/index.html to look at. Open DIR in labelme; joints to look at closely have the description "uncertain".

Examples:
  semipose label output/mouse --count 20 --out next
  semipose label output/mouse videos/ more.mp4 --count 20 --out next
  semipose label output/people photos --boxes detections.json --count 50 --out next

Exit code 0: done. 2: a mistake in the command, or nothing could be read. 4: the disk is full. 130: stopped by Ctrl-C.
"""

import argparse
import sys
from shlex import quote


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("run", metavar="RUN", help="run folder (its best.pth, else last.pth) or a checkpoint of a run")
    made.add_argument("sources", nargs="*", metavar="SOURCE", help="where to choose from; default: the run's pool")
    made.add_argument("--out", required=True, metavar="DIR", help="folder to make; one with files in it is refused")
    made.add_argument("--count", type=int, default=20, help="pictures to choose (default %(default)s)")
    made.add_argument(
        "--gap", type=int, default=15,
        help="frames of a video that are nearer to each other, or to a labelled one, are not both chosen "
        "(default %(default)s)",
    )  # fmt: skip
    made.add_argument("--every", type=int, default=1, metavar="N", help="look at each N-th frame of a video only")
    made.add_argument("--boxes", metavar="FILE", help="of the persons in SOURCE, as in `semipose predict`")
    made.add_argument("--box-category", type=int, metavar="ID", help="category of --boxes; needed if it has several")
    made.add_argument("--root", default="", metavar="DIR", help="where the run's data are, in place of DATASET.ROOT")
    made.add_argument("--device", default="", help="cpu, cuda, cuda:1, ...; default: a GPU where there is one")
    return made


def main(arguments: list[str] | None = None) -> int:
    made = parser()
    args = made.parse_intermixed_args(arguments)
    if args.count < 1 or args.gap < 0 or args.every < 1:
        made.error("--count and --every must be 1 or more, --gap 0 or more")
    if args.box_category is not None and not args.boxes:
        made.error("--box-category needs --boxes")
    if args.boxes and not args.sources:
        made.error("--boxes needs a SOURCE; the pool of the run has its own boxes")

    from semipose.errors import SemiposeError

    try:
        return label(args)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def label(args: argparse.Namespace) -> int:
    """Do the job; returns the exit code. Raises SemiposeError."""
    import os

    from semipose.api import find_device
    from semipose.errors import ConfigError
    from semipose.predict.next_to_label.files import write_round
    from semipose.predict.next_to_label.labelling_round import choose, describe, weigh
    from semipose.predict.next_to_label.shots import look_at

    out = empty_folder(args.out)
    sources = find_pictures(args.sources)
    state, source = load_run(args.run)

    from semipose.assemble import labelling

    committee = labelling.build_committee(state, source, find_device(args.device))
    config = labelling.run_config(state, source, args.root)
    if not os.path.isdir(config.DATASET.ROOT):
        raise ConfigError(f"DATASET.ROOT {config.DATASET.ROOT} of {source} is not here; --root DIR says where it is")
    labeled = labelling.read_labels_of(config)
    known = labelling.build_known(config, labeled, committee)
    shots = shots_of(args, sources, config)
    seen = look_at(committee, shots)
    weighed = weigh(seen, committee, known, args.gap)
    rows = choose(seen, weighed, known, args.count, args.gap)
    report_seen(seen, rows, args.count)
    names = committee.predictor.skeleton.keypoints
    chosen = [describe(seen, weighed, row, names) for row in rows]
    boxes = not args.sources or bool(args.boxes) or labelling.labels_whole_pictures(labeled)
    write_round(out, chosen, committee.predictor.skeleton, boxes)
    print(f"{len(chosen)} pictures to label; look at {out}/chosen.overlay/index.html")
    print(f"correct with: labelme {quote(str(out))}")
    return 0


def empty_folder(path: str):
    """The folder to write into, which has nothing in it. Raises SemiposeError."""
    import os

    from semipose.errors import ConfigError
    from semipose.writable import check_folder

    if os.path.isdir(path) and os.listdir(path):
        raise ConfigError(f"--out: {path} has files in it already; name another folder, so that no label is lost")
    return check_folder(path, "--out")


def find_pictures(words: list[str]) -> list:
    """The sources; raises SemiposeError, for cameras too."""
    from semipose.errors import ConfigError
    from semipose.predict.sources import find_sources
    from semipose.predict.videos import Camera

    sources = find_sources(words) if words else []
    camera = next((source.title for source in sources if source.is_video and isinstance(source.video, Camera)), None)
    if camera:
        raise ConfigError(f"{camera}: a camera shows nothing twice; record a video first")
    return sources


def load_run(path: str) -> tuple[dict, str]:
    """The checkpoint of a run, and its file. Raises SemiposeError, for files that know nothing of their data too."""
    from semipose.api import EXPORTED
    from semipose.assemble.from_checkpoint import find_checkpoint, saved_config
    from semipose.engine.checkpoint import load_checkpoint
    from semipose.errors import ModelError

    source = find_checkpoint(path)
    if source.suffix in EXPORTED:
        raise ModelError(f"{source}: an exported network does not say what is labelled; name the folder of its run")
    state = load_checkpoint(source)
    saved_config(state, str(source))
    return state, str(source)


def shots_of(args: argparse.Namespace, sources: list, config):
    """All pictures to choose from, with a bar on a terminal."""
    from itertools import chain

    from semipose.assemble.labelling import read_pool_of
    from semipose.predict.bar import progress_bar
    from semipose.predict.boxes import read_boxes
    from semipose.predict.next_to_label.shots import shots_of_persons, shots_of_source

    if not sources:
        pool = read_pool_of(config)
        return progress_bar(shots_of_persons(pool, "pool"), "pool", len(set(pool.image_index.tolist())))
    boxes = read_boxes(args.boxes, category=args.box_category) if args.boxes else None
    bars = (progress_bar(shots_of_source(source, boxes, args.every), source.title, source.total) for source in sources)
    return chain.from_iterable(bars)


def report_seen(seen, rows: list[int], count: int) -> None:
    """What was looked at, and why it may be less than was asked for. Raises DataError if nothing is left."""
    from semipose.errors import DataError

    print(f"looked at {len(seen.shots)} pictures with {len(seen.answers)} persons")
    for name in seen.lost[:5]:
        print(f"  left out, cannot be read: {name}", file=sys.stderr)
    if len(seen.lost) > 5:
        print(f"  left out: {len(seen.lost)} in all", file=sys.stderr)
    if not rows:
        raise DataError("all pictures are labelled, held out for validation, or next to such frames (see --gap)")
    if len(rows) < count:
        print(f"only {len(rows)} of {count}: all others are labelled, held out, or next to a chosen frame (--gap)")
