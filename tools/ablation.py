"""Train every row of an ablation with every seed, and write the table. Stopped and started again, it goes on.

python tools/ablation.py                                     # experiments/ablation/demo.yaml: what `make ablation` runs
python tools/ablation.py experiments/ablation/mouse.yaml --data mirror-mouse --jobs 2 --only mean_teacher_8
"""

import argparse
import os
import sys
import time
from pathlib import Path

from ablation_plan import Plan, Row, filled, read_plan
from ablation_runs import Run, Training
from ablation_table import summarise, to_json, to_markdown
from run_script import POLL_SECONDS, ROOT, caught_signals, run

from semipose.errors import ConfigError, SemiposeError, write_error


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", nargs="?", type=Path, default=ROOT / "experiments/ablation/demo.yaml", help="YAML file")
    parser.add_argument("--list", action="store_true", help="show the rows and how far their runs are, and stop")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="train these rows only; the table has all")
    parser.add_argument("--seeds", nargs="+", type=int, help="these seeds instead of the plan's")
    parser.add_argument("--jobs", type=int, default=cores(), help="runs at a time (default: cores, here %(default)s)")
    parser.add_argument("--out", help="folder of runs and table, instead of the plan's")
    parser.add_argument("--data", help="where the raw data are, for plans that prepare their data from them")
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        plan = read_plan(args.plan)
        check(args, plan)
        seeds, out = args.seeds or plan.seeds, Path(args.out or plan.output)
        runs = [Run(plan, row, seed, out) for seed in seeds for row in plan.rows]
        if args.list:
            show(plan, runs)
            return 0
        wanted = [run for run in runs if (not args.only or run.row.name in args.only) and not run.result()]
        prepare(plan, sorted({run.seed for run in wanted}), args.data)
        failed, stopped = train(wanted, len(runs), args.jobs)
        write_table(plan, runs, failed, out)
    except (SemiposeError, OSError) as fault:
        error = write_error(fault, fault.filename) if isinstance(fault, OSError) else fault
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 128 + stopped if stopped else int(bool(failed))


def check(args: argparse.Namespace, plan: Plan) -> None:
    names = [row.name for row in plan.rows]
    for name in args.only or []:
        if name not in names:
            raise ConfigError(f"--only: there is no row {name!r} in {plan.source}; rows: {', '.join(names)}")
    if args.jobs < 1:
        raise ConfigError(f"--jobs: {args.jobs} is not allowed; 1 or more expected")
    if plan.needs_data() and not args.data and not args.list:
        raise ConfigError(f"{plan.source} prepares its data from raw data; say where they are: --data PATH")


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare(plan: Plan, seeds: list[int], data: str | None) -> None:
    """Make the data of the seeds, with each command once; ends the process if that fails."""
    commands = [tuple(arguments_of(command, seed, seeds, data)) for seed in seeds for command in plan.prepare]
    for script, *arguments in dict.fromkeys(commands):
        run([ROOT / script, *arguments])


def arguments_of(command: list, seed: int, seeds: list[int], data: str | None) -> list[str]:
    parts = [part for text in command for part in (seeds if text == "{seeds}" else [text])]
    return [filled(part, seed, data) for part in parts]


def train(waiting: list[Run], total: int, jobs: int) -> tuple[list[str], int]:
    """Train what is waiting, `jobs` at a time; the lines of what failed, and the signal that ended it (or 0)."""
    threads = max(1, cores() // jobs)
    print(f"{len(waiting)} of {total} runs to train, {jobs} at a time, {threads} threads each", flush=True)
    waiting, running, failed, passed = list(waiting), [], [], 0
    with caught_signals() as came:
        while running or (waiting and not came):
            while waiting and not came and len(running) < jobs:
                running.append(Training(waiting.pop(0), threads, jobs))
            for number in came[passed:]:
                passed += 1
                for training in running:
                    training.send(number)
            time.sleep(POLL_SECONDS)
            ended = [training for training in running if training.ended()]
            running = [training for training in running if training not in ended]
            for training in ended:
                fault = training.fault(bool(came))
                failed += [fault] if fault else []
                print(fault or f"{training.run}: {training.run.state()}", flush=True)
    return failed, came[0] if came else 0


def write_table(plan: Plan, runs: list[Run], failed: list[str], out: Path) -> None:
    """ablation.json and ablation.md of all runs that are finished."""
    results = {(run.row.name, run.seed): result for run in runs if (result := run.result())}
    table = summarise(plan, results, failed)
    text = to_markdown(plan, table)
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.json").write_text(to_json(table), encoding="utf-8")
    (out / "ablation.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\n{out / 'ablation.md'}\n{out / 'ablation.json'}")


def show(plan: Plan, runs: list[Run]) -> None:
    for row in plan.rows:
        print(f"{row.name}: {row.title}\n    {describe(row)}")
        print("    " + "; ".join(f"seed {run.seed} {run.state()}" for run in runs if run.row is row))


def describe(row: Row) -> str:
    own = " ".join(f"{key}={value}" for key, value in row.overrides.items())
    return f"{row.script}.py --cfg {row.cfg}, {row.base or 'no base'}{' + ' + own if own else ''}"


if __name__ == "__main__":
    sys.exit(main())
