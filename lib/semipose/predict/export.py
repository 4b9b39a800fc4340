"""Trained networks as files for others: ONNX and safetensors, with a `Description` in their metadata."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from semipose.errors import ConfigError, ModelError, write_error
from semipose.evaluation.network_outputs import decode_mean
from semipose.predict.description import KEY, Description
from semipose.predict.predictor import Predictor

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16}
INPUT, OUTPUT, KEYPOINTS, SCORES = "images", "output", "keypoints", "scores"
OPSET = 18
NEEDS = "pip install 'semipose[export]' (onnx, onnxruntime, onnxscript, safetensors)"


class ExportedNetwork(nn.Module):
    """The mean of several networks, normalisation included; with `decode` keypoints and scores instead of an output."""

    def __init__(self, predictor: Predictor, decode: bool, dtype: torch.dtype):
        super().__init__()
        self.networks = nn.ModuleList(predictor.networks)
        self.decode, self.dtype = decode, dtype

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(B, 3, H, W) float32 RGB in [0, 1] -> output (B, K, ...) of the codec, or keypoints (B, K, 2) in input
        pixels and scores (B, K)."""
        outputs = [network(images.to(self.dtype)).float() for network in self.networks]
        if self.decode:
            return decode_mean(list(self.networks), outputs)
        return self.networks[0].codec.average(outputs)


def export_onnx(
    predictor: Predictor, description: Description, path: str | Path, decode: bool = False, precision: str = "fp32"
) -> Path:
    """Write an ONNX file with a dynamic batch.

    Args:
        predictor: on the CPU. With precision "fp16" its networks are changed to float16.
        decode: put out keypoints and scores instead of what the codec decodes.
        precision: of the weights, a key of `PRECISIONS`.

    Raises:
        ConfigError: unknown precision, outputs that cannot be averaged, or `decode` of a bottom-up network.
        ModelError: packages are missing. SemiposeError: the file cannot be written.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"--precision is {precision!r}; allowed: {', '.join(PRECISIONS)}")
    if not decode and any(network.codec != predictor.networks[0].codec for network in predictor.networks):
        raise ConfigError(
            "networks with different codecs have no common output: export them with --decode, or one alone"
        )
    if decode and predictor.bottom_up:
        raise ConfigError("--decode: a bottom-up network finds any number of instances; export it without")
    with needed_packages():
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it and says so less clearly
    dtype = PRECISIONS[precision]
    network = ExportedNetwork(predictor, decode, dtype).to(dtype).eval()
    width, height = predictor.size
    names = [KEYPOINTS, SCORES] if decode else [OUTPUT]
    with silent():
        program = torch.onnx.export(
            network, (torch.zeros(2, 3, height, width),), dynamo=True, opset_version=OPSET, input_names=[INPUT],
            output_names=names, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
        )  # fmt: skip
    model = program.model_proto
    description = replace(description, outputs="keypoints" if decode else "output")
    onnx.helper.set_model_props(model, {KEY: description.to_json()})
    return write_whole(Path(path), model.SerializeToString())


def export_weights(predictor: Predictor, description: Description, path: str | Path) -> Path:
    """Write the bare weights of all networks as safetensors, named `NUMBER.NAME`; errors as `export_onnx`."""
    with needed_packages():
        from safetensors.torch import save
    networks = nn.ModuleList(getattr(network, "module", network) for network in predictor.networks)  # EMAs wrap theirs
    tensors = {name: tensor.cpu().contiguous() for name, tensor in networks.state_dict().items()}
    return write_whole(Path(path), save(tensors, {KEY: description.to_json()}))


def difference(predictor: Predictor, other: Predictor, crops: np.ndarray) -> tuple[float, float]:
    """Largest difference in keypoints (input pixels) and scores of two predictors.

    Bottom-up the maps are compared, offsets in input pixels and heatmaps, as the number of instances may differ.

    Args:
        crops: (B, 3, H, W) uint8 RGB context crops.
    """
    if predictor.bottom_up:
        codec = predictor.networks[0].codec
        return codec.difference(*(codec.average(one.outputs(crops)) for one in (predictor, other)))
    still = np.tile(np.eye(2, 3, dtype=np.float32), (len(crops), 1, 1))
    pairs = zip(predictor.predict_crops(crops, still), other.predict_crops(crops, still))
    return tuple(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)


@contextlib.contextmanager
def needed_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ModelError(f"exporting needs a package that is not here ({error.name}): {NEEDS}") from error


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Without what torch's exporter prints and logs about itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def write_whole(path: Path, content: bytes) -> Path:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(error, path) from error
    return path
