"""The command `semipose JOB`: what there is, by what one wants to do.

Only the standard library is imported here, so that `semipose --help` answers at once.
"""

import os
import sys
from importlib import import_module
from typing import NamedTuple


class Job(NamedTuple):
    """One job.

    Attributes:
        group: heading in the help.
        entry: `module:function`; it takes the arguments from sys.argv and returns an exit code, or exits.
        help: one line.
    """

    group: str
    entry: str
    help: str


START, TRAIN, USE, SCORE = "Start a project", "Train a network", "Use a trained network", "Score and compare"
DEMO = "Try it out: from data to a report in one command"
LOOK, MAKE = "Look at data before training", "Make or convert data"

JOBS = {
    "init": Job(START, "semipose.jobs.init:main", "your pictures, videos and labels -> one configuration that runs"),
    "demo drawn": Job(DEMO, "semipose.jobs.demo_drawn:main", "drawn people: few labels against few labels and a pool"),
    "demo lsp": Job(DEMO, "semipose.jobs.demo_lsp:main", "the same on real people, Leeds Sports Pose as downloaded"),
    "train": Job(TRAIN, "semipose.cli:train", "the ALGORITHM of the configuration, such as supervised or mean_teacher"),
    "cotrain": Job(TRAIN, "semipose.cli:cotrain", "co-training, sequential: the two networks take turns"),
    "cotrain1": Job(TRAIN, "semipose.cli:cotrain1", "co-training, joint: both networks learn in the same step"),
    "train_2p": Job(TRAIN, "semipose.cli:train_2p", "one network: first on labels only, then semi-supervised"),
    "predict": Job(
        USE, "semipose.jobs.predict:main", "keypoints in pictures, folders, videos: csv, COCO, labelme, mp4"
    ),
    "label": Job(USE, "semipose.jobs.label:main", "which pictures to label next, with predictions to correct"),
    "export": Job(USE, "semipose.jobs.export:main", "one file for other programs: ONNX, or bare weights"),
    "valid": Job(SCORE, "semipose.cli:valid", "score a checkpoint on its validation set"),
    "report": Job(SCORE, "semipose.jobs.report:main", "one page: results, curves, worst pictures, suspicious labels"),
    "plot": Job(SCORE, "semipose.jobs.plot_runs:main", "one metric of several runs in one chart"),
    "check": Job(LOOK, "semipose.jobs.check_dataset:main", "list every broken image and annotation"),
    "browse": Job(LOOK, "semipose.jobs.browse_dataset:main", "draw what the network will see"),
    "split": Job(MAKE, "semipose.jobs.make_split:main", "few labels, many unlabelled images, a validation set"),
    "groups": Job(MAKE, "semipose.jobs.generate_group_id_mapping:main", "group_ids of labelme files for a COCO file"),
    "convert labelme": Job(MAKE, "semipose.jobs.convert_labelme:main", "labelme folder -> COCO file"),
    "convert lightning-pose": Job(
        MAKE, "semipose.jobs.convert_lightning_pose:main", "DeepLabCut csv and videos -> COCO files, few labels"
    ),
    "convert lsp": Job(MAKE, "semipose.jobs.convert_lsp:main", "Leeds Sports Pose -> COCO files"),
    "demo-data": Job(MAKE, "semipose.jobs.make_demo_data:main", "draw people with known joints; or moving 3D figures"),
}
EXAMPLES = """
  semipose cotrain1 --cfg experiments/demo/cotrain.yaml --name mine
  semipose valid    --checkpoint output/mine
  semipose predict  output/mine video.mp4 --out found --overlay

semipose JOB --help says more. Exit codes: 0 done, 2 a mistake in the command or the data (one line says which),
3 training went astray, 4 the disk is full, 5 a process was lost, 130 stopped by Ctrl-C.
"""


def main() -> None:
    """The entry of the command: runs a job and exits with its code."""
    try:
        code = _answer(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # such as `semipose check ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def _answer(words: list[str]) -> int | None:
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if words[0] in ("-V", "--version"):
        from semipose import __version__

        print(f"semipose {__version__}")
        return 0
    name, rest = _split(words)
    if name not in JOBS:
        print(f"error: {_unknown(words)} (see semipose --help)", file=sys.stderr)
        return 2
    return run(name, rest)


def run(name: str, arguments: list[str]) -> int | None:
    """Run one of `JOBS`; returns its exit code, if it does not exit by itself."""
    # how messages and help name the program; several processes are started by it (runtime.launch)
    sys.argv = [f"semipose {name}", *arguments]
    module, function = JOBS[name].entry.split(":")
    return getattr(import_module(module), function)()


def help_text() -> str:
    """All jobs by group."""
    lines = ["usage: semipose JOB [ARGUMENTS]", ""]
    lines.append("Semi-supervised 2D keypoint learning from few labels and many images.")
    width = max(map(len, JOBS)) + 2
    for group in dict.fromkeys(job.group for job in JOBS.values()):
        lines += ["", f"{group}:"]
        lines += [f"  {name:{width}}{job.help}" for name, job in JOBS.items() if job.group == group]
    return "\n".join([*lines, EXAMPLES.rstrip()])


def _split(words: list[str]) -> tuple[str, list[str]]:
    """The job and its arguments; `convert lsp` is a job of two words."""
    two = " ".join(words[:2])
    return (two, words[2:]) if two in JOBS else (words[0], words[1:])


def _unknown(words: list[str]) -> str:
    kinds = [name.split()[1] for name in JOBS if name.startswith(f"{words[0]} ")]
    if kinds:
        return f"semipose {words[0]}: name one of: {', '.join(kinds)}"
    import difflib

    close = difflib.get_close_matches(words[0], JOBS, n=1)
    return f"no job {words[0]!a}; " + (f"did you mean {close[0]}?" if close else f"there are: {', '.join(JOBS)}")
