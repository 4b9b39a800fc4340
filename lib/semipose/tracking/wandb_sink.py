"""Weights & Biases as a sink. The package is imported only when a run uses it."""

import logging
import netrc
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from semipose.errors import ConfigError
from semipose.evaluation import LOWER_IS_BETTER
from semipose.tracking.sinks import DrawSplit, Sink, split_title

logger = logging.getLogger(__name__)

WANDB_MODES = ("auto", "online", "offline", "off")
# The service moved on 2026-09-30; keys stored under the former name are still valid.
FORMER_HOSTS = {"api.forge.coreweave.com": ("api.wandb.ai",)}


class WandbSink(Sink):
    """Weights & Biases. Numbers of steps are `train/...` over the step, numbers of epochs `epoch/...` over the epoch.

    Args:
        name, project: as shown by wandb.
        folder: run folder; wandb writes its files into `folder/wandb`.
        mode: "online", "offline", or "auto": the variable WANDB_MODE if set, else online where a key is found, else
            offline.
        run_id: id of the run to continue; a new one is made if None. Kept as `run_id`.
        draw_split: for the chart of the easy/hard split; None leaves it out.

    Raises:
        ConfigError: unknown mode.
    """

    name = "wandb"
    optional = True

    def __init__(
        self, name: str, project: str, folder, mode: str = "auto", run_id: str | None = None,
        draw_split: DrawSplit | None = None,
    ):  # fmt: skip
        if mode not in WANDB_MODES:
            raise ConfigError(f"wandb mode {mode!r}; allowed: {', '.join(WANDB_MODES)}")
        self.run_name, self.project, self.folder, self.mode = name, project, Path(folder), mode
        self.run_id, self.draw_split = run_id or secrets.token_hex(4), draw_split
        self._run = None
        self._defined = set()

    def start(self, config):
        mode = self._resolve_mode()
        if mode in ("disabled", "off"):
            return
        import wandb

        self._run = wandb.init(
            name=self.run_name, project=self.project, dir=str(self.folder), config=config, mode=mode, id=self.run_id,
            resume="allow" if mode == "online" else None, settings=wandb.Settings(**_wandb_limits(wandb)),
        )  # fmt: skip
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("epoch", hidden=True)
        self._run.define_metric("train/*", step_metric="step")

    def log_step(self, step, values):
        if self._run:
            self._run.log({"step": step, **{f"train/{name}": value for name, value in values.items()}})

    def log_epoch(self, epoch, step, values):
        if self._run:
            self._define(values)
            self._run.log({"epoch": epoch, "step": step, **{f"epoch/{name}": v for name, v in values.items()}})

    def log_split(self, epoch, step, network, report):
        if not self._run:
            return
        import wandb

        place = f"split_{network}"
        row = {f"{place}/{name}": value for name, value in report.to_metrics().items()}
        row[f"{place}/scores"] = wandb.Histogram(np_histogram=(report.counts, report.edges))
        if self.draw_split:
            row[f"{place}/chart"] = wandb.Image(self.draw_split(report, split_title(epoch, network)))
        if place not in self._defined:
            self._run.define_metric(f"{place}/*", step_metric="epoch")
            self._defined.add(place)
        self._run.log({"epoch": epoch, "step": step, **row})

    def finish(self, summary, exit_code):
        if self._run:
            self._run.summary.update(summary)
            self._run.finish(exit_code=exit_code)

    def _define(self, values: dict) -> None:
        # One by one: if two patterns fit a name, wandb may use either of them.
        for name in values.keys() - self._defined:
            metric = name.rpartition("/")[2]
            best = "min" if metric.startswith(LOWER_IS_BETTER) else "max" if metric.startswith(("AP", "PCK")) else None
            self._run.define_metric(f"epoch/{name}", step_metric="epoch", summary=best)
        self._defined |= values.keys()

    def _resolve_mode(self) -> str:
        """The mode to give to wandb."""
        if self.mode != "auto":
            return self.mode
        if os.environ.get("WANDB_MODE"):
            return {"dryrun": "offline", "run": "online"}.get(os.environ["WANDB_MODE"], os.environ["WANDB_MODE"])
        if has_wandb_key():
            return "online"
        logger.info(
            "wandb: no API key found, recording offline in %s (upload later: wandb sync)", self.folder / "wandb"
        )
        return "offline"


def has_wandb_key() -> bool:
    """Whether wandb can log in without asking: WANDB_API_KEY, wandb's own settings, or an entry in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    settings = wandb.setup().settings
    if getattr(settings, "api_key", None):
        return True
    host = urlsplit(settings.base_url).netloc
    try:
        entries = netrc.netrc(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return False
    return any(entries.authenticators(name) for name in (host, *FORMER_HOSTS.get(host, ())))


def _wandb_limits(wandb) -> dict:
    """Settings that limit what wandb prints, which is the link to the run, and how long a dead network can delay the
    run. The console is left to the progress bar."""
    limits = {"console": "off", "quiet": True, "init_timeout": 60.0}
    # Newer versions only; without it, finish() waits for the network as long as it takes. With pydantic 1 there is no
    # list of fields.
    known = getattr(wandb.Settings, "model_fields", {})
    return limits | ({"finish_timeout": 120.0} if "finish_timeout" in known else {})
