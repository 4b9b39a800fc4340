"""All parts of a run, and what the log says of them."""

import logging
from pathlib import Path

from yacs.config import CfgNode

from semipose import __version__
from semipose.algorithms import Algorithm
from semipose.assemble.lifting_data import LiftData
from semipose.assemble.schedule_warnings import schedule_warnings
from semipose.assemble.sources_and_sets import RunData
from semipose.assemble.tasks import find_task
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.trainer import Trainer
from semipose.models.freezing import frozen_report
from semipose.models.pose_network import PoseNetwork
from semipose.runtime.ranks import is_first
from semipose.runtime.signals import Interrupts
from semipose.tracking.tracker import Tracker

log = logging.getLogger(__name__)


def build_run(
    config: CfgNode, tracker: Tracker, interrupts: Interrupts, pretrained: bool = True
) -> tuple[RunData | LiftData, Trainer]:
    """Data and trainer, at step 0; the log names them, and the schedules that the run is too short for."""
    checkpoints = CheckpointFolder(Path(config.OUTPUT_DIR) / config.NAME, config.CHECKPOINT.KEEP)
    task = find_task(config)
    data = task.build_data(config)
    log.info("semipose %s, run %s\n%s", __version__, checkpoints.folder, data.report)
    trainer = task.build_trainer(config, data, checkpoints, tracker, interrupts, pretrained)
    report_networks(trainer.algorithm)
    for line in schedule_warnings(config, trainer.epoch_steps) if is_first() else ():
        log.warning("%s", line)
    return data, trainer


def report_networks(algorithm: Algorithm) -> None:
    """Log the size of each network, what is frozen in it, and its first weights."""
    for name, network in algorithm.predictors().items():
        parameters = list(network.parameters())
        learned = sum(p.numel() for p in parameters if p.requires_grad)
        count = sum(p.numel() for p in parameters)
        log.info("%-10s %8.3f M parameters, %8.3f M learned by gradient", name, count / 1e6, learned / 1e6)
    students = {name: net for name, net in algorithm.predictors().items() if isinstance(net, PoseNetwork)}
    frozen = {name: frozen_report(network) for name, network in students.items()}
    if len(set(frozen.values())) == 1:
        frozen = {"each network": next(iter(frozen.values()))}
    for name, report in frozen.items():
        if report:
            log.info("frozen in %s: %s", name, report)
    for name, network in algorithm.predictors().items():
        if getattr(network, "report", None) is not None:  # EMAs are copies
            log.info("%s starts from %s: %s", name, "a pose checkpoint" if network.report.origin else "a backbone",
                     network.report)  # fmt: skip
