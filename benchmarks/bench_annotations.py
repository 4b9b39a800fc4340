"""What 150,000 persons cost: seconds and memory of reading them, and memory of four loader workers. Asserts nothing.

python benchmarks/bench_annotations.py            # part of `make bench`
python benchmarks/bench_annotations.py --persons 1000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

MIB = 2**20
WORKERS = 4
BATCHES = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--persons", type=int, default=150_000, help="persons in the file (default %(default)s)")
    parser.add_argument("--measure", metavar="FILE", help=argparse.SUPPRESS)  # in a process of its own, for its peak
    args = parser.parse_args()
    if args.measure:
        measure(Path(args.measure))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = write_annotation(Path(folder), args.persons)
        print(f"\n{args.persons} persons, COCO file of {file.stat().st_size / MIB:.0f} MiB", flush=True)
        return subprocess.run([sys.executable, __file__, "--measure", str(file)]).returncode


def write_annotation(folder: Path, persons: int) -> Path:
    """Persons with keypoints and a segmentation, 2.3 on an image, as in COCO's train2017; all images are one file."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    cv2.imwrite(str(folder / "0.jpg"), rng.integers(0, 256, (480, 640, 3), dtype=np.uint8))
    points = np.concatenate([rng.uniform(50, 400, (64, 17, 2)).round(2), rng.integers(0, 3, (64, 17, 1))], axis=-1)
    shapes = [p.ravel().tolist() for p in points]
    images = max(1, int(persons / 2.3))
    annotations = [
        {
            "id": n + 1, "image_id": n % images, "category_id": 1, "iscrowd": 0, "area": 9e3,
            "bbox": [100.5, 50.25, 200.0, 380.0], "num_keypoints": 17, "keypoints": shapes[n % 64],
            "segmentation": [shapes[n % 64]],
        }
        for n in range(persons)
    ]  # fmt: skip
    listed = [{"id": n, "file_name": "0.jpg", "width": 640, "height": 480} for n in range(images)]
    categories = [{"id": 1, "name": "person"}]
    (folder / "all.json").write_text(
        json.dumps({"images": listed, "annotations": annotations, "categories": categories})
    )
    return folder / "all.json"


def measure(file: Path) -> None:
    from semipose.data.context_crops import ContextCrops
    from semipose.data.crop_cache import make_crop_source
    from semipose.data.formats import read_coco
    from semipose.data.loaders import PairLoader, Side, Workers
    from semipose.data.person_dataset import PersonDataset
    from semipose.skeletons import COCO

    warnings.filterwarnings("ignore", message="This DataLoader will create")
    before, start = peak(), time.perf_counter()
    persons = read_coco(str(file), str(file.parent), COCO)
    seconds = time.perf_counter() - start
    print(f"  read {len(persons)} persons: {seconds:.1f} s, peak {peak():.0f} MiB, of which imports {before:.0f} MiB")
    crops = ContextCrops(persons, (192, 256), margin=1.25, padding=1.25)
    dataset = PersonDataset(make_crop_source(crops, "none", file.parent), [1.0] * 17, "replace")
    loader = PairLoader(Side(dataset, 8), steps=BATCHES, workers=Workers(WORKERS))
    for number, _ in enumerate(loader.batches(0), 1):
        if number == BATCHES - WORKERS:  # while all workers are alive and have read
            own = [private_memory(child) for child in children()]
    print(f"  {WORKERS} workers: {min(own):.0f} to {max(own):.0f} MiB of their own, main process {resident():.0f} MiB")


def peak() -> float:
    """Largest resident memory of this process so far, MiB (Linux; rusage would count the process that started it)."""
    return _status("self", "VmHWM")


def resident(process: str = "self") -> float:
    """Memory that a process holds now, shared memory included, MiB (Linux)."""
    return _status(process, "VmRSS")


def _status(process: str, key: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) * 1024 / MIB


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def private_memory(process: str) -> float:
    """Memory of a process that it shares with no other one, MiB (Linux)."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024 / MIB


if __name__ == "__main__":
    sys.exit(main())
