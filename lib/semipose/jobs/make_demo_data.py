"""Draw the demo data: people with known joints, as COCO folders of a few labelled and many unlabelled pictures.

Example: semipose demo-data --out data/demo/seed0 --labeled 40 --unlabeled 1500 --val 500 --seed 0
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
        drawn = write_demo_data(args.out, args.labeled, args.unlabeled, args.val, args.size, args.seed, args.force)
    except (SemiposeError, OSError) as fault:
        error = write_error(fault, args.out) if isinstance(fault, OSError) else fault
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    if not drawn:
        print(f"{args.out}: already drawn with these settings, nothing to do (--force draws again)")
        return 0
    total = args.labeled + args.unlabeled + args.val
    print(f"{args.out}: drew {total} people (seed {args.seed}) in {time.monotonic() - start:.0f} s")
    return 0
