"""Networks: backbones, heads, pretrained weights, EMA teachers. torchvision is imported only where it is used."""

from semipose.models.backbones import BACKBONES
from semipose.models.ema import EmaTeacher
from semipose.models.matching import MatchReport
from semipose.models.pose_files import Start
from semipose.models.pose_network import PoseNetwork, build_pose_network
from semipose.models.pretrained import load_pretrained

__all__ = ["BACKBONES", "EmaTeacher", "MatchReport", "PoseNetwork", "Start", "build_pose_network", "load_pretrained"]
