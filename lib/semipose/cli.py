"""Command lines of the scripts in pose_estimation/: flags -> configuration -> what runs.py does with it.

Only the standard library is imported at the top, so that `--help` and mistakes in flags answer at once.
"""

import argparse
import os
import sys
from functools import partial

from semipose.errors import ConfigError, SemiposeError

FLAG_KEYS = {
    "name": "NAME", "gpus": "GPUS", "workers": "WORKERS", "output_dir": "OUTPUT_DIR", "seed": "SEED",
    "ema": "USE_EMA", "pose": "WEIGHT.LOSS_POSE", "cons": "WEIGHT.LOSS_CONS", "mix": "WEIGHT.LOSS_MIX",
    "worst": "WEIGHT.LOSS_WORST", "reweight": "REWEIGHT", "flip_test": "TEST.FLIP_TEST",
}  # fmt: skip
TERMS = {
    "pose": "supervised loss", "cons": "easy-hard consistency", "mix": "mix-up consistency", "worst": "worst-case head",
}  # fmt: skip


EXIT_CODES = """
Exit codes: 0 done. 2 a mistake in the command, the configuration or the data (one line says which). 3 training went
astray. 4 the disk is full. 5 a process was lost. 130, 143, 138 stopped by Ctrl-C, SIGTERM, SIGUSR1, and saved.
"""
TRAINING = """
What is left out is as in the configuration; what is in none of the files has the default of config/defaults.py.

Examples:
  %(prog)s --cfg {cfg} --name mine
  %(prog)s --cfg {cfg} --name mine --dry-run
  %(prog)s --cfg {cfg} --name mine --resume auto TRAIN.END_EPOCH 20
"""
SCORING = """
Example:
  %(prog)s --checkpoint output/mine --out scores.json --show-dir pictures --flip-test
  %(prog)s --checkpoint theirs.pth --cfg experiments/coco/res18_256x192_1k_supervised.yaml MODEL.CODEC msra
A pose checkpoint of others (docs/checkpoints.md) holds no configuration, so --cfg has to say what its network is.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def train() -> None:
    """Entry of pose_estimation/train.py: the ALGORITHM of the configuration."""
    what = "Train one of: supervised, pose_cons, pose_dual, mean_teacher (key ALGORITHM)."
    _main(_training_parser(what, "experiments/demo/supervised.yaml"), None)


def cotrain() -> None:
    """Entry of pose_estimation/cotrain.py: sequential co-training."""
    _main(_method_parser("Co-training, sequential: the two networks take turns."), "cotrain")


def cotrain1() -> None:
    """Entry of pose_estimation/cotrain1.py: joint co-training."""
    _main(_method_parser("Co-training, joint: both networks learn in the same step."), "cotrain1")


def train_2p() -> None:
    """Entry of pose_estimation/train_2p.py: one network, a warm-up on labels and then semi-supervised learning."""
    _main(_method_parser("One network: TRAIN.WARM_EPOCH epochs on labels only, then semi-supervised."), "train_2p")


def valid() -> None:
    """Entry of pose_estimation/valid.py: score a checkpoint."""
    parser = _common_parser("Score a checkpoint on the validation set.", SCORING, needs_files=False)
    parser.add_argument(
        "--checkpoint", required=True, help="run folder, or its best.pth or last.pth; or a pose checkpoint of others"
    )
    parser.add_argument("--out", help="write the metrics to this JSON file, and the predictions beside it")
    parser.add_argument("--flip-test", action="store_const", const=True, help="average with the mirrored image")
    parser.add_argument("--show-dir", help="write pictures of labels and predictions to this folder, and index.html")
    parser.add_argument("--show-min-score", type=float, default=0.0, help="draw keypoints from this score on (0)")
    parser.add_argument("--show-boxes", action="store_true", help="draw the boxes of the persons too")
    arguments = parser.parse_intermixed_args()
    _exit_with(lambda: _validate(arguments))


def add_configuration(parser: argparse.ArgumentParser, needs_files: bool = True) -> None:
    """What names a configuration on a command line: `--cfg FILE [FILE ...]`, and `KEY VALUE` pairs anywhere."""
    files = "YAML files under experiments/, joined left to right"
    files += "" if needs_files else "; default: the configuration in the checkpoint"
    parser.add_argument(
        "--cfg", required=needs_files, nargs="+", action="extend", default=[], metavar="FILE", help=files
    )
    parser.add_argument(
        "pairs", nargs="*", metavar="KEY VALUE", help="any key of the configuration, e.g. TRAIN.LR 5e-4"
    )


def files_and_pairs(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The files of `--cfg`, and all pairs: those right after the files were parsed as more of them."""
    from semipose.config import split_words

    files, pairs = split_words(arguments.cfg)
    return files, pairs + arguments.pairs


