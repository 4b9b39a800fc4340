"""The demo: draw people, train on 40 labels with and without 1,500 unlabelled pictures, compare, write a report.

    semipose demo drawn                   # what `make demo` runs

Killed and started again, it goes on where it was. The settings are experiments/demo/supervised.yaml and cotrain.yaml.
"""

import argparse

COUNTS = {"labeled": 40, "unlabeled": 1500, "val": 500}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of pictures, networks and samplers (default %(default)s)")
    parser.add_argument("--out", default="output/demo", help="folder of runs and report (default %(default)s)")
    parser.add_argument("--data", default="data/demo", help="folder of the pictures (default %(default)s)")
    for name, count in COUNTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, help=f"{name} pictures (default %(default)s)")
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help="for both runs, e.g. TRAIN.END_EPOCH 2")
    args = parser.parse_args(arguments)

    from semipose.jobs.demo_runs import run_demo

    return run_demo(demo, args)


def demo(args: argparse.Namespace) -> int:
    """Draw, train and compare; returns the exit code. Raises SemiposeError."""
    from semipose.jobs import make_demo_data
    from semipose.jobs.demo_runs import COTRAIN, SUPERVISED, Training, compare, train_all
    from semipose.writable import check_folder

    out = check_folder(args.out, "--out")
    wanted = {name: getattr(args, name) for name in COUNTS}
    folder = f"seed{args.seed}" + ("" if wanted == COUNTS else "-" + "-".join(map(str, wanted.values())))
    data = f"{args.data}/{folder}"
    counts = [word for name, count in wanted.items() for word in (f"--{name}", str(count))]
    if code := make_demo_data.main(["--out", data, "--seed", str(args.seed), *counts]):
        return code
    pairs = ["DATASET.ROOT", data, *args.pairs]
    trainings = [
        Training(SUPERVISED, f"Supervised, {args.labeled} labels", "train", "demo/supervised.yaml", pairs),
        Training(COTRAIN, "Co-training", "cotrain1", "demo/cotrain.yaml", pairs),
    ]
    if code := train_all(trainings, out / folder, args.seed):
        return code
    facts = {"labeled": args.labeled, "unlabeled": args.unlabeled, "seed": args.seed}
    return compare(trainings, out / folder, out, facts, "PCK@0.1")
