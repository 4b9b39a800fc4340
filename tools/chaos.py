"""Try out what is promised about faults: run each test that is marked with a promise, and print the table.

    python tools/chaos.py                  all of it
    python tools/chaos.py --quick          without the tests marked slow
    python tools/chaos.py -k "R4 or R15"   some of it, by promise

A test says which promise it tries with `@pytest.mark.promise("R9", trials=8)`. The exit code is 0 only if every
promise had its trials and all of them passed.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent

# name -> (what is promised, trials that make it believable)
PROMISES = {
    "R1": ("SIGKILL while a checkpoint is saved: never half a file", 100),
    "R2": ("a damaged newest checkpoint: the one before is loaded, with a warning", 20),
    "R3": ("a stopped run goes on as if it had not been, to the last bit", 48),
    "R4": ("SIGTERM, SIGINT, SIGUSR1 in training, evaluation, scoring, saving: saved, no process left", 40),
    "R5": ("signals under torchrun: all ranks save at one step, the run goes on exactly", 10),
    "R6": ("a rank that dies: the run ends and names it, or torchrun restarts it", 12),
    "R7": ("two ranks train as one process does, when nothing random is drawn: the same weights", 6),
    "R8": ("a loss that is not finite: skipped, or stopped with a good last file", 3),
    "R9": ("corrupt images: listed exactly; too many end the run", 8),
    "R10": ("file names that leave their folder: refused", 8),
    "R11": ("image, archive and JSON bombs: refused at once", 3),
    "R12": ("checkpoints that would run code: refused", 10),
    "R13": ("configurations that would run code or blow up: refused", 6),
    "R14": ("disk full: the old checkpoints stay", 2),
    "R15": ("a loader process is killed, ends or hangs: one line with the remedy", 3),
    "R16": ("images in a zip archive read by 0, 2 and 4 workers: the pixels of the files", 3),
    "R17": ("wandb out of reach or broken: the same record", 5),
    "R18": ("annotation files with random damage: read, or refused by file and field", 500),
    "R19": ("OKS evaluation equals pycocotools to 1e-12", 20),
    "kills": ("kill -9 at random moments of a run, resumed each time: final weights bit-equal", 20),
}


class Trials:
    """pytest plugin: counts the trials of each promise, and those that passed."""

    def __init__(self, wanted: set[str]):
        self.wanted = wanted
        self.trials, self.passes, self.seconds = Counter(), Counter(), Counter()
        self._of: dict[str, list[tuple[str, int]]] = {}
        self._outcomes: dict[str, list[str]] = {}

    def pytest_collection_modifyitems(self, config, items):
        kept = []
        for item in items:
            marks = [(mark.args[0], mark.kwargs.get("trials", 1)) for mark in item.iter_markers("promise")]
            unknown = {name for name, _ in marks} - PROMISES.keys()
            if unknown:
                raise ValueError(f"{item.nodeid}: unknown promise {', '.join(unknown)}")
            self._of[item.nodeid] = [pair for pair in marks if pair[0] in self.wanted]
            if self._of[item.nodeid]:
                kept.append(item)
        items[:] = kept

    def pytest_runtest_logreport(self, report):
        outcomes = self._outcomes.setdefault(report.nodeid, [])
        outcomes.append(report.outcome)
        for name, trials in self._of[report.nodeid]:
            self.seconds[name] += report.duration
            if report.when == "teardown" and "skipped" not in outcomes:
                self.trials[name] += trials
                self.passes[name] += trials * (set(outcomes) == {"passed"})

    def table(self) -> str:
        """Markdown, a row for each promise that was asked for."""
        lines = ["| | promise | trials | passes | seconds |", "|---|---|---|---|---|"]
        for name, (promise, _) in PROMISES.items():
            if name in self.wanted:
                counts = f"{self.trials[name]} | {self.passes[name]} | {self.seconds[name]:.0f}"
                lines.append(f"| {name} | {promise} | {counts} |")
        return "\n".join(lines)

    def gaps(self, quick: bool) -> list[str]:
        """What keeps the table from being good; a quick run need not have all trials."""
        found = []
        for name, (_, least) in PROMISES.items():
            trials, passes = self.trials[name], self.passes[name]
            if name in self.wanted and (passes < trials or (trials < least and not quick)):
                found.append(f"{name}: {passes} of {trials} trials passed, at least {least} are wanted")
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", dest="only", help='promises, such as "R4" or "R4 or R15"; default: all')
    parser.add_argument("--quick", action="store_true", help="leave out the tests marked slow")
    parser.add_argument("--out", help="write the table to this file too")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(" or ")) if arguments.only else set(PROMISES)
    if wanted - PROMISES.keys():
        parser.error(f"unknown promise {', '.join(sorted(wanted - PROMISES.keys()))}; known: {', '.join(PROMISES)}")
    return run(wanted, arguments.quick, arguments.out)


def run(wanted: set[str], quick: bool, out: str | None) -> int:
    import pytest

    started, trials = time.monotonic(), Trials(wanted)
    which = "promise and not gpu" + (" and not slow" if quick else "")
    files = [str(path) for path in sorted(ROOT.glob("tests/**/test_*.py")) if "mark.promise(" in path.read_text()]
    code = pytest.main(["-q", f"--rootdir={ROOT}", "-m", which, *files], plugins=[trials])
    print(f"\n{trials.table()}\n\n{time.monotonic() - started:.0f} s in all")
    if out:
        Path(out).write_text(trials.table() + "\n", encoding="utf-8")
    gaps = trials.gaps(quick)
    print("\n".join(gaps), file=sys.stderr, end="\n" if gaps else "")
    return int(code) or bool(gaps)


if __name__ == "__main__":
    sys.exit(main())