def _train(arguments: argparse.Namespace, algorithm: str | None) -> int:
    config = _load(arguments, {"ALGORITHM": algorithm} if algorithm else {})
    from semipose import runs

    job = partial(runs.dry_run, config) if arguments.dry_run else partial(runs.train, config, arguments.resume)
    return runs.on_ranks(config, job)


def _validate(arguments: argparse.Namespace) -> int:
    from semipose import runs
    from semipose.assemble.from_checkpoint import find_checkpoint, network_keys, whole_config
    from semipose.assemble.other_checkpoint import is_own, needs_cfg
    from semipose.engine.checkpoint import load_checkpoint
    from semipose.visualize.predictions import ShowOptions

    source = str(find_checkpoint(arguments.checkpoint))
    state = load_checkpoint(source)
    if not is_own(state):
        if not arguments.cfg:
            raise needs_cfg(source, "give its configuration by --cfg FILE...")
        config = _load(arguments, {})
    elif arguments.cfg:
        config = _load(arguments, network_keys(state, source))
    else:
        config = whole_config(state, source, _given_flags(arguments), arguments.pairs)
    show = ShowOptions(arguments.show_min_score, arguments.show_boxes)
    job = partial(runs.validate, config, state, source, arguments.out, arguments.show_dir, show)
    return runs.on_ranks(config, job)


def _load(arguments: argparse.Namespace, fixed: dict):
    """The configuration; `fixed` keys come from the script or a checkpoint and are stronger than the file."""
    from semipose.config import load_config

    files, pairs = files_and_pairs(arguments)
    config = load_config(files, fixed | _given_flags(arguments), pairs)
    if "ALGORITHM" in fixed and fixed["ALGORITHM"] != config.ALGORITHM:
        raise ConfigError(f"command line: ALGORITHM: {config.ALGORITHM!r} is not allowed; it is {fixed['ALGORITHM']!r}")
    return config


def _given_flags(arguments: argparse.Namespace) -> dict:
    flags = {key: getattr(arguments, flag, None) for flag, key in FLAG_KEYS.items()}
    return {key: value for key, value in flags.items() if value is not None}


def _common_parser(description: str, more: str, needs_files: bool = True) -> _Parser:
    parser = _Parser(
        description=description, epilog=more + EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_configuration(parser, needs_files)
    parser.add_argument("--gpus", help='number of the GPU, several ("0,1"), or "cpu"; default: the first one')
    parser.add_argument("--workers", type=int, help="loader processes")
    return parser


def _training_parser(description: str, cfg: str) -> _Parser:
    parser = _common_parser(description, TRAINING.format(cfg=cfg))
    parser.add_argument("--name", help="name of the run: in the tracker, and its folder under --output-dir")
    parser.add_argument("--output-dir", help="where runs are written")
    parser.add_argument("--seed", type=int, help="seed of networks, samplers and views")
    parser.add_argument("--resume", metavar="auto|PATH", help="go on from the run's last checkpoint, or from a file")
    parser.add_argument("--dry-run", action="store_true", help="data, networks, steps, time and memory; writes nothing")
    return parser


def _method_parser(description: str) -> _Parser:
    parser = _training_parser(description, "experiments/demo/cotrain.yaml")
    parser.add_argument("--ema", type=int, choices=(0, 1), help="1: the EMA of a network teaches, not the network")
    for flag, meaning in TERMS.items():
        parser.add_argument(f"--{flag}", type=float, help=f"weight of the {meaning}; 0 switches it off")
    parser.add_argument(
        "--reweight", type=int, choices=(0, 1), help="1: PSEUDO.REWEIGHT_BY multiplies the pseudo-label weights"
    )
    return parser


def _main(parser: _Parser, algorithm: str | None) -> None:
    arguments = parser.parse_intermixed_args()
    _exit_with(lambda: _train(arguments, algorithm))


def _exit_with(run) -> None:
    try:
        sys.exit(run())
    except SemiposeError as error:
        who = f" (rank {os.environ['RANK']})" if os.environ.get("RANK", "0") != "0" else ""
        print(f"error{who}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
