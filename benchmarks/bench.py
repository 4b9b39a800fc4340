"""Where the time and the memory go. Prints markdown tables, most of them ratios; asserts nothing.

python benchmarks/bench.py                        # what `make bench` runs; about half an hour on two cores
python benchmarks/bench.py --only loader,step     # some of it
python benchmarks/bench.py --quick                # small images and few repeats: only to see that it works
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import bench_backbones
import bench_compile
import bench_decoding
import bench_epoch
import bench_loader
import bench_memory
import bench_options
import bench_predict
import bench_start
import bench_step
import torch
from bench_data import QUICK, Scale

from semipose.runtime.freed_memory import keep_freed_memory

# each: Scale -> tables, one after the other
SECTIONS = {
    "loader": bench_loader.tables,
    "step": bench_step.tables,
    "turns": bench_step.turns_tables,
    "epoch": bench_epoch.tables,
    "options": bench_options.tables,
    "backbones": bench_backbones.tables,
    "decoding": bench_decoding.tables,
    "predict": bench_predict.tables,
    "memory": bench_memory.tables,
    "start": bench_start.tables,
}
ONLY_IF_NAMED = {"compile": bench_compile.tables}  # takes minutes, and a C++ compiler


def main() -> int:
    args = parse_args()
    scale = QUICK if args.quick else Scale()
    scale = replace(scale, repeats=args.repeats or scale.repeats)
    keep_freed_memory()  # as the training scripts do
    emit(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n", args.out, new=True)
    for name in args.only:
        for text in (SECTIONS | ONLY_IF_NAMED)[name](scale):
            emit(text, args.out)
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small images, few repeats: only to see that it works")
    parser.add_argument("--repeats", type=int, help=f"turns of what takes seconds (default {Scale.repeats})")
    names, more = ",".join(SECTIONS), ",".join(ONLY_IF_NAMED)
    text = f"some of: {names} (these are the default), {more}"
    parser.add_argument("--only", type=sections, default=names, metavar="NAME,...", help=text)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables to this file as well")
    return parser.parse_args()


def sections(text: str) -> list[str]:
    names = text.split(",")
    known = SECTIONS | ONLY_IF_NAMED
    unknown = [name for name in names if name not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no section {unknown[0]!r}; sections: {', '.join(known)}")
    return names


def emit(text: str, out: Path | None, new: bool = False) -> None:
    print(text, flush=True)
    if out:
        with open(out, "w" if new else "a", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
