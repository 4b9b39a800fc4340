"""Predictors from exported files: ONNX runs on onnxruntime, safetensors in torch."""

from pathlib import Path

import torch
from torch import Tensor, nn

from semipose.errors import ConfigError, ModelError
from semipose.models.pose_network import build_codec, build_pose_network
from semipose.predict.description import KEY, Description
from semipose.predict.export import INPUT, NEEDS
from semipose.predict.predictor import Predictor


class OnnxNetwork(nn.Module):
    """A network that runs on onnxruntime.

    Args:
        path: the file, for messages too.
        device: "cuda" asks onnxruntime for its GPU provider.
    """

    def __init__(self, path: Path, device: torch.device | None = None):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)  # tells on which device images are expected
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(f"{path}: onnxruntime is not installed: {NEEDS}") from error
        gpu = ["CUDAExecutionProvider"] if device is not None and device.type == "cuda" else []
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, [*gpu, "CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            raise ModelError(f"{path}: not an ONNX file that onnxruntime loads: {_first_line(error)}") from error
        text = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        self.description = Description.from_json(text, str(path))
        decoded = self.description.outputs == "keypoints"
        self.codec = Decoded() if decoded else build_codec(self.description.plans[0], self.description.strides[0])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] -> output (B, K, ...), or x, y, score (B, K, 3) where decoding is inside."""
        found = [torch.from_numpy(part) for part in self._session.run(None, {INPUT: images.float().numpy()})]
        return found[0] if len(found) == 1 else torch.cat([found[0], found[1].unsqueeze(-1)], dim=-1)


class Decoded:
    """Stands in for a codec where the network decodes by itself."""

    instances = False

    @staticmethod
    def average(outputs: list[Tensor]) -> Tensor:
        """Of the one network."""
        return outputs[0]

    @staticmethod
    def decode(output: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints (B, K, 2) in input pixels and scores (B, K) of x, y, score (B, K, 3)."""
        return output[..., :2], output[..., 2]


def load_onnx(path: Path, flip_test: bool = False, device: torch.device | None = None) -> tuple[Predictor, Description]:
    """The predictor of a file that `export_onnx` wrote.

    Raises:
        ModelError: another file, or onnxruntime is missing. ConfigError: a flip test of a network that decodes.
    """
    network = OnnxNetwork(path, device)
    description = network.description
    if flip_test and description.outputs == "keypoints":
        raise ConfigError(f"{path}: a network that was exported with --decode has no flip test")
    return description.predictor([network.eval()], flip_test), description


def load_weights(
    path: Path, flip_test: bool = False, device: torch.device | None = None
) -> tuple[Predictor, Description]:
    """The predictor of a file that `export_weights` wrote; raises ModelError for another file."""
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ModelError(f"{path}: safetensors is not installed: {NEEDS}") from error
    try:
        with safe_open(path, framework="pt") as file:
            description = Description.from_json((file.metadata() or {}).get(KEY), str(path))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a safetensors file: {_first_line(error)}") from error
    networks = nn.ModuleList(build_pose_network(plan) for plan in description.plans)
    try:
        networks.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its weights do not fit {description.plans[0].backbone}: {_first_line(error)}"
        ) from error
    return description.predictor(list(networks.to(device or "cpu").eval()), flip_test), description


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
