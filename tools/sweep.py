"""Train several settings with several seeds, and write a table with mean and spread, a csv file and a chart.

    python tools/sweep.py experiments/sweeps/demo.yaml --jobs 2

Stopped or killed and started again, it goes on; finished runs are not trained again. A run that fails is named in the
table, and the others go on; the exit code is then 1. Ctrl-C saves the runs that are being trained and ends. What a plan
holds is described in tools/sweep_plan.py.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from sweep_plan import Plan, filled, read_plan
from sweep_results import result_of, write_results
from sweep_runs import Run, Training

from semipose.errors import ConfigError, SemiposeError, write_error
from semipose.runtime.processes import POLL_SECONDS, caught_signals, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("plan", type=Path, metavar="PLAN", help="YAML file, such as experiments/sweeps/demo.yaml")
    parser.add_argument("--out", type=Path, help="folder of runs and results; default: output/sweeps/NAME_OF_THE_PLAN")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="train these settings only; the table has all")
    parser.add_argument("--seeds", nargs="+", type=int, help="these seeds instead of the plan's")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each with its share of the cores")
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        plan = read_plan(args.plan)
        check(args, plan)
        return sweep(args, plan)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def check(args: argparse.Namespace, plan: Plan) -> None:
    """Raises ConfigError for what argparse cannot know."""
    names = [setting.name for setting in plan.settings]
    for name in args.only or []:
        if name not in names:
            raise ConfigError(f"--only: {args.plan} has no setting {name!r}; it has: {', '.join(names)}")
    if args.jobs < 1:
        raise ConfigError(f"--jobs: {args.jobs} is not allowed; 1 or more expected")


def sweep(args: argparse.Namespace, plan: Plan) -> int:
    """Train what is missing, write the results; returns the exit code."""
    out = args.out or Path("output/sweeps") / args.plan.stem
    seeds = list(dict.fromkeys(args.seeds or plan.seeds))
    runs = [Run(setting, seed, out) for seed in seeds for setting in plan.settings]
    waiting = [run for run in runs if (not args.only or run.setting.name in args.only) and not run.finished()]
    print(f"{len(waiting)} of {len(runs)} runs to train, {args.jobs} at a time", flush=True)
    prepare(plan, [seed for seed in seeds if any(run.seed == seed for run in waiting)])
    try:
        faults, stopped = train(waiting, args.jobs)
        results = [result_of(run, plan.metrics, faults.get(str(run), "")) for run in runs]
        text = write_results(plan, results, out)
    except OSError as error:
        raise write_error(error, error.filename or out) from error
    print(f"\n{text}\n{out / 'results.md'}\n{out / 'results.csv'}\n{out / 'results.png'}")
    return 128 + stopped if stopped else int(any(result.fault for result in results))


def prepare(plan: Plan, seeds: list[int]) -> None:
    """Run each command of the plan once for each seed; ends this process if one fails."""
    commands = [tuple(filled(word, seed) for word in command) for seed in seeds for command in plan.prepare]
    for command in dict.fromkeys(commands):
        if code := run(list(command)):
            sys.exit(code)


def train(waiting: list[Run], jobs: int) -> tuple[dict[str, str], int]:
    """Train the runs, `jobs` at a time; returns why runs have failed, by name, and the signal that ended it all (or 0).

    Each signal is passed on once: a training run saves at the first one and ends at once at a second.
    """
    waiting, running, faults, passed, environment = list(waiting), [], {}, 0, environment_of(jobs)
    with caught_signals() as came:
        while running or (waiting and not came):
            while waiting and not came and len(running) < jobs:
                running.append(Training(waiting.pop(0), environment))
            for number in came[passed:]:
                passed += 1
                for training in running:
                    training.send(number)
            time.sleep(POLL_SECONDS)
            ended = [training for training in running if training.ended()]
            running = [training for training in running if training not in ended]
            for training in ended:
                print(f"{training.run}: {training.outcome(bool(came))}", flush=True)
                faults |= {str(training.run): training.fault} if training.fault else {}
    return faults, came[0] if came else 0


def environment_of(jobs: int) -> dict[str, str]:
    """Runs side by side share the cores, unless the user has said otherwise."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = {"OMP_NUM_THREADS": str(max(1, cores // jobs))} if jobs > 1 else {}
    return share | dict(os.environ)


if __name__ == "__main__":
    sys.exit(main())
