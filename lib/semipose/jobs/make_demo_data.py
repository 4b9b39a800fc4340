"""Draw the demo data: people with known joints, as COCO folders of a few labelled and many unlabelled pictures.

Examples: semipose demo-data --out data/demo/seed0 --labeled 40 --unlabeled 1500 --val 500 --seed 0
          semipose demo-data --out data/scenes/seed0 --people 2 5 --size 128
"""

import argparse
import sys
import time


def parse_args(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder to make")
    parser.add_argument("--labeled", type=int, default=40, help="labelled pictures (default %(default)s)")
    parser.add_argument("--unlabeled", type=int, default=1500, help="unlabelled pictures (default %(default)s)")
    parser.add_argument("--val", type=int, default=500, help="validation pictures (default %(default)s)")
    parser.add_argument("--size", type=int, default=80, help="width and height in pixels (default %(default)s)")
    parser.add_argument(
        "--people", type=int, nargs=2, default=[1, 1], metavar=("FEWEST", "MOST"),
        help="persons in a picture (default 1 1); several overlap, and a quarter are athletes (group_id 1)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other people (default %(default)s)")
    parser.add_argument("--force", action="store_true", help="draw again even if the folder already holds the same")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args, start = parse_args(arguments), time.monotonic()

    from semipose.errors import SemiposeError, write_error
    from semipose.prepare.drawn_people import write_demo_data
    from semipose.writable import check_folder

    try:
        check_folder(args.out, "--out")
        counts = args.labeled, args.unlabeled, args.val
        drawn = write_demo_data(args.out, *counts, args.size, args.seed, args.force, args.people)
    except (SemiposeError, OSError) as fault:
        error = write_error(fault, args.out) if isinstance(fault, OSError) else fault
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    if not drawn:
        print(f"{args.out}: already drawn with these settings, nothing to do (--force draws again)")
        return 0
    print(f"{args.out}: drew {sum(counts)} pictures (seed {args.seed}) in {time.monotonic() - start:.0f} s")
    return 0
