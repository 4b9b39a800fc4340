"""Command lines of the scripts in pose_estimation/: flags -> configuration -> what runs.py does with it.

Only the standard library is imported at the top, so that `--help` and mistakes in flags answer at once.
"""

import argparse
import sys

from semipose.errors import ConfigError, SemiposeError

# flags whose method is not there yet; they are refused, so that no flag does nothing
NOT_YET = ("reweight", "mix", "worst")
FLAG_KEYS = {
    "name": "NAME", "gpus": "GPUS", "workers": "WORKERS", "output_dir": "OUTPUT_DIR", "seed": "SEED",
    "ema": "USE_EMA", "pose": "WEIGHT.LOSS_POSE", "cons": "WEIGHT.LOSS_CONS",
}  # fmt: skip


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
    arguments = parser.parse_intermixed_args()
    _exit_with(lambda: _validate(arguments))


def _train(arguments: argparse.Namespace, algorithm: str | None) -> int:
    config = _load(arguments, {"ALGORITHM": algorithm} if algorithm else {})
    from semipose import runs

    return runs.dry_run(config) if arguments.dry_run else runs.train(config, arguments.resume)


def _validate(arguments: argparse.Namespace) -> int:
    from semipose import runs
    from semipose.engine.checkpoint import load_checkpoint

    state = load_checkpoint(arguments.checkpoint)
    config = _load(arguments, runs.network_keys(state, arguments.checkpoint))
    return runs.validate(config, state, arguments.checkpoint, arguments.out)


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
    _exit_with(lambda: _train(arguments, algorithm))


def _exit_with(run) -> None:
    try:
        sys.exit(run())
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
