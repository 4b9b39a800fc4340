"""Are seven more labels that `semipose label` chooses worth more than seven others? On the mirror mouse, three seeds.

A run learns from 8 random frames. 7 of the other labelled frames are added: chosen by `semipose label`, drawn by lot,
or those with the lowest peaks. Each of the three sets is learned from scratch, in the same steps, and validated on 40
frames. One training after another, 12 in all of about five minutes on one core; what is there is not made again.

Example: python benchmarks/label_rounds.py --mouse mirror-mouse --out rounds
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SEEDS, FIRST, MORE, ALL = (0, 1, 2), 8, 7, 50
EPOCHS = 9, 6  # of 50 steps: of the first run and of the others
WAYS = ("chosen", "random", "lowest peaks")
SET = "annotations/person_keypoints_{}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mouse", type=Path, required=True, help="folder with CollectedData.csv and videos/test_vid.mp4"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    print("| seed | 8 labels | " + " | ".join(f"15: {way}" for way in WAYS) + " |\n|---|" + "---|" * (len(WAYS) + 1))
    for seed in args.seeds:
        errors = round_of(args.mouse, args.out, seed)
        print(f"| {seed} | " + " | ".join(f"{error:.2f}" for error in errors) + " |", flush=True)


def round_of(mouse: Path, out: Path, seed: int) -> list[float]:
    """Mean errors in pixels of the first run, and of the runs of all `WAYS`."""
    few, every = (converted(mouse, out / f"{labels}_labels_{seed}", labels, seed) for labels in (FIRST, ALL))
    name = f"labeled_n{FIRST}_seed{seed}"
    errors = [train(out, few, f"first_{seed}", name, seed, EPOCHS[0])]
    document = read(every, f"labeled_n{ALL}_seed{seed}")
    known = {image["file_name"] for image in read(few, name)["images"]}
    others = sorted({image["file_name"] for image in document["images"]} - known)
    for way in WAYS:
        more = MORE_FRAMES[way](out, few, others, seed)
        assert len(more) == MORE and set(more) <= set(others)
        name = f"{way.replace(' ', '_')}_{seed}"
        write_set(few, name, document, known | set(more))
        errors.append(train(out, few, name, name, seed, EPOCHS[1]))
    return errors


def chosen(out: Path, few: Path, others: list[str], seed: int) -> list[str]:
    folder = out / f"choice_{seed}"
    if not folder.exists():
        semipose("label", out / f"first_{seed}", listed(few, others, seed), "--count", MORE, "--out", folder)
    with open(folder / "chosen.csv", newline="") as file:
        return [str(Path(row["file"]).relative_to(few.resolve() / "images")) for row in csv.DictReader(file)]


def drawn(out: Path, few: Path, others: list[str], seed: int) -> list[str]:
    return np.random.default_rng(100 + seed).choice(others, MORE, replace=False).tolist()


def lowest_peaks(out: Path, few: Path, others: list[str], seed: int) -> list[str]:
    semipose(
        "predict", out / f"first_{seed}", listed(few, others, seed), "--out", out / f"peaks_{seed}", "--format", "csv"
    )
    with open(out / f"peaks_{seed}/pictures.csv", newline="") as file:
        rows = list(csv.reader(file))[3:]
    peaks = {row[0].split("/")[-1]: np.mean([float(cell) for cell in row[3::3]]) for row in rows}
    return sorted(others, key=lambda name: peaks[name.split("/")[-1]])[:MORE]


MORE_FRAMES = dict(zip(WAYS, (chosen, drawn, lowest_peaks)))


def converted(mouse: Path, out: Path, labels: int, seed: int) -> Path:
    if not (out / SET.format(f"labeled_n{labels}_seed{seed}")).exists():
        words = ("--csv", mouse / "CollectedData.csv", "--videos", mouse / "videos/test_vid.mp4", "--val", 40)
        semipose("convert", "lightning-pose", *words, "--out", out, "--labels", labels, "--seeds", seed)
    return out


def train(out: Path, data: Path, name: str, labels: str, seed: int, epochs: int) -> float:
    """The mean error in pixels after the last step."""
    if not (out / name / "last.pth").exists():
        semipose(
            "cotrain1", "--cfg", ROOT / "experiments/mouse/cotrain.yaml", "--name", name, "--output-dir", out,
            "--seed", seed, "DATASET.ROOT", data, "DATASET.TRAIN_SET", labels, "TRACKING.TENSORBOARD", "false",
            "DATASET.TRAIN_UNSUP_SET", f"[unlabeled_n{FIRST}_seed{seed}]", "TRAIN.EVAL_INTERVAL", 1000,
            "TRAIN.END_EPOCH", epochs,
        )  # fmt: skip
    lines = (out / name / "metrics.jsonl").read_text().splitlines()
    return next(row["EPE"] for row in map(json.loads, reversed(lines)) if "EPE" in row)


def write_set(few: Path, name: str, document: dict, names: set[str]) -> None:
    """A COCO file of the images `names`."""
    images = [image for image in document["images"] if image["file_name"] in names]
    ids = {image["id"] for image in images}
    rows = [row for row in document["annotations"] if row["image_id"] in ids]
    (few / SET.format(name)).write_text(json.dumps(document | {"images": images, "annotations": rows}))


def listed(few: Path, names: list[str], seed: int) -> Path:
    """A list of pictures as a SOURCE."""
    file = few / f"others_{seed}.txt"
    file.write_text("\n".join(str(few.resolve() / "images" / name) for name in names))
    return file


def read(data: Path, name: str) -> dict:
    return json.loads((data / SET.format(name)).read_text())


def semipose(*words) -> None:
    subprocess.run([sys.executable, "-m", "semipose", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
