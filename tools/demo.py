"""The demo: draw people, train on 40 labels with and without 1,500 unlabelled pictures, compare, write a report.

python tools/demo.py            # what `make demo` runs; killed and started again, it goes on where it was
"""

import argparse
import json
import sys
import time
from pathlib import Path

from run_script import ROOT, read_epochs, run

SCRIPTS = {"supervised": "train.py", "cotrain": "cotrain1.py"}
COUNTS = {"labeled": 40, "unlabeled": 1500, "val": 500}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of pictures, networks and samplers (default %(default)s)")
    parser.add_argument("--out", default="output/demo", help="folder of runs and report (default %(default)s)")
    parser.add_argument("--data", default="data/demo", help="folder of the pictures (default %(default)s)")
    for name, count in COUNTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, help=f"{name} pictures (default %(default)s)")
    parser.add_argument("pairs", nargs="*", metavar="KEY VALUE", help="for both runs, e.g. TRAIN.END_EPOCH 2")
    args = parser.parse_args()
    wanted = {name: getattr(args, name) for name in COUNTS}
    folder = f"seed{args.seed}" + ("" if wanted == COUNTS else "-" + "-".join(map(str, wanted.values())))
    data, out = f"{args.data}/{folder}", Path(args.out)
    counts = [text for name, count in wanted.items() for text in (f"--{name}", str(count))]
    run([ROOT / "tools/make_demo_data.py", "--out", data, "--seed", str(args.seed), *counts])
    for name, script in SCRIPTS.items():
        print(f"\n== {name}: pose_estimation/{script} --cfg experiments/demo/{name}.yaml", flush=True)
        command = [ROOT / "pose_estimation" / script, "--cfg", ROOT / f"experiments/demo/{name}.yaml", "--name", name]
        where = ["--output-dir", out / folder, "--seed", str(args.seed), "--resume", "auto"]
        run([*command, *where, "DATASET.ROOT", data, *args.pairs])
    summarise(out, out / folder, args.seed)
    return 0


def summarise(out: Path, runs: Path, seed: int) -> None:
    """Table on the terminal, summary.json and report.html from the finished runs."""
    from semipose.assemble import build_data
    from semipose.config import load_config
    from semipose.jobs.report import main as write_report

    epochs = {name: evaluations(runs / name) for name in SCRIPTS}
    last = {name: rows[-1] for name, rows in epochs.items()}
    report = build_data(load_config(runs / "cotrain" / "config.yaml")).report
    names = ("first", "second", "ema_first", "ema_second", "ensemble")
    summary = {
        "supervised": {"AP": last["supervised"]["AP"]},
        "cotrain": {f"AP_{name}": last["cotrain"][f"AP_{name}"] for name in names},
        "labeled": report.labeled, "unlabeled": report.unlabeled,
        "steps": last["cotrain"]["step"], "seed": seed,
    }  # fmt: skip
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    table = [{"method": f"Supervised, {report.labeled} labels"} | scores(last["supervised"], "student")]
    titles = ("first network", "second network", "EMA of the first", "EMA of the second", "ensemble")
    for name, title in zip(names, titles, strict=True):
        table.append({"method": f"Co-training, {title}"} | scores(last["cotrain"], name))
    print(f"\n{'':32s}{'AP':>7s}{'PCK@0.1':>9s}")
    for row in table:
        print(f"{row['method']:32s}{row['AP']:7.1f}{row['PCK@0.1']:9.1f}")
    print(f"\n{out / 'summary.json'}", flush=True)
    code = write_report([*(str(runs / name) for name in SCRIPTS), "--out", str(out / "report.html")])
    if code:
        sys.exit(code)


def evaluations(folder: Path) -> list[dict]:
    """The evaluated epochs of a run, oldest first."""
    return [row for row in read_epochs(folder / "metrics.jsonl") if "AP" in row]


def scores(row: dict, name: str) -> dict:
    return {"AP": 100 * row[f"AP_{name}"], "PCK@0.1": 100 * row[f"PCK_{name}"]}


if __name__ == "__main__":
    start = time.monotonic()
    code = main()
    print(f"demo finished in {time.monotonic() - start:.0f} s")
    sys.exit(code)
