"""What has to be seen on a GPU: tests, precision, speed, memory, a real run. Prints one table; `gpu.sh` calls it.

Each part has its own time, and one that fails says so in its row and does not stop the others. Rows are also written as
they come, so that a machine that is taken away leaves what was found.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bench_gpu_runs as runs
import bench_gpu_steps as steps
import torch
from bench_turns import markdown

COLUMNS = ("what", "result", "more")
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Scale:
    """How large the parts are.

    Attributes:
        backbone, size, batch: of the co-training step; the batch is that of each side.
        second: the network whose plain step is timed too.
        curve: batch of each side and number of steps of the runs whose losses are compared.
        pictures: labelled, unlabelled and validation pictures that are drawn.
        run_batch, run_steps: of the real run; it has two epochs of so many steps.
        seconds: of each timing.
        tests: seconds that the tests may take; 0 = no tests.
    """

    backbone: str = "resnet18"
    size: tuple[int, int] = (192, 256)
    batch: int = 64
    second: str = "hrnet_w32"
    curve: tuple[int, int] = (32, 120)
    pictures: tuple[int, int, int] = (64, 1000, 100)
    run_batch: int = 64
    run_steps: int = 30
    seconds: float = 4.0
    tests: int = 120


QUICK = Scale("light_unet", (32, 32), 4, "light_unet_deep", (4, 6), (8, 16, 4), 4, 2, 0.05, 0)


def main() -> int:
    args = parse_args()
    scale, device = QUICK if args.quick else Scale(), torch.device(args.device)
    if args.no_tests:
        scale = replace(scale, tests=0)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("error: torch sees no GPU here; --device cpu --quick only shows that the parts work", file=sys.stderr)
        return 2
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(said(parts(scale, device, args, Path(folder))))
    rows.append(("all together", f"{time.perf_counter() - started:.0f} s", ""))
    text = markdown(f"{steps.device_name(device)}, torch {torch.__version__}", COLUMNS, rows)
    print("\n" + text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")
    return int(any(row[1].startswith("FAILED") for row in rows))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="default cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: only to see that it works")
    parser.add_argument("--no-tests", action="store_true", help="leave out the tests that are marked gpu")
    parser.add_argument("--cfg", type=Path, help="configuration of the real run (default: drawn people)")
    parser.add_argument("--root", type=Path, help="its DATASET.ROOT")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table to this file as well")
    args = parser.parse_args()
    if (args.cfg is None) != (args.root is None):
        parser.error("--cfg and --root go together")
    return args


def parts(scale: Scale, device: torch.device, args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """All rows; what is short and what is asked for most comes first."""
    yield from attempt("co-training step", lambda: steps.cotraining_rows(scale, device, folder))
    yield from attempt(f"{scale.second} step", lambda: steps.network_rows(scale, device))
    data = runs.Data(args.cfg, args.root) if args.cfg else runs.drawn_people(scale, folder / "people")
    yield from attempt("real run", lambda: runs.real_run_rows(scale, device, data, folder))
    yield from attempt("precision", lambda: runs.precision_rows(scale, device, data, folder))
    if scale.tests:
        yield from attempt("gpu tests", lambda: runs.gpu_test_rows(scale.tests))


def attempt(name: str, part: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """The rows of a part; an error becomes a row, so that the other parts are still done."""
    try:
        yield from part()
    except Exception as error:  # whatever it is, the machine is here only for minutes
        yield name, "FAILED", " ".join(f"{type(error).__name__}: {error}".split())[-300:]


def said(rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows, each also written at once."""
    for row in rows:
        print(" | ".join(row), file=sys.stderr, flush=True)
        yield row


if __name__ == "__main__":
    sys.exit(main())
