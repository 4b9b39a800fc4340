"""What the scripts do once they have a configuration: train, look without training, score a checkpoint."""

import json
import logging
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
from yacs.config import CfgNode

from semipose import assemble
from semipose.assemble.from_checkpoint import saved_config, scored_networks
from semipose.assemble.resumed import MACHINE_KEYS, keys_without, refuse_changes, warn_of_another_cosine
from semipose.assemble.run import build_run
from semipose.config import changed_keys, to_plain, to_yaml
from semipose.data.faults import FaultLog
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.estimate import estimate
from semipose.engine.resume import content, find_for_all_ranks, refuse_different
from semipose.errors import ConfigError, ModelError, SemiposeError, write_error
from semipose.evaluation import KeypointPredictions, coco_results, format_groups, format_rows
from semipose.evaluation.picture_metrics import INSTANCE_SCORE
from semipose.evaluation.validation import ValidationSet, of_set
from semipose.lifting.scores import tell_scores
from semipose.predict.instances import found_boxes
from semipose.runtime.determinism import make_deterministic
from semipose.runtime.environment import environment
from semipose.runtime.freed_memory import keep_freed_memory
from semipose.runtime.launch import launch
from semipose.runtime.memory_faults import explained_memory_faults
from semipose.runtime.ranks import by_first, is_first, session, shared, world_size
from semipose.runtime.signals import INTERRUPTED_EXIT, Interrupted, Interrupts
from semipose.runtime.worker_faults import explained_worker_faults
from semipose.skeletons import Skeleton
from semipose.tracking.console_sink import FILE_ONLY, ConsoleSink
from semipose.tracking.tracker import Tracker, make_tracker
from semipose.visualize.learning_curve import draw_learning_curve
from semipose.visualize.predictions import ShowOptions, write_pictures
from semipose.visualize.split_chart import draw_split
from semipose.writable import check_file, check_folder

log = logging.getLogger(__name__)

# what last.pth has held in all versions, and best.pth does not
RESUME_FIELDS = {
    "stepper", "rng", "other_ranks", "averages", "epoch_averages", "alarm", "records", "step", "epoch", "epoch_steps",
    "data_key", "wandb_run_id", "best_epoch",
}  # fmt: skip


def on_ranks(config: CfgNode, job: Callable[[], int]) -> int:
    """Do `job` in each process of the run, which are started here if GPUS names several and torchrun has not.

    Raises:
        ConfigError: a GPU is not there.
        LostRankError: another process has ended.
        DataError: a loader process has ended or hangs.
        SemiposeError: the memory has run out.
    """
    names = assemble.gpu_names(config.GPUS)
    if len(names) > 1 and world_size() == 1:
        return launch(len(names))
    with session(assemble.build_backend(config.GPUS)), explained_memory_faults(), explained_worker_faults():
        return job()


def train(config: CfgNode, resume: str | None) -> int:
    """Train a new run or go on with one; returns the exit code.

    Args:
        resume: None, "auto" or the path of a checkpoint.
    """
    if config.NAME in ("", ".", "..") or Path(config.NAME).name != config.NAME:
        raise ConfigError(f"NAME: {config.NAME!r} is not allowed; the name of one folder expected")
    with Interrupts() as interrupts:
        try:
            _train(config, resume, interrupts)
        except Interrupted as stop:
            if is_first():
                print(f"interrupted and saved; go on with --resume auto ({stop})", file=sys.stderr)
            return INTERRUPTED_EXIT[stop.signal]
    return 0


