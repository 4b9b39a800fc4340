"""The report of one run or several: one HTML file with everything in it, for a browser or a telephone.

    semipose report output/mine
    semipose report output/supervised output/cotrain --out compare.html

What was trained on what, the networks side by side, curves with the best epoch, errors by keypoint, the validation
pictures with the largest errors beside a random sample, pseudo-labels over the epochs with easy and hard examples,
suspicious labels, and settings that differ. Runs that differ only by their seed are folded into mean and spread. Where
data or networks are not at hand, the report has what the run folders hold, and says what is missing.

Exit code 0; 2 if a folder holds no run.
"""

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, with its metrics.jsonl")
    parser.add_argument("--out", default="report.html", help="HTML file (default %(default)s)")
    parser.add_argument("--root", default="", help="where the data are now, in place of DATASET.ROOT")
    parser.add_argument(
        "--persons", type=int, default=500, help="how many of a set are looked at (default %(default)s)"
    )
    parser.add_argument("--examples", type=int, default=8, help="pictures of each kind (default %(default)s)")
    parser.add_argument("--megabytes", type=float, default=5, help="largest size of the file (default %(default)g)")
    args = parser.parse_args(arguments)

    import logging

    from semipose.errors import SemiposeError

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("semipose.report").setLevel(logging.INFO)  # what it is doing, not what readers have left out
    try:
        write(args)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.out}   <- open this in a browser")
    return 0


def write(args: argparse.Namespace) -> None:
    """Check the arguments and write the page. Raises SemiposeError."""
    from semipose.errors import ConfigError
    from semipose.jobs.plot_runs import short_names
    from semipose.report.inspection import Look
    from semipose.report.write import write_report
    from semipose.writable import check_file

    check_file(args.out, "--out")
    for name, least in (("persons", 1), ("examples", 1), ("megabytes", 0.1)):
        if not getattr(args, name) >= least:
            raise ConfigError(f"--{name} is {getattr(args, name):g}; {least:g} or more expected")
    runs = list({Path(run).resolve(): Path(run) for run in args.runs}.values())  # a run named twice is no second seed
    look = Look(args.persons, args.examples, args.root)
    write_report(runs, short_names(runs), Path(args.out), look, round(args.megabytes * 1e6))
