"""The pose network: normalisation, backbone, neck and head in one module, and the codec of what it puts out."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semipose.codecs import Codec, CodecSettings, find_codec
from semipose.errors import ConfigError
from semipose.models.body import JOINED, MAP, VECTOR, build_body
from semipose.models.feature_levels import SizeError
from semipose.models.light_unet import LIGHT_UNETS
from semipose.models.matching import MatchReport
from semipose.models.necks import PyramidNeck
from semipose.models.pose_files import Start, find_pose_file, load_start
from semipose.models.pretrained import load_pretrained

FRESH = Start()
INPUT_SIZE = "MODEL.SECOND.INPUT_SIZE"  # the key behind `NetworkPlan.input_size`
HIDDEN = 48  # channels of the 3x3 convolution in heads of light networks


class PoseNetwork(nn.Module):
    """RGB images in [0, 1], (B, 3, H, W) -> the output (B, K, ...) of its codec.

    mean and std are saved with the weights, so that a checkpoint is complete without its configuration.

    Inside `computing_in`, backbone and neck compute in that type. Features, heads and outputs stay float32: a heatmap
    in bfloat16 has several highest pixels, and decoding would lose up to a pixel.

    Args:
        backbone, neck: see `models/backbones.py` and `models/necks.py`.
        codec: makes the head; its points are in pixels of the images that come in.
        hidden: see `Codec.make_head`.
        input_size: (width, height) that images are resized to, for a network that works at another size than the
            views; None = they are taken as they are.

    Attributes:
        feature_channels: C of `features`.
        report: what `build_pose_network` found in the pretrained file; None when trained from scratch.
        frozen: names of modules that stay in eval mode, see `freezing.freeze`.
        compiled: whether backbone, neck and head run compiled, see `compiling.compile_networks`.
    """

    def __init__(
        self, backbone: nn.Module, neck: nn.Module, codec: Codec, hidden: int = 0,
        input_size: tuple[int, int] | None = None,
    ):  # fmt: skip
        super().__init__()
        self.backbone, self.neck = backbone, neck
        self.codec, self.hidden, self.input_size = codec, hidden, input_size
        self.feature_channels: int = neck.out_channels
        self.head = self.new_head()
        self.report: MatchReport | None = None
        self.frozen: tuple[str, ...] = ()
        self._autocast_dtype: torch.dtype | None = None
        self.compiled = False
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.std).view(1, 3, 1, 1))

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """The first modules of the backbone, in order: where manifold mix-up may mix; () if there is no such place."""
        return self.backbone.early_stages

    def features(self, images: Tensor) -> Tensor:
        """Features (B, C, h, w) of RGB images in [0, 1]: what a head takes."""
        if self.input_size is not None:
            width, height = self.input_size
            images = F.interpolate(images, (height, width), mode="bilinear", antialias=True)
        with self._autocast(images.device.type):
            features = self.neck(self.backbone((images - self.mean) / self.std))
        return features.to(self.mean.dtype)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def train(self, mode: bool = True) -> "PoseNetwork":
        """Frozen modules stay in eval mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def new_head(self) -> nn.Module:
        """Another head of the same kind, freshly initialised, for the same features. It is not part of the network."""
        return self.codec.make_head(self.feature_channels, self.hidden)

    def keep_in_eval(self, modules: tuple[str, ...]) -> None:
        """Keep these modules, by name, in eval mode from now on: see `freezing.freeze`."""
        self.frozen = modules
        self.train(self.training)

    def compile_parts(self, backend: str) -> None:
        """Let backbone, neck and head run compiled from their first calls on: see `compiling.compile_networks`."""
        for part in (self.backbone, self.neck, self.head):
            part.compile(backend=backend, dynamic=False)
        self.compiled = True

    @contextmanager
    def computing_in(self, dtype: torch.dtype) -> Iterator[None]:
        """While it lasts, backbone and neck compute in torch.bfloat16 or torch.float16."""
        self._autocast_dtype = dtype
        try:
            yield
        finally:
            self._autocast_dtype = None

    def _autocast(self, device_type: str):
        return torch.autocast(device_type, self._autocast_dtype) if self._autocast_dtype else nullcontext()


