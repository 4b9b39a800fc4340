"""Start a project: look at pictures, videos and labels, and write one configuration file that runs as it is.

DATA is a file or a folder: COCO, MPII or AI Challenger json, labelme files, a DeepLabCut or lightning-pose project or
csv, a YOLO pose set, LSP, pictures, videos, or several of them. Nothing is copied or converted.

Examples:
  semipose init data/mouse                       # writes project.yaml
  semipose init video_and_labels --out mouse.yaml --weights tf_efficientnet_lite0.safetensors
  semipose init --add corrected --cfg mouse.yaml  # labelme files that were corrected: one more labelled source
"""

import argparse
import os
import sys
from shlex import quote

PROJECT = "project.yaml"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", metavar="DATA", help="file or folder to look at")
    parser.add_argument("--out", default=PROJECT, help="configuration to write; never overwritten (project.yaml)")
    parser.add_argument(
        "--weights", metavar="FILE",
        help="ImageNet weights of tf_efficientnet_lite0; default: downloaded when the run starts, if they can be had",
    )  # fmt: skip
    parser.add_argument("--add", metavar="DIR", help="folder of corrected labelme files to take into --cfg")
    parser.add_argument("--cfg", metavar="FILE", help="configuration that --add writes to (project.yaml)")
    args = parser.parse_args(arguments)
    if bool(args.add) == bool(args.data) or args.cfg and not args.add:
        parser.error("give DATA, or --add DIR and, if it is not project.yaml, --cfg FILE")

    from semipose.errors import SemiposeError

    try:
        return add(args.add, args.cfg or PROJECT) if args.add else start(args.data, args.out, args.weights)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def start(data: str, out: str, weights: str | None) -> int:
    """Write the configuration, and print what was found and the next commands."""
    from semipose.assemble.project import start_project
    from semipose.config.load import config_of_text
    from semipose.errors import ConfigError
    from semipose.prepare.project.text import to_text
    from semipose.writable import check_file

    if not out.endswith((".yaml", ".yml")):
        raise ConfigError(f"--out {out}: a configuration is a .yaml file")
    if os.path.lexists(out):
        raise ConfigError(f"{out} is there already; name another file by --out")
    check_file(out, "--out")
    machine = this_machine()
    project, said = start_project(data, usable_weights(weights), machine)
    print("\n".join(said))
    text = to_text(project)
    config_of_text(text, out)
    write_new(out, text)
    name = os.path.splitext(os.path.basename(out))[0]
    print(f"wrote {out}; next:")
    print("\n".join(f"  {command}" for command in next_commands(project, out, name)))
    return 0


def write_new(path: str, text: str) -> None:
    """Write a file that is not there yet; raises SemiposeError if it cannot be written or is there by now."""
    from semipose.errors import write_error

    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise write_error(error, path) from error


def this_machine():
    import torch

    from semipose.prepare.project.plan import Machine

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**32
    return Machine(torch.cuda.device_count(), os.cpu_count() or 1, memory)


def usable_weights(file: str | None) -> str:
    """The file, "imagenet" if timm can have its weights, or ""; raises ConfigError for a file that is not there."""
    from semipose.errors import ConfigError
    from semipose.models.timm_weights import can_be_had
    from semipose.prepare.project.plan import LITE_NAME

    if file is None:
        return "imagenet" if can_be_had(LITE_NAME) else ""
    if not os.path.isfile(file):
        raise ConfigError(f"--weights {file}: does not exist")
    return file


def next_commands(project, out: str, name: str) -> list[str]:
    """Train, look, use."""
    from semipose.data.formats.video import VIDEOS
    from semipose.prepare.project.plan import BOXES

    videos = [source["annotation"] for source in project.pool if source["annotation"].lower().endswith(VIDEOS)]
    target = os.path.join(project.root, (videos or [""])[0]).rstrip("/")
    boxes = " --detector person" if project.facts.view == BOXES and project.facts.several else ""
    return [
        f"semipose cotrain1 --cfg {quote(out)} --name {quote(name)}",
        f"semipose report {quote(f'output/{name}')}",
        f"semipose predict {quote(f'output/{name}')} {quote(target)} --out found --overlay{boxes}",
    ]


def add(folder: str, cfg: str) -> int:
    """Take a folder of corrected labelme files into a configuration."""
    from semipose.assemble.project_add import corrected_source, with_source
    from semipose.config import load_config
    from semipose.data.exclude import fitting_images
    from semipose.prepare.project.corrected import corrected_pictures

    pictures, untouched = corrected_pictures(folder)
    entry = corrected_source(load_config(cfg), folder, pictures)
    print(f"{folder}: {len(pictures)} corrected files are labels, {untouched} untouched ones are left out")
    if entry is None:
        print(f"{cfg}: has this folder already; the run reads it anew")
    else:
        replace_file(cfg, with_source(cfg, entry))
        held = int(fitting_images(pictures, entry.get("exclude", []), "").sum())
        print(f"{cfg}: TRAIN_SET has it now" + f", without {held} that are named as validation" * bool(held))
    print(f"next:\n  semipose cotrain1 --cfg {quote(cfg)} --name {quote(new_name(cfg))}")
    return 0


def new_name(cfg: str) -> str:
    """Of a run that is not there yet: mouse-2 where output/mouse is."""
    from itertools import count

    stem = os.path.splitext(os.path.basename(cfg))[0]
    names = (f"{stem}-{number}" for number in count(2))
    return next(name for name in names if not os.path.lexists(os.path.join("output", name)))


def replace_file(path: str, text: str) -> None:
    """Write a file completely or not at all; raises SemiposeError."""
    from semipose.errors import write_error

    temporary = f"{path}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        raise write_error(error, path) from error


if __name__ == "__main__":
    sys.exit(main())
