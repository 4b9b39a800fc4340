"""Draw the demo data: people with known joints, as COCO folders of a few labelled and many unlabelled pictures.

Examples: semipose demo-data --out data/demo/seed0 --labeled 40 --unlabeled 1500 --val 500 --seed 0
          semipose demo-data --out data/scenes/seed0 --people 2 5 --size 128
          semipose demo-data --out data/figures/seed0 --moving   (3D figures and their 2D tracks, docs/lifting.md)
"""

import argparse
import sys
import time

COUNTS = {"labeled": (40, 2), "unlabeled": (1500, 50), "val": (500, 8)}  # pictures; sequences of moving figures


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder to make")
    for name, what in (("labeled", "labelled"), ("unlabeled", "unlabelled"), ("val", "validation")):
        pictures, sequences = COUNTS[name]
        text = f"{what} pictures (default {pictures}); of moving figures sequences (default {sequences})"
        parser.add_argument(f"--{name}", type=int, help=text)
    parser.add_argument("--size", type=int, default=80, help="width and height in pixels (default %(default)s)")
    parser.add_argument(
        "--people", type=int, nargs=2, default=[1, 1], metavar=("FEWEST", "MOST"),
        help="persons in a picture (default 1 1); several overlap, and a quarter are athletes (group_id 1)",
    )  # fmt: skip
    moving = parser.add_argument_group("moving figures: mocap files and cameras instead of pictures")
    moving.add_argument("--moving", action="store_true", help="make them")
    moving.add_argument("--frames", type=int, default=300, help="of each sequence, 25 a second (default %(default)s)")
    moving.add_argument("--skeleton", default="h36m", help="h36m or coco, or a file with such joints (default h36m)")
    moving.add_argument("--noise", type=float, default=0.0, help="of 2D keypoints, pixels of 1000x1000 (default 0)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other people (default %(default)s)")
    parser.add_argument("--force", action="store_true", help="draw again even if the folder already holds the same")
    args = parser.parse_args(arguments)
    for name, default in COUNTS.items():
        if getattr(args, name) is None:
            setattr(args, name, default[args.moving])
    idle = ("size", "people") if args.moving else ("frames", "skeleton", "noise")
    given = next((name for name in idle if getattr(args, name) != parser.get_default(name)), None)
    if given:
        parser.error(f"--{given} is {'not for' if args.moving else 'for'} --moving")
    return args


def main(arguments: list[str] | None = None) -> int:
    args, start = parse_args(arguments), time.monotonic()

    from semipose.errors import SemiposeError, write_error
    from semipose.writable import check_folder

    try:
        check_folder(args.out, "--out")
        drawn = make(args)
    except (SemiposeError, OSError) as fault:
        error = write_error(fault, args.out) if isinstance(fault, OSError) else fault
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    if not drawn:
        print(f"{args.out}: already drawn with these settings, nothing to do (--force draws again)")
        return 0
    count, what = args.labeled + args.unlabeled + args.val, "sequences" if args.moving else "pictures"
    print(f"{args.out}: drew {count} {what} (seed {args.seed}) in {time.monotonic() - start:.0f} s")
    return 0


def make(args: argparse.Namespace) -> bool:
    """Draw what is asked for; whether anything was to do. Raises SemiposeError."""
    counts = args.labeled, args.unlabeled, args.val
    if args.moving:
        from semipose.lifting.figure_data import write_figures
        from semipose.skeletons import get_skeleton

        skeleton = get_skeleton(args.skeleton)
        return write_figures(args.out, skeleton, *counts, args.frames, args.noise, args.seed, args.force)
    from semipose.prepare.drawn_people import write_demo_data

    return write_demo_data(args.out, *counts, args.size, args.seed, args.force, args.people)
