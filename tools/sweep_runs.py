"""One run of a sweep: a setting with a seed, its files, and the process that trains it."""

import fcntl
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from sweep_plan import Setting, configuration, filled

from semipose.assemble.resumed import MACHINE_KEYS, keys_without
from semipose.config import load_config
from semipose.runtime.processes import start
from semipose.tracking.sinks import read_epochs

ROOT = Path(__file__).resolve().parent.parent
LOG_END = 4000
ELSEWHERE = ("NAME", *MACHINE_KEYS)  # keys that change nothing of what is trained


@dataclass(frozen=True)
class Run:
    """Its files under `out`: SETTING/seedN/ is the training script's; beside it seedN.log is what that printed,
    seedN.json whether it has finished, and seedN.lock is held by the process that trains."""

    setting: Setting
    seed: int
    out: Path

    def __str__(self) -> str:
        return f"{self.setting.name}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        return self.out / self.setting.name / f"seed{self.seed}"

    def beside(self, suffix: str) -> Path:
        return self.folder.with_name(self.folder.name + suffix)

    def words(self) -> list[str]:
        """The command line as far as it says what is trained."""
        flags = [
            word
            for name, value in self.setting.flags.items()
            for word in (f"--{name.replace('_', '-')}", filled(value, self.seed))
        ]
        return ["--cfg", *self.setting.files, *flags, "--seed", str(self.seed), *self.setting.pairs(self.seed)]

    def command(self) -> list:
        """Script and arguments of a new run, or of the rest of one that was stopped."""
        script = ROOT / "pose_estimation" / f"{self.setting.script}.py"
        where = ["--output-dir", self.folder.parent, "--name", self.folder.name, "--resume", "auto"]
        return [script, *where, *self.words()]

    def epochs(self) -> list[dict]:
        return read_epochs(self.folder / "metrics.jsonl")

    def warnings(self) -> list[str]:
        """What its log warns of, each once: a loss that has no effect, a schedule longer than the run, ..."""
        log = self.folder / "run.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        return list(dict.fromkeys(line.partition(" WARNING ")[2] for line in lines if " WARNING " in line))

    def finished(self) -> bool:
        """Whether it has been trained to its end, with the settings that it has now."""
        state = self.state()
        same = state["trained"] == [self.setting.script, *self.words()]
        return same and (self.folder / "metrics.jsonl").exists() and not self._is_edited()

    def _is_edited(self) -> bool:
        """Whether the files that it names say something else than when it was trained."""
        before = self.folder / "config.yaml"
        if not before.exists():
            return True
        now, then = configuration(self.setting, self.seed), load_config(before)
        return keys_without(ELSEWHERE, now) != keys_without(ELSEWHERE, then)

    def state(self) -> dict:
        """`trained`: script and words of the finished run; `seconds` of all its processes whose end was seen."""
        try:
            return json.loads(self.beside(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"trained": None, "seconds": 0.0}

    def write_state(self, finished: bool, seconds: float) -> None:
        trained = [self.setting.script, *self.words()] if finished else None
        state = {"trained": trained, "seconds": self.state()["seconds"] + seconds}
        temporary = self.beside(".json.tmp")
        temporary.write_text(json.dumps(state) + "\n", encoding="utf-8")
        os.replace(temporary, self.beside(".json"))


class Training:
    """The process that trains a run, or goes on with it. `fault` says why it has failed; "" if it has not."""

    def __init__(self, run: Run, environment: dict[str, str]):
        self.run, self.fault, self._process, self._began = run, "", None, time.monotonic()
        run.folder.parent.mkdir(parents=True, exist_ok=True)
        with open(run.beside(".lock"), "w") as lock, open(run.beside(".log"), "ab") as log:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.fault = "another process trains it"
                return
            log.truncate(0)
            # the process keeps the lock for as long as it lives, even when this tool has been killed
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self._process = start(run.command(), pass_fds=[lock.fileno()], env=environment, **streams)

    def send(self, number: int) -> None:
        if self._process:
            self._process.send_signal(number)

    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def outcome(self, stopping: bool) -> str:
        """Write down how it has ended, and say so in one line; a run that was told to stop has not failed."""
        code = self._process.returncode if self._process else None
        if self._process:
            self.run.write_state(code == 0, time.monotonic() - self._began)
        if code and not stopping:
            self.fault = f"exit code {code}: {self._last_line()} (see {self.run.beside('.log')})"
        return self.fault or ("stopped" if code else "finished")

    def _last_line(self) -> str:
        lines = self.run.beside(".log").read_bytes()[-LOG_END:].decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
