"""Real people, few labels: Leeds Sports Pose (extended) as downloaded, with 200 labels and with the other pictures too.

    semipose demo lsp --root lspet --all-labels         # what `make real ROOT=lspet ARGS=--all-labels` runs

Divides the set (see `semipose convert lsp`), trains supervised and co-training, compares them on people that nothing
was chosen by, and writes a report. With --all-labels it trains on all labels too, for as many steps, and the table says
how much of what the missing labels cost is given back. Killed and started again, it goes on where it was. The settings
are experiments/lsp/lite0_supervised.yaml and lite0_cotrain.yaml.
"""

import argparse


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder with joints.mat and images/im00001.jpg ...")
    parser.add_argument("--labels", type=int, default=200, help="labelled people, such as 100, 200, 500 (default 200)")
    parser.add_argument("--val", type=int, default=500, help="people to validate on (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of split, networks and samplers (default %(default)s)")
    parser.add_argument("--all-labels", action="store_true", help="also train on all labels, for as many steps")
    parser.add_argument("--weights", help="file of MODEL.PRETRAINED; by default the ImageNet weights are downloaded")
    parser.add_argument("--out", default="output/lsp", help="folder of runs and report (default %(default)s)")
    parser.add_argument("--data", default="data/lsp", help="folder of the divided set (default %(default)s)")
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help="for all runs, e.g. MODEL.IMAGE_SIZE '[96,96]'")
    args = parser.parse_args(arguments)

    from semipose.jobs.demo_runs import run_demo

    return run_demo(demo, args)


def demo(args: argparse.Namespace) -> int:
    """Divide, train and compare; returns the exit code. Raises SemiposeError."""
    from pathlib import Path

    from semipose.data.formats.lsp import convert_lsp
    from semipose.errors import ConfigError
    from semipose.jobs.demo_runs import ALL_LABELS, COTRAIN, SUPERVISED, Training, compare, train_all
    from semipose.writable import check_folder

    if args.weights and not Path(args.weights).is_file():
        raise ConfigError(f"--weights: {args.weights} is not a file")
    folder = f"{args.labels}-seed{args.seed}"
    out, data = check_folder(args.out, "--out"), check_folder(f"{args.data}/{folder}", "--data")
    counts = convert_lsp(args.root, str(data), args.labels, args.val, args.seed)
    print(f"{data}: " + ", ".join(f"{name} {count}" for name, count in counts.items()), flush=True)
    weights = ["MODEL.PRETRAINED", args.weights] if args.weights else []
    pairs = ["DATASET.ROOT", str(data), *weights, *args.pairs]
    few, cotrain = "lsp/lite0_supervised.yaml", "lsp/lite0_cotrain.yaml"
    trainings = [
        Training(SUPERVISED, f"Supervised, {args.labels} labels", "train", few, pairs),
        Training(COTRAIN, "Co-training", "cotrain1", cotrain, pairs),
    ]
    if args.all_labels:
        everyone = counts["train"] + counts["unlabeled"]
        more = [*pairs, "DATASET.TRAIN_SET", "[train, unlabeled]"]
        trainings.append(Training(ALL_LABELS, f"Supervised, all {everyone} labels", "train", few, more))
    if code := train_all(trainings, out / folder, args.seed):
        return code
    facts = {"labeled": counts["train"], "unlabeled": counts["unlabeled"], "seed": args.seed}
    return compare(trainings, out / folder, out, facts, "PCK@0.2")
