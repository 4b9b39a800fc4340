"""Command lines of the scripts in pose_estimation/: flags -> configuration -> build -> run.

Only the standard library is imported at the top, so that `--help` and mistakes in flags answer at once.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

from semipose.errors import ConfigError, ModelError, SemiposeError, write_error

log = logging.getLogger(__name__)

# flags whose method is not there yet; they are refused, so that no flag does nothing
NOT_YET = ("reweight", "mix", "worst")
FLAG_KEYS = {
    "name": "NAME", "gpus": "GPUS", "workers": "WORKERS", "output_dir": "OUTPUT_DIR", "seed": "SEED",
    "ema": "USE_EMA", "pose": "WEIGHT.LOSS_POSE", "cons": "WEIGHT.LOSS_CONS",
}  # fmt: skip
# what may differ from the run that is resumed, by the start of the key; END_EPOCH: to train longer
FREE_ON_RESUME = (
    "NAME", "OUTPUT_DIR", "WORKERS", "GPUS", "TRACKING", "CHECKPOINT", "TEST", "MODEL.PRETRAINED", "DATASET.ROOT",
    "DATASET.CACHE", "DATASET.MAX_BAD", "TRAIN.PRINT_FREQ", "TRAIN.EVAL_INTERVAL", "TRAIN.END_EPOCH",
)  # fmt: skip
# what a checkpoint's networks depend on; valid.py takes it from the checkpoint
OF_THE_NETWORKS = ("ALGORITHM", "USE_EMA", "MODEL", "DATASET.SKELETON", "DATASET.CROP_MARGIN", "DATASET.BOX_PADDING")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def train() -> None:
    """Entry of pose_estimation/train.py: the ALGORITHM of the configuration."""
    _main(_training_parser("Train one of: supervised, pose_cons, pose_dual, mean_teacher (key ALGORITHM)."), None)


def cotrain() -> None:
    """Entry of pose_estimation/cotrain.py: sequential co-training."""
    _main(_cotraining_parser("Co-training, sequential: the two networks take turns."), "cotrain")


def cotrain1() -> None:
    """Entry of pose_estimation/cotrain1.py: joint co-training."""
    _main(_cotraining_parser("Co-training, joint: both networks learn in the same step."), "cotrain1")


def valid() -> None:
    """Entry of pose_estimation/valid.py: score a checkpoint."""
    parser = _common_parser("Score a checkpoint on the validation set.")
    parser.add_argument("--checkpoint", required=True, help="best.pth or last.pth of a run")
    parser.add_argument("--out", help="write the metrics to this JSON file, and the predictions beside it")
    _exit_with(lambda: run_validation(parser.parse_intermixed_args()))


def run_training(arguments: argparse.Namespace, algorithm: str | None) -> int:
    """Train as the command line says; returns the exit code (see README)."""
    from semipose.engine.interrupts import INTERRUPTED_EXIT, Interrupted, Interrupts

    config = _load(arguments, {"ALGORITHM": algorithm} if algorithm else {})
    if config.NAME in ("", ".", "..") or Path(config.NAME).name != config.NAME:
        raise ConfigError(f"NAME: {config.NAME!r} is not allowed; the name of one folder expected")
    with Interrupts() as interrupts:
        try:
            return _dry_run(config, interrupts) if arguments.dry_run else _train(config, arguments.resume, interrupts)
        except Interrupted as stop:
            print(f"interrupted and saved; go on with --resume auto ({stop})", file=sys.stderr)
            return INTERRUPTED_EXIT[stop.signal]


def run_validation(arguments: argparse.Namespace) -> int:
    """Score a checkpoint; prints one line per predictor."""
    from semipose import build
    from semipose.algorithms.algorithm import load_networks
    from semipose.data.faults import FaultLog
    from semipose.engine.checkpoint import load_checkpoint
    from semipose.engine.sinks import format_scores
    from semipose.evaluation import coco_results

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    state = load_checkpoint(arguments.checkpoint)
    config = _load(arguments, _network_keys(state, arguments.checkpoint))
    algorithm = build.build_algorithm(config, pretrained=False)
    load_networks(algorithm, state, arguments.checkpoint)
    persons = build.read_validation(config)
    validator = build.build_validator(config, persons, FaultLog(config.DATASET.MAX_BAD))
    predictions = validator.predict(algorithm.predictors(), algorithm.main_predictors())
    scores = {name: validator.score(rows, people) for name, (rows, people) in predictions.items()}
    for name, values in scores.items():
        print(f"{name:12s} {format_scores(values)}")
    if arguments.out:
        out = Path(arguments.out)
        _, people = list(predictions.values())[-1]
        _write_json(out, scores)
        _write_json(out.with_name(out.stem + ".results.json"), coco_results(people, validator.ground_truth.category_id))
    return 0


def _train(config, resume: str | None, interrupts) -> int:
    from semipose.config import to_plain
    from semipose.engine.checkpoint import CheckpointFolder
    from semipose.engine.tracking import make_tracker

    checkpoints = CheckpointFolder(Path(config.OUTPUT_DIR) / config.NAME)
    state, source = _resume_state(checkpoints, resume)
    if state:
        _refuse_changes(_saved_config(state, source), config, source)
    tracking = config.TRACKING
    tracker = make_tracker(
        checkpoints.folder, config.NAME, tracking.WANDB, tracking.TENSORBOARD, tracking.PROJECT,
        state and state["step"], state and state["wandb_run_id"],
    )  # fmt: skip
    tracker.start(to_plain(config))
    trainer, code = None, 1
    try:
        trainer = _make_trainer(config, checkpoints, tracker, interrupts, pretrained=state is None)
        if state:
            trainer.load_state_dict(state, source)
            log.info("resumed from %s at step %d, epoch %d", source, trainer.step, trainer.epoch)
        trainer.fit()
        code = 0
    finally:
        tracker.finish({**trainer.metrics, "best_AP": trainer.best} if trainer and trainer.metrics else {}, code)
    return 0


def _make_trainer(config, checkpoints, tracker, interrupts, pretrained: bool):
    from semipose import __version__, build
    from semipose.config import to_yaml

    data = build.build_data(config)
    log.info("semipose %s, run %s\n%s", __version__, checkpoints.folder, data.report)
    trainer = build.build_trainer(config, data, checkpoints, tracker, interrupts, pretrained)
    _report_networks(trainer.algorithm)
    _write_text(checkpoints.folder / "config.yaml", to_yaml(config))
    labeled = {"version": __version__, "annotation_ids": data.labeled.ids.tolist()}
    _write_json(checkpoints.folder / "labeled.json", labeled)
    return trainer


def _dry_run(config, interrupts) -> int:
    from semipose import build
    from semipose.config import to_yaml
    from semipose.engine.checkpoint import CheckpointFolder
    from semipose.engine.tracking import Tracker

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(to_yaml(config))
    data = build.build_data(config)
    print(data.report)
    checkpoints = CheckpointFolder(Path(config.OUTPUT_DIR) / config.NAME)
    trainer = build.build_trainer(config, data, checkpoints, Tracker([]), interrupts)
    _report_networks(trainer.algorithm)
    print(f"{config.TRAIN.END_EPOCH} epochs of {trainer.epoch_steps} steps")
    return 0


def _report_networks(algorithm) -> None:
    for name, network in algorithm.predictors().items():
        parameters = list(network.parameters())
        learned = sum(p.numel() for p in parameters if p.requires_grad)
        count = sum(p.numel() for p in parameters)
        log.info("%-10s %8.3f M parameters, %8.3f M learned by gradient", name, count / 1e6, learned / 1e6)
    report = algorithm.learners(algorithm.phases[0])[0].report
    if report is not None:
        log.info("pretrained backbone: %s", report)


def _resume_state(checkpoints, resume: str | None) -> tuple[dict | None, str]:
    """The state to go on from and the file it was in; (None, "") for a new run."""
    other = resume is None or (resume != "auto" and Path(resume).resolve().parent != checkpoints.folder.resolve())
    if other and checkpoints.last.exists():
        raise ConfigError(f"{checkpoints.folder} holds a run; go on with it: --resume auto, or choose another --name")
    found = None if resume is None else checkpoints.find_resume(resume)
    if found is None:
        return None, ""
    state, path = found
    if "stepper" not in state:
        raise ModelError(f"{path}: not a checkpoint to resume from (best.pth holds networks only); use last.pth")
    return state, str(path)


def _refuse_changes(before: dict, config, source: str) -> None:
    """A run can only go on as what it was; raises ConfigError for the first key that has changed."""
    from semipose.config import to_plain

    now = _flat(to_plain(config))
    for key in sorted(now):
        if not key.startswith(FREE_ON_RESUME) and before.get(key) != now[key]:
            raise ConfigError(
                f"{key} is {now[key]!r}, but the run in {source} has {before.get(key)!r}; "
                "go on with the same value, or start a new run with another --name"
            )


def _flat(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _network_keys(state: dict, source: str) -> dict:
    """Configuration of the run that made a checkpoint, as far as its networks depend on it."""
    saved = _saved_config(state, source)
    return {key: value for key, value in saved.items() if key.startswith(OF_THE_NETWORKS)}


def _saved_config(state: dict, source: str) -> dict:
    import yaml

    tree = yaml.safe_load(state["config"]) if isinstance(state.get("config"), str) else None
    if not isinstance(tree, dict):
        raise ModelError(f"{source}: not a checkpoint of semipose: it holds no configuration")
    return _flat(tree)


def _load(arguments: argparse.Namespace, fixed: dict):
    """The configuration; `fixed` keys come from the script or a checkpoint and are stronger than the file."""
    from semipose.config import load_config

    for flag in NOT_YET:
        if getattr(arguments, flag, None) is not None:
            raise ConfigError(f"--{flag}: this part of the method is not in this version yet; leave the flag out")
    flags = {key: getattr(arguments, flag, None) for flag, key in FLAG_KEYS.items()}
    given = {key: value for key, value in flags.items() if value is not None}
    config = load_config(arguments.cfg, fixed | given, arguments.pairs)
    if "ALGORITHM" in fixed and fixed["ALGORITHM"] != config.ALGORITHM:
        raise ConfigError(f"command line: ALGORITHM: {config.ALGORITHM!r} is not allowed; it is {fixed['ALGORITHM']!r}")
    return config


def _common_parser(description: str) -> _Parser:
    parser = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cfg", required=True, help="YAML file under experiments/")
    parser.add_argument("--gpus", help='number of the GPU, or "cpu"; default: the first GPU if there is one')
    parser.add_argument("--workers", type=int, help="loader processes")
    parser.add_argument(
        "pairs", nargs="*", metavar="KEY VALUE", help="any key of the configuration, e.g. TRAIN.LR 5e-4"
    )
    return parser


def _training_parser(description: str) -> _Parser:
    parser = _common_parser(description)
    parser.add_argument("--name", help="name of the run: in the tracker, and its folder under --output-dir")
    parser.add_argument("--output-dir", help="where runs are written")
    parser.add_argument("--seed", type=int, help="seed of networks, samplers and views")
    parser.add_argument("--resume", metavar="auto|PATH", help="go on from the run's last checkpoint, or from a file")
    parser.add_argument("--dry-run", action="store_true", help="print configuration, data and networks, then stop")
    return parser


def _cotraining_parser(description: str) -> _Parser:
    parser = _training_parser(description)
    parser.add_argument("--ema", type=int, choices=(0, 1), help="1: each network is taught by the other's EMA")
    parser.add_argument("--pose", type=float, help="weight of the supervised loss; 0 switches it off")
    parser.add_argument("--cons", type=float, help="weight of the easy-hard consistency; 0 switches it off")
    for flag in NOT_YET:
        parser.add_argument(f"--{flag}", type=float, help="not in this version yet")
    return parser


def _main(parser: _Parser, algorithm: str | None) -> None:
    arguments = parser.parse_intermixed_args()
    _exit_with(lambda: run_training(arguments, algorithm))


def _exit_with(run) -> None:
    try:
        sys.exit(run())
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _write_json(path: Path, content) -> None:
    _write_text(path, json.dumps(content))


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise write_error(error, path) from error