def dry_run(config: CfgNode) -> int:
    """Say what a run would do, how long and in how much memory, from a few of its steps; writes nothing."""
    folder = Path(config.OUTPUT_DIR) / config.NAME
    console = Tracker([ConsoleSink(folder / "run.log")] if is_first() else [])
    console.prepare()
    try:
        log.info("differs from the defaults:")
        for key, (value, default) in changed_keys(config).items():
            log.info("  %s: %r  (default %r)", key, value, default)
        with tempfile.TemporaryDirectory() as caches:
            _, trainer = build_run(_without_files(config, caches), Tracker([]), Interrupts())
            epochs, each = trainer.options.epochs, trainer.epoch_steps
            log.info("%d steps: %d epochs of %d", epochs * each, epochs, each)
            log.info("%s", estimate(trainer, config.TRAIN.WARM_EPOCH))
        log.info("nothing was written; a run writes to %s", folder)
    finally:
        console.finish({}, 1)
    return 0


def _without_files(config: CfgNode, folder: str) -> CfgNode:
    """A copy whose caches are in `folder`, which is taken away again; decoded crops would fill it."""
    config = config.clone()
    config.defrost()
    config.DATASET.CACHE_DIR = folder
    config.DATASET.CACHE = "none" if config.DATASET.CACHE == "disk" else config.DATASET.CACHE
    config.freeze()
    return config


def validate(
    config: CfgNode, state: dict, source: str, out: str | None, show_dir: str | None = None,
    show: ShowOptions | None = None,
) -> int:  # fmt: skip
    """Score the networks of a checkpoint: a table for each validation set, with a line for each network.

    Args:
        state, source: the checkpoint's content and file.
        out: JSON file for the numbers, by set and network; beside it, as OUT.SET.results.json, what was scored of the
            main result in COCO's results format (after OKS-NMS and rescoring; pixels count from 0; where the set is no
            COCO file, image ids are running numbers in the order of the set).
        show_dir, show: folder for pictures of the predictions, and what is drawn.
    """
    if out and is_first():
        check_file(out, "--out")
    if config.TASK == "lift":
        return tell_scores(assemble.score_lifting(config, state, source), out, show_dir)
    if show_dir and is_first():
        check_folder(show_dir, "--show-dir")
    _log_plainly()
    if config.TEST.FLIP_TEST and not config.AUGMENT.LABELED.FLIP:
        log.warning("the networks never saw mirrored pictures, so a flip test may do harm")
    refuse_different({"the checkpoint": content(state, source)})
    networks, main = scored_networks(config, state, source)
    validator = assemble.build_validator(
        config, assemble.read_validation(config), shared(FaultLog(config.DATASET.MAX_BAD))
    )
    scores = {}
    for name, entry in validator.sets.items():
        found = validator.predict(entry, networks, main)
        if not is_first():
            continue
        scores[name] = validator.score_each(entry, found)
        print(format_rows(f"{name}: {len(entry.dataset)} {'pictures' if entry.whole else 'persons'}", scores[name]))
        rows, people = list(found.values())[-1]
        for field in entry.groups:
            by_group = validator.score_groups(entry, of_set(entry, people), field)
            print(format_groups(f"{name}, by {field.removesuffix('_id')}", by_group))
        if out:
            results = coco_results(validator.selected(entry, people), entry.labels.ground_truth.category_id)
            _write(Path(f"{Path(out).with_suffix('')}.{name}.results.json"), json.dumps(results))
        if show_dir:
            _show(Path(show_dir) / name, entry, rows, people, validator.skeleton, show or ShowOptions())
    if out and is_first():
        _write(Path(out), json.dumps(scores))
    return 0


def _log_plainly() -> None:
    if is_first():
        logging.basicConfig(level=logging.INFO, format="%(message)s")


def _show(
    folder: Path, entry: ValidationSet, rows: np.ndarray, people: KeypointPredictions, skeleton: Skeleton,
    options: ShowOptions,
) -> None:  # fmt: skip
    boxes = entry.dataset.persons.boxes[rows]
    if entry.whole:
        shown = people.box_scores >= INSTANCE_SCORE
        rows, people = rows[shown], people.take(shown)
        boxes = found_boxes(people.keypoints)
    try:
        written = write_pictures(
            folder, entry.dataset.persons, rows, people.keypoints, people.keypoint_scores, boxes, skeleton,
            (entry.labels.persons, entry.labels.skeleton), log.warning, options,
        )  # fmt: skip
    except OSError as error:
        raise write_error(error, folder) from error
    print(f"{written} pictures in {folder / 'index.html'}")


