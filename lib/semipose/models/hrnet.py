"""HRNet (Sun et al., CVPR 2019; Wang et al., TPAMI 2020) from timm, under the parameter names of its authors."""

from torch import Tensor, nn

from semipose.models.feature_levels import DEEPEST, FINEST, PYRAMID, Level
from semipose.models.timm_import import import_timm

STEM = ("conv1", "bn1", "act1", "conv2", "bn2", "act2")
STAGES = ("layer1", "stage2", "stage3", "stage4")
TRANSITIONS = ("transition1", "transition2", "transition3")
BRANCHES = {DEEPEST: slice(3, 4), PYRAMID: slice(0, 4), FINEST: slice(0, 1)}  # of the four at 1/4 to 1/32


class HRNet(nn.Module):
    """(B, 3, H, W) -> the branches of stage4 that `levels` asks for; "finest" is the map of the pose networks, at 1/4.

    timm's network up to stage4, without the modules for classification. Its last module joins the branches at all four
    sizes; what makes branches that are not returned is left out, so that every parameter learns.
    """

    size_multiple = 32
    depth = len(STAGES)

    def __init__(self, name: str, levels: str):
        super().__init__()
        net = import_timm().create_model(name, features_only=True, feature_location="", out_indices=(1, 2, 3, 4))
        kept = BRANCHES[levels]
        last = net.stage4[-1]
        last.fuse_layers = last.fuse_layers[kept]
        for child in (*STEM, "layer1", "transition1", "stage2", "transition2", "stage3", "transition3", "stage4"):
            self.add_module(child, getattr(net, child))
        every = [Level(*pair) for pair in zip(net.feature_info.channels(), net.feature_info.reduction())]
        self.levels = tuple(every[kept])
        self.mean, self.std = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """Modules whose outputs mix-up may mix: before the network has branches."""
        return self.act2, self.layer1

    def layer_of(self, parameter_name: str) -> int:
        """0 for the stem, then the number of the stage; what leads to a stage belongs to it."""
        part = parameter_name.split(".")[0]
        if part in TRANSITIONS:
            return TRANSITIONS.index(part) + 2
        return STAGES.index(part) + 1 if part in STAGES else 0

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = self.act1(self.bn1(self.conv1(images)))
        x = self.layer1(self.act2(self.bn2(self.conv2(x))))
        maps = self.stage2([step(x) for step in self.transition1])
        maps = self.stage3(_widen(maps, self.transition2))
        return tuple(self.stage4(_widen(maps, self.transition3)))


def _widen(maps: list[Tensor], transition: nn.ModuleList) -> list[Tensor]:
    """The branches as they are, and one more, made from the coarsest."""
    return [*maps, transition[-1](maps[-1])]
