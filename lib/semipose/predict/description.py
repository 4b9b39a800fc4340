"""What a network must be accompanied by, so that it can be used alone: plain text beside exported weights."""

import json
from dataclasses import dataclass

from torch import nn

from semipose.codecs import HeatmapCodec
from semipose.errors import ModelError
from semipose.predict.predictor import Predictor
from semipose.skeletons import Skeleton

KEY = "semipose"  # name of the entry in a file's metadata
OUTPUTS = ("heatmaps", "keypoints")


@dataclass(frozen=True)
class Description:
    """All that `Predictor` needs besides the networks.

    Attributes:
        which: name of the network in its run, or "ensemble".
        networks: how many networks are averaged.
        backbone: name, as in MODEL.BACKBONE.
        codec, sigma: of the heatmaps, see `HeatmapCodec`.
        size, heatmap_size: (width, height) of the input and of the heatmaps.
        margin, padding: of the crops, see `Predictor`.
        skeleton: of the keypoints.
        outputs: one of `OUTPUTS`: what the network puts out.
        version: of semipose.
    """

    which: str
    networks: int
    backbone: str
    codec: str
    sigma: float
    size: tuple[int, int]
    heatmap_size: tuple[int, int]
    margin: float
    padding: float
    skeleton: Skeleton
    outputs: str = "heatmaps"
    version: str = ""

    def to_json(self) -> str:
        """One line of JSON; `names` of the keypoints are there a second time, for those who only need these."""
        return json.dumps(vars(self) | {"skeleton": self.skeleton.to_plain(), "names": self.skeleton.keypoints})

    @staticmethod
    def from_json(text: str | None, source: str) -> "Description":
        """What `to_json` wrote; raises ModelError, naming `source`, if it is something else."""
        try:
            values = json.loads(text)
            values.pop("names")
            values["skeleton"] = Skeleton.from_plain(values["skeleton"])
            return Description(**values | {key: tuple(values[key]) for key in ("size", "heatmap_size")})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(f"{source}: it was not exported by semipose: its metadata has no valid {KEY!r}") from error

    def predictor(self, networks: list[nn.Module], flip_test: bool = False) -> Predictor:
        """The predictor of networks that put out heatmaps."""
        codec = HeatmapCodec(self.size, self.heatmap_size, self.sigma, self.codec)
        return Predictor(networks, codec, self.skeleton, self.size, self.margin, self.padding, flip_test)