def _train(config: CfgNode, resume: str | None, interrupts: Interrupts) -> None:
    if config.TRAIN.DETERMINISTIC:
        make_deterministic()
    if assemble.build_device(config.GPUS).type == "cpu":
        keep_freed_memory()
    checkpoints = CheckpointFolder(Path(config.OUTPUT_DIR) / config.NAME, config.CHECKPOINT.KEEP)
    common = {"--resume": repr(resume)} | keys_without(MACHINE_KEYS, config)
    refuse_different({key: repr(value) for key, value in common.items()})
    state, source = _resume_state(checkpoints, resume)
    if state:
        refuse_changes(saved_config(state, source), config, source)
    if is_first():
        check_folder(checkpoints.folder, "--output-dir and --name")
    tracker = _make_tracker(config, checkpoints.folder, state)
    tracker.prepare()
    trainer, code = None, 1
    try:
        for line in environment(sys.argv):
            log.info("%s", line, extra=FILE_ONLY)
        data, trainer = build_run(config, tracker, interrupts, pretrained=state is None)
        refuse_different({"the training data": trainer.record.data_key})
        if state:
            warn_of_another_cosine(saved_config(state, source), config)
            trainer.load_state_dict(state, source)
            log.info("resumed from %s at step %d, epoch %d", source, trainer.step, trainer.epoch)
        tracker.start(to_plain(config))  # the first that writes anything
        if is_first():
            _write(checkpoints.folder / "config.yaml", to_yaml(config))
            _write(checkpoints.folder / "labeled.json", json.dumps(assemble.find_task(config).labelled(config, data)))
        trainer.warm_up(config.TRAIN.WARM_EPOCH)
        trainer.fit()
        code = 0
    except BaseException as error:
        if is_first():
            level = logging.INFO if isinstance(error, Interrupted) else logging.ERROR
            log.log(level, "%s", _told(error), extra=FILE_ONLY)
        raise
    finally:
        tracker.finish(trainer.summary() if trainer else {}, code)


def _make_tracker(config: CfgNode, folder: Path, state: dict | None) -> Tracker:
    if not is_first():
        return Tracker([])
    tracking = config.TRACKING
    return make_tracker(
        folder, config.NAME, tracking.WANDB, tracking.TENSORBOARD, tracking.PROJECT, state and state["step"],
        state and state["wandb_run_id"], draw_split, draw_learning_curve,
    )  # fmt: skip


def _told(error: BaseException) -> str:
    """What run.log says of the end of a run: one line where the user can mend it, else where it happened."""
    if isinstance(error, Interrupted):
        return f"interrupted ({error}) and saved; go on with --resume auto"
    if isinstance(error, SemiposeError):
        return f"error: {error}"
    return "".join(traceback.format_exception(error)).rstrip()


def _resume_state(checkpoints: CheckpointFolder, resume: str | None) -> tuple[dict | None, str]:
    """The state to go on from and the file it was in; (None, "") for a new run."""
    other = resume is None or (resume != "auto" and Path(resume).resolve().parent != checkpoints.folder.resolve())
    if by_first(lambda: other and checkpoints.last.exists()):
        raise ConfigError(f"{checkpoints.folder} holds a run; go on with it: --resume auto, or choose another --name")
    found = None if resume is None else find_for_all_ranks(checkpoints, resume)
    if found is None:
        return None, ""
    state, path = found
    if not state.keys() >= RESUME_FIELDS:
        raise ModelError(
            f"{path}: not a checkpoint to resume from: best.pth holds networks only, use last.pth; "
            "or it is of an older version"
        )
    if path.resolve().parent != checkpoints.folder.resolve():  # of another run, which keeps its best.pth and its record
        state |= {"wandb_run_id": None, "best": None, "best_epoch": 0}
    return state, str(path)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise write_error(error, path) from error
