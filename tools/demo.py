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
EXAMPLES = 8
SCALE = 4


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
    epochs = {name: evaluations(runs / name) for name in SCRIPTS}
    last = {name: rows[-1] for name, rows in epochs.items()}
    trained = {name: load_run(runs / name) for name in epochs}
    data = trained["cotrain"]["data"]
    names = ("first", "second", "ema_first", "ema_second", "ensemble")
    summary = {
        "supervised": {"AP": last["supervised"]["AP"]},
        "cotrain": {f"AP_{name}": last["cotrain"][f"AP_{name}"] for name in names},
        "labeled": data.report.labeled, "unlabeled": data.report.unlabeled,
        "steps": last["cotrain"]["step"], "seed": seed,
    }  # fmt: skip
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    table = [{"method": f"Supervised, {data.report.labeled} labels"} | scores(last["supervised"], "student")]
    titles = ("first network", "second network", "EMA of the first", "EMA of the second", "ensemble")
    for name, title in zip(names, titles, strict=True):
        table.append({"method": f"Co-training, {title}"} | scores(last["cotrain"], name))
    print(f"\n{'':32s}{'AP':>7s}{'PCK@0.1':>9s}")
    for row in table:
        print(f"{row['method']:32s}{row['AP']:7.1f}{row['PCK@0.1']:9.1f}")
    write_page(out / "report.html", table, epochs, trained, summary)
    print(f"\n{out / 'summary.json'}\n{out / 'report.html'}   <- open this in a browser")


def evaluations(folder: Path) -> list[dict]:
    """The evaluated epochs of a run, oldest first."""
    return [row for row in read_epochs(folder / "metrics.jsonl") if "AP" in row]


def scores(row: dict, name: str) -> dict:
    return {"AP": 100 * row[f"AP_{name}"], "PCK@0.1": 100 * row[f"PCK_{name}"]}


def load_run(folder: Path) -> dict:
    """Configuration, data and networks of the last step of a run."""
    from semipose import assemble
    from semipose.algorithms.algorithm import load_networks
    from semipose.config import load_config
    from semipose.engine.checkpoint import load_checkpoint

    config = load_config(folder / "config.yaml")
    state = load_checkpoint(folder / "last.pth")
    algorithm = assemble.build_algorithm(config, pretrained=False)
    load_networks(algorithm, state, str(folder / "last.pth"))
    return {"config": config, "algorithm": algorithm.eval(), "data": assemble.build_data(config)}


def write_page(path: Path, table: list[dict], epochs: dict, trained: dict, summary: dict) -> None:
    from semipose.skeletons import get_skeleton
    from semipose.visualize.report import write_report

    curves = {"supervised": [(row["step"], 100 * row["AP"]) for row in epochs["supervised"]]}
    for name, title in (("first", "first network"), ("second", "second network"), ("ensemble", "ensemble of the EMAs")):
        curves[f"co-training, {title}"] = [(row["step"], 100 * row[f"AP_{name}"]) for row in epochs["cotrain"]]
    report = trained["cotrain"]["data"].report
    notes = [
        f"Both runs: the same {report.labeled} labels, {summary['steps']} optimiser steps, the same kind of network, "
        f"seed {summary['seed']}. Co-training also sees {report.unlabeled} pictures without labels.",
        f"AP: OKS average precision on {report.validation} people that were used for nothing else; of the last step, "
        "so nothing was chosen by it. PCK@0.1: share of joints within a tenth of the box.",
        "The pictures are drawn by tools/make_demo_data.py; the examples are the first ones, not chosen ones.",
    ]
    write_report(
        path, f"Co-training from {report.labeled} labelled people", table, curves, validation_examples(trained),
        pseudo_examples(trained["cotrain"]), notes,
        skeleton=get_skeleton(trained["cotrain"]["config"].DATASET.SKELETON),
    )  # fmt: skip


def validation_examples(trained: dict) -> list:
    """The first validation crops: labels, supervised, co-trained."""
    from semipose import assemble
    from semipose.evaluation.network_outputs import decode_mean, predict_output
    from semipose.geometry import affine
    from semipose.skeletons import get_skeleton
    from semipose.views.sampler import centred_view
    from semipose.visualize.overlay import draw_skeleton
    from semipose.visualize.report import ExampleRow

    config = trained["cotrain"]["config"]
    skeleton = get_skeleton(config.DATASET.SKELETON)
    persons = trained["cotrain"]["data"].validation["val"]
    batch = assemble.build_dataset(config, persons, "omit").__getitems__(range(EXAMPLES))
    flip_order = trained["cotrain"]["algorithm"].recipe.views.flip_order
    view = centred_view(batch, tuple(config.MODEL.IMAGE_SIZE), flip_order)
    labels = affine.apply(affine.invert(view.to_base), batch.keypoints)
    points = {}
    for name, parts in trained.items():
        networks = parts["algorithm"].predictors()
        main = [networks[n] for n in parts["algorithm"].main_predictors()]
        points[name] = decode_mean(main, [predict_output(network, view) for network in main])
    rows = []
    for i, picture in enumerate(pictures(view)):
        drawn = [draw_skeleton(picture, labels[i].numpy(), skeleton, batch.weights[i].numpy() > 0, scale=SCALE)]
        drawn += [draw_skeleton(picture, p[i].numpy(), skeleton, scale=SCALE) for p, _ in points.values()]
        rows.append(ExampleRow(["ground truth", "supervised", "co-trained"], drawn))
    return rows


def pseudo_examples(run: dict) -> list:
    """What one network teaches the other: heatmaps on easy views, joints on the first hard view."""
    from semipose import assemble
    from semipose.skeletons import get_skeleton
    from semipose.views.occlusion import PredictedJoints
    from semipose.visualize.draw import draw_heatmaps, enlarge
    from semipose.visualize.overlay import draw_skeleton
    from semipose.visualize.report import ExampleRow

    config, recipe = run["config"], run["algorithm"].recipe
    skeleton = get_skeleton(config.DATASET.SKELETON)
    batch = assemble.build_dataset(config, run["data"].unlabeled, "replace").__getitems__(range(EXAMPLES))
    draws = recipe.views.at_step(0)
    easy = draws.easy(batch.without_labels())
    hard = draws.hard(batch.without_labels(), easy)
    teacher = run["algorithm"].predictors()["ema_second"]
    said = recipe.labeler.read(teacher(easy.images), easy, teacher.codec)
    pseudo = recipe.labeler(said, teacher.codec, easy.map_to(hard))
    joints = PredictedJoints(pseudo.keypoints, pseudo.scores, pseudo.weights)
    hidden = hard.with_images(draws.occlude(hard.images, recipe.views.policies.hard_views[0], joints))
    rows = []
    for i, (before, after) in enumerate(zip(pictures(easy), pictures(hidden))):
        trusted = pseudo.weights[i].numpy() > 0
        drawn = [enlarge(before, SCALE), draw_heatmaps(enlarge(before, SCALE), said.output[i].numpy())]
        drawn.append(draw_skeleton(after, pseudo.keypoints[i].numpy(), skeleton, trusted, scale=SCALE))
        rows.append(ExampleRow(["easy view", "what the teacher says", "hard view with pseudo-labels"], drawn))
    return rows


def pictures(view) -> list:
    """The images of a view as (H, W, 3) uint8."""
    return list((view.images * 255).round().byte().permute(0, 2, 3, 1).numpy())


if __name__ == "__main__":
    start = time.monotonic()
    code = main()
    print(f"demo finished in {time.monotonic() - start:.0f} s")
    sys.exit(code)
