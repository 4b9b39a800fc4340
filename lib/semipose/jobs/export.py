"""Write a trained network as one file: ONNX for other programs, or safetensors for its bare weights.

Normalisation of colours is inside an ONNX file. It takes RGB images in [0, 1], (batch, 3, height, width), of any batch
size, and gives heatmaps, or with --decode keypoints in pixels of that image and their scores. The metadata of a file,
JSON under "semipose", has the names of the keypoints, the size, the padding of the box and the skeleton. What was
written is compared with the checkpoint on crops of the run's validation set.

Examples:
  semipose export output/mine --out mine.onnx
  semipose export output/mine --out mine.onnx --which ema_first --precision fp16 --decode
  semipose predict mine.onnx video.mp4 --out found

Exit code 0: done. 2: a mistake in the command, or the run cannot be read. 4: the disk is full.
"""

import argparse
import sys

CROPS = 8  # of the comparison
# pixels between the keypoints of a file and of the checkpoint; in float16 the peak may be another one of equal height
MOST = {"fp32": 0.1, "fp16": float("inf")}
KINDS = (".onnx", ".safetensors")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("run", metavar="RUN", help="run folder (its best.pth, else last.pth) or a checkpoint")
    made.add_argument("--out", required=True, metavar="FILE", help=f"file that ends in {' or '.join(KINDS)}")
    made.add_argument("--which", default="", help="a network of the run, or ensemble; default: its main result")
    made.add_argument("--precision", choices=("fp32", "fp16"), default="fp32", help="of ONNX weights (default fp32)")
    made.add_argument("--decode", action="store_true", help="ONNX: put out keypoints and scores, not heatmaps")
    return made


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_intermixed_args(arguments)

    from semipose.errors import SemiposeError

    try:
        return export(args)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def export(args: argparse.Namespace) -> int:
    """Do the job; returns the exit code. Raises SemiposeError."""
    from semipose.errors import ConfigError, ModelError
    from semipose.writable import check_file

    out = check_file(args.out, "--out")
    if out.suffix not in KINDS:
        raise ConfigError(f"--out: {out} ends in neither {' nor '.join(KINDS)}")
    if out.suffix != ".onnx" and (args.decode or args.precision != "fp32"):
        raise ConfigError(f"--decode and --precision are for .onnx, not for {out.suffix}")

    from semipose.assemble import lifting_checkpoint

    if not args.run.endswith(KINDS) and lifting_checkpoint.lifts(
        *reversed(lifting_checkpoint.open_checkpoint(args.run))
    ):
        if out.suffix != ".onnx" or args.decode or args.precision != "fp32":
            raise ConfigError(f"{args.run}: a lifter is exported as .onnx, without --decode and --precision")
        print(lifting_checkpoint.export_lifter(args.run, out, args.which))
        return 0

    from semipose.api import load_model
    from semipose.predict.export import difference, export_onnx, export_weights

    model = load_model(args.run, args.which, "cpu")
    if model.source.suffix == ".onnx":
        raise ConfigError(f"{model.source}: an ONNX file cannot be exported again; give the run that it was made of")
    if out.suffix == ".onnx":
        export_onnx(model.predictor, model.description, out, args.decode, args.precision)
    else:
        export_weights(model.predictor, model.description, out)
    print(f"{out}: {model.which} of {model.source}, {out.stat().st_size / 2**20:.1f} MiB")
    # loaded again, as float16 has changed the networks
    before, after = load_model(args.run, args.which, "cpu"), load_model(out, device="cpu")
    crops, where = comparison_crops(model)
    keypoints, scores = difference(before.predictor, after.predictor, crops)
    if not keypoints < MOST[args.precision]:  # NaN too
        out.unlink()
        raise ModelError(f"{out}: on {where} its keypoints are {keypoints:.3g} pixels from the checkpoint's; removed")
    print(f"largest difference to the checkpoint on {where}: {keypoints:.2g} pixels, {scores:.2g} in the scores")
    return 0


def comparison_crops(model) -> tuple:
    """(B, 3, H, W) uint8 context crops, and what they are: of the run's validation set, or noise if it is not here."""
    import numpy as np

    from semipose import assemble
    from semipose.assemble.from_checkpoint import whole_config
    from semipose.engine.checkpoint import load_checkpoint
    from semipose.errors import SemiposeError

    try:
        config = whole_config(
            load_checkpoint(model.source), str(model.source), {"GPUS": "cpu"}, ["DATASET.CACHE", "none"]
        )
        persons = next(iter(assemble.read_validation(config).values()))
        dataset = assemble.build_dataset(config, persons.take(slice(0, CROPS)), "omit")
        batch = dataset.__getitems__(range(min(CROPS, len(dataset))))
        if len(batch):
            return batch.images.numpy(), f"{len(batch)} crops of its validation set"
        reason = batch.faults[0]
    except (SemiposeError, IndexError) as error:
        reason = str(error)
    print(f"the validation set of the run cannot be read ({reason})", file=sys.stderr)
    width, height = (round(side * model.description.margin) for side in model.description.size)
    return np.random.default_rng(0).integers(0, 256, (CROPS, 3, height, width), dtype=np.uint8), "noise"
