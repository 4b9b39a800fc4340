"""What a network must be accompanied by, so that it can be used alone: plain text beside exported weights."""

import json
from dataclasses import asdict, dataclass

from torch import nn

from semipose.errors import ModelError
from semipose.models.pose_network import NetworkPlan
from semipose.predict.predictor import Predictor
from semipose.skeletons import Skeleton

KEY = "semipose"  # name of the entry in a file's metadata
FOR_OTHERS = ("names", "size")  # of the keypoints, and (width, height) of the input
OUTPUTS = ("output", "keypoints")


@dataclass(frozen=True)
class Description:
    """All that `Predictor` needs besides the networks.

    Attributes:
        which: name of the network in its run, or "ensemble".
        plans: of the networks; they are averaged.
        strides: of each, see `CodecSettings.stride`.
        margin, padding: of the crops, see `Predictor`.
        skeleton: of the keypoints.
        outputs: one of `OUTPUTS`: what the network puts out, heatmaps or the like, or decoded keypoints.
        version: of semipose.
    """

    which: str
    plans: tuple[NetworkPlan, ...]
    strides: tuple[float, ...]
    margin: float
    padding: float
    skeleton: Skeleton
    outputs: str = "output"
    version: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the input."""
        return self.plans[0].size

    def to_json(self) -> str:
        """One line of JSON; `FOR_OTHERS` is there a second time, for those who only need these."""
        plain = vars(self) | {"skeleton": self.skeleton.to_plain(), "plans": [asdict(plan) for plan in self.plans]}
        return json.dumps(plain | {"names": self.skeleton.keypoints, "size": self.size})

    @staticmethod
    def from_json(text: str | None, source: str) -> "Description":
        """What `to_json` wrote; raises ModelError, naming `source`, if it is something else."""
        try:
            values = {key: value for key, value in json.loads(text).items() if key not in FOR_OTHERS}
            values["skeleton"] = Skeleton.from_plain(values["skeleton"])
            values["strides"] = tuple(values["strides"])
            return Description(**values | {"plans": tuple(NetworkPlan.from_plain(plan) for plan in values["plans"])})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{source}: it was not exported by semipose, or by another version: its metadata has no {KEY!r} that "
                "can be read"
            ) from error

    def predictor(self, networks: list[nn.Module], flip_test: bool = False) -> Predictor:
        """The predictor of networks, each with its codec."""
        return Predictor(networks, self.skeleton, self.size, self.margin, self.padding, flip_test)
