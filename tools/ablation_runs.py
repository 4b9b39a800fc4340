"""One run of an ablation: a row with a seed, where it is written, how far it is, and the process that trains it."""

import fcntl
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ablation_plan import Plan, Row, row_config, row_pairs
from run_script import ROOT, read_epochs, start

from semipose.config import flat_keys, load_config, to_plain
from semipose.errors import ConfigError

# what may differ between a run that is there and the plan
FREE = ("NAME", "OUTPUT_DIR", "WORKERS", "GPUS", "TRACKING", "CHECKPOINT", "TRAIN.PRINT_FREQ")
UNTIMED = {"seconds": 0.0, "machine": [], "since": None}
LOG_END = 4000


@dataclass(frozen=True)
class Run:
    """A row with a seed. Its files under `out`: ROW/seedN/ is the training script's; ROW/seedN.log what that printed;
    ROW/seedN.json the seconds; ROW/seedN.lock is held by the process that trains."""

    plan: Plan
    row: Row
    seed: int
    out: Path

    def __str__(self) -> str:
        return f"{self.row.name}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        return self.out / self.row.name / f"seed{self.seed}"

    def beside(self, suffix: str) -> Path:
        return self.folder.with_name(self.folder.name + suffix)

    def command(self) -> list:
        """Script and arguments of a new run, or of the rest of one that was stopped."""
        script = ROOT / "pose_estimation" / f"{self.row.script}.py"
        where = ["--output-dir", self.folder.parent, "--name", self.folder.name, "--seed", self.seed]
        pairs = row_pairs(self.plan, self.row, self.seed)
        return [script, "--cfg", ROOT / self.row.cfg, *where, "--resume", "auto", *pairs]

    def changed_keys(self) -> list[str]:
        """Keys in which the run that is there was configured otherwise."""
        saved = self.folder / "config.yaml"
        if not saved.exists():
            return []
        wanted = flat_keys(to_plain(row_config(self.plan, self.row, self.seed)))
        try:
            found = flat_keys(to_plain(load_config(saved)))
        except ConfigError:  # written by another version
            return ["config.yaml"]
        return [key for key in wanted if not key.startswith(FREE) and found[key] != wanted[key]]

    def epochs(self) -> list[dict]:
        return read_epochs(self.folder / "metrics.jsonl")

    def result(self) -> dict | None:
        """Metrics of the last epoch, seconds and machine; None while the run is not finished as the plan wants it."""
        last = row_config(self.plan, self.row, self.seed).TRAIN.END_EPOCH
        epochs = [row for row in self.epochs() if row["epoch"] == last]
        values = {metric.name: metric.of(epochs[0]) for metric in self.plan.metrics} if epochs else {None: None}
        if None in values.values() or self.changed_keys():
            return None
        return {"metrics": values, **self.times()}

    def state(self) -> str:
        if result := self.result():
            values = (f"{m.name} {result['metrics'][m.name]:.{m.digits}f}" for m in self.plan.metrics)
            return f"finished, {', '.join(values)}, {result['seconds']:.0f} s"
        if keys := self.changed_keys():
            return f"made with other settings ({', '.join(keys)})"
        epochs = self.epochs()
        return f"stopped after epoch {epochs[-1]['epoch']}" if epochs else "not begun"

    def times(self) -> dict:
        """Seconds that its processes ran, and [threads, runs at a time] of each kind of them.

        A process whose end nobody saw counts until it last wrote to metrics.jsonl.
        """
        try:
            times = json.loads(self.beside(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return dict(UNTIMED)
        record = self.folder / "metrics.jsonl"
        if times["since"] is not None and record.exists():
            times["seconds"] += max(0.0, record.stat().st_mtime - times["since"])
        return times | {"since": None}

    def write_times(self, times: dict) -> None:
        temporary = self.beside(".json.tmp")
        temporary.write_text(json.dumps(times) + "\n", encoding="utf-8")
        os.replace(temporary, self.beside(".json"))

    def set_aside(self) -> None:
        """Keep the run that is there under another name, so that a new one can begin."""
        names = (self.beside(f".old{number}") for number in range(1, 1000))
        self.folder.rename(next(path for path in names if not path.exists()))
        self.beside(".json").unlink(missing_ok=True)


class Training:
    """The process that trains a run, or goes on with it."""

    def __init__(self, run: Run, threads: int, jobs: int):
        self.run, self._process, self._fault = run, None, None
        run.folder.parent.mkdir(parents=True, exist_ok=True)
        with open(run.beside(".lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._fault = "another process trains it"
                return
            if run.changed_keys():
                run.set_aside()
            self._times = run.times()
            self._times["machine"] += [[threads, jobs]] * ([threads, jobs] not in self._times["machine"])
            run.write_times(self._times | {"since": time.time()})
            self._began = time.monotonic()
            self._process = self._start(threads, lock.fileno())

    def _start(self, threads: int, lock: int) -> subprocess.Popen:
        """The lock lives as long as the process has the file open, even when this tool has been killed."""
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        with open(self.run.beside(".log"), "wb") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            return start(self.run.command(), pass_fds=[lock], env=environment, **streams)

    def send(self, number: int) -> None:
        if self._process:
            self._process.send_signal(number)

    def ended(self) -> bool:
        """Whether it has ended; its seconds are then written down."""
        if self._process is None:
            return True
        if self._process.poll() is None:
            return False
        seconds = self._times["seconds"] + time.monotonic() - self._began
        self.run.write_times(self._times | {"seconds": seconds})
        return True

    def fault(self, stopping: bool) -> str | None:
        """A line that says why the run has failed, after its end; None if it finished, or was told to stop."""
        if self._fault is None and (stopping and self._process.returncode or self.run.result()):
            return None
        return f"{self.run}: {self._fault or self._reason()}"

    def _reason(self) -> str:
        log = self.run.beside(".log")
        if self._process.returncode == 0:
            found = ", ".join((self.run.epochs() or [{}])[-1])
            return f"it ended without the metrics of the plan; its last epoch has: {found or 'none'}"
        lines = log.read_bytes()[-LOG_END:].decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        return f"exit code {self._process.returncode}: {last} (see {log})"
