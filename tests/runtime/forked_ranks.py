"""Runs of several ranks, started by torch's agent as torchrun does, but as forks of one process that has imported
everything: a run takes a second or two, not ten.

The process reads a line of JSON for each run and answers with one: the exit code of the agent, and the processes that
it left behind. Where asked to, a rank is disturbed at a chosen moment: it sends a signal to itself or to its agent.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ranks_script
import sklearn.mixture  # noqa: F401  all that a fork would have to import
import torch._dynamo  # noqa: F401

from semipose import cli, runs  # noqa: F401
from semipose.engine import checkpoint
from semipose.engine.trainer import Trainer
from semipose.evaluation import validation as validate
from semipose.runtime import ranks as distributed
from semipose.runtime.launch import run_ranks

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
MOST_SECONDS = 240
PLACES = {  # what is called in each stage
    "training": (Trainer, "_learn"), "evaluation": (validate, "predict_output"),
    "saving": (checkpoint, "_publish"),
}  # fmt: skip


def disturb(stage: str, count: int, rank: int, to: str, number: int) -> None:
    """In the first attempt, on one rank, send signal `number` to it ("rank") or its "agent" in the n-th call."""
    if int(os.environ["RANK"]) != rank or os.environ["TORCHELASTIC_RESTART_COUNT"] != "0":
        return
    owner, name = PLACES[stage]
    original, calls = getattr(owner, name), [0]

    def disturbed(*arguments, **options):
        calls[0] += 1
        if calls[0] == count:
            print(f"rank {rank} disturbed in {stage}", file=sys.stderr, flush=True)
            os.kill(os.getpid() if to == "rank" else os.getppid(), number)
            time.sleep(0.05)
        return original(*arguments, **options)

    setattr(owner, name, disturbed)


def report_writing(folder: str) -> None:
    """Say on standard error what this process opens to write, renames or makes below `folder`."""

    def hear(event: str, arguments: tuple) -> None:
        writes = event in ("os.rename", "os.mkdir", "os.remove") or (
            event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if writes and str(arguments[0]).startswith(folder):
            os.write(2, f"a rank that is not the first writes {arguments[0]}\n".encode())

    sys.addaudithook(hear)


def run_jobs(root: str, out: str, jobs: str) -> None:
    """Entry of a rank: see ranks_script.py."""
    ranks_script.main(root, out, jobs)


def run_script(*command: str) -> None:
    """Entry of a rank: cotrain1.py, with a disturbance in front of its arguments, "" for none."""
    distributed.GRACE_SECONDS = 0.5  # the rank that was killed is long dead
    if command[0]:
        disturb(*json.loads(command[0]))
    if os.environ["RANK"] != "0":
        report_writing(command[command.index("--output-dir") + 1])
    sys.argv = ["cotrain1.py", *command[1:]]
    cli.cotrain1()


@contextmanager
def forked_ranks() -> Iterator["ForkedRanks"]:
    """The process, for as long as it is needed."""
    process = subprocess.Popen(
        [sys.executable, __file__], env=ENVIRONMENT, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield ForkedRanks(process)
    finally:
        process.stdin.close()
        process.wait()


class ForkedRanks:
    """Runs one after another; what they print is in files."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    def run(self, log: Path, ranks: int, entry: str, arguments: list, restarts: int = 0) -> tuple[int, str]:
        """Exit code and standard error of a run; `log` is the path of its two files without their endings."""
        task = {"log": str(log), "ranks": ranks, "entry": entry, "arguments": arguments, "restarts": restarts}
        print(json.dumps(task), file=self._process.stdin, flush=True)
        code, left = json.loads(self._process.stdout.readline())
        errors = Path(f"{log}.err").read_text()
        assert not left, f"processes are left: {left}\n{errors}"
        return code, errors


ENTRIES = {"jobs": run_jobs, "script": run_script}


def run_agent(log: str, ranks: int, entry: str, arguments: list[str], restarts: int) -> int:
    """The agent, in a session of its own; what all of them print is in `log`.out and `log`.err."""
    os.setsid()
    signal.alarm(MOST_SECONDS)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{log}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    return run_ranks(ranks, ENTRIES[entry], arguments, start_method="fork", max_restarts=restarts)


def alive_in(session: int) -> list[int]:
    """Process ids."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry))
    return found


def wait_for_none(session: int) -> list[int]:
    """The processes of a session that do not end; they are ended here."""
    limit = time.monotonic() + 10
    while (found := alive_in(session)) and time.monotonic() < limit:
        time.sleep(0.02)
    for process in found:
        os.kill(process, signal.SIGKILL)
    return found


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = run_agent(**json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([code, wait_for_none(child)]), flush=True)


if __name__ == "__main__":
    main()