@dataclass(frozen=True)
class NetworkPlan:
    """All that a network is built from, in plain values.

    Attributes:
        backbone, neck, codec: names as in MODEL.BACKBONE, MODEL.NECK and MODEL.CODEC.
        joints: K, keypoints of the skeleton.
        size: (width, height) of the images that come in.
        input_size: (width, height) that the backbone gets; () = the same.
        sigma, bins, bin_sigma, bins_at_edges, joint_channels, offset_weight, snap: see `CodecSettings`.
        hidden: see `Codec.make_head`; -1 = `HIDDEN` after a pyramid and in light U-nets, else none.
    """

    backbone: str
    joints: int
    size: tuple[int, int]
    neck: str = "auto"
    codec: str = "gaussian"
    input_size: tuple[int, int] | tuple[()] = ()
    sigma: float = 2.0
    bins: float = 2.0
    bin_sigma: float = 0.0
    bins_at_edges: bool = False
    hidden: int = -1
    joint_channels: int = 15
    offset_weight: float = 0.03
    snap: float = 0.0

    @staticmethod
    def from_plain(values: dict) -> "NetworkPlan":
        """Of the entries of `dataclasses.asdict`, also after they were JSON; raises TypeError for others."""
        return NetworkPlan(**values | {name: tuple(values[name]) for name in ("size", "input_size")})

    @property
    def inner_size(self) -> tuple[int, int]:
        """(width, height) of what the backbone gets."""
        return self.input_size or self.size


def build_pose_network(plan: NetworkPlan, start: Start = FRESH, channels_last: bool = False) -> PoseNetwork:
    """A network with fresh weights, or with those that `start` names, as far as they fit.

    Of a pose checkpoint backbone, neck and head are taken, see `pose_names`; all other weights are for the backbone:
    see `load_pretrained`.

    With `channels_last` the convolutions choose that memory layout by their weights, whatever the layout of the images.

    Raises:
        ConfigError: unknown names, or sizes that do not fit. ModelError: the weights cannot be loaded or do not fit.
    """
    kind = find_codec(plan.codec)
    wanted = VECTOR if kind.pools else JOINED if kind.joins else MAP
    shrunk = _shrunk(plan)
    try:
        backbone, neck = build_body(plan.backbone, plan.neck, wanted, plan.inner_size)
    except SizeError as error:
        raise SizeError(error.size, error.reason, INPUT_SIZE) if plan.input_size else error from None
    file = find_pose_file(start)
    report = None if file else load_pretrained(backbone, start.source, plan.backbone)
    codec = build_codec(plan, neck.stride * shrunk)
    # the papers' heads are one layer: after deconvolutions, HRNets, and the pooled maps of large networks
    light = isinstance(neck, PyramidNeck) or plan.backbone in LIGHT_UNETS
    usual = HIDDEN if light else 0
    hidden = usual if plan.hidden < 0 else plan.hidden
    network = PoseNetwork(backbone, neck, codec, hidden, plan.input_size or None)
    network.report = load_start(network, file, start) if file else report
    return network.to(memory_format=torch.channels_last) if channels_last else network


def build_codec(plan: NetworkPlan, stride: float) -> Codec:
    """The codec of a network whose features have `stride` pixels of the images that come in."""
    names = ("sigma", "bins", "bin_sigma", "bins_at_edges", "joint_channels", "offset_weight", "snap")
    settings = CodecSettings(plan.size, plan.joints, stride, **{name: getattr(plan, name) for name in names})
    return find_codec(plan.codec)(settings)


def _shrunk(plan: NetworkPlan) -> float:
    """Pixels of the images that come in for each pixel that the backbone gets."""
    (width, height), (inner_width, inner_height) = plan.size, plan.inner_size
    if width * inner_height != height * inner_width:
        raise ConfigError(
            f"{INPUT_SIZE} {inner_width}x{inner_height}: it needs the shape of MODEL.IMAGE_SIZE {width}x{height}, as "
            "width and height must shrink alike"
        )
    return width / inner_width
