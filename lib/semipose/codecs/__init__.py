"""Codecs: between keypoint coordinates and what a network predicts. A new one is a file and an entry in the table."""

from semipose.codecs.codec import Codec, CodecSettings
from semipose.codecs.dekr import DekrCodec
from semipose.codecs.gaussian import GaussianCodec
from semipose.codecs.heatmap import HeatmapCodec
from semipose.codecs.integral import IntegralCodec
from semipose.codecs.msra import MsraCodec
from semipose.codecs.regression import RegressionCodec
from semipose.codecs.rle import RleCodec
from semipose.codecs.simcc import SimccCodec
from semipose.codecs.udp import UdpCodec
from semipose.codecs.udp_offset import UdpOffsetCodec
from semipose.errors import ConfigError

CODECS: dict[str, type[Codec]] = {
    "gaussian": GaussianCodec,
    "msra": MsraCodec,
    "udp": UdpCodec,
    "udp_offset": UdpOffsetCodec,
    "simcc": SimccCodec,
    "regression": RegressionCodec,
    "rle": RleCodec,
    "integral": IntegralCodec,
    "dekr": DekrCodec,
}

TOP_DOWN = tuple(name for name, codec in CODECS.items() if not codec.instances)  # for a person in a crop
BOTTOM_UP = tuple(name for name, codec in CODECS.items() if codec.instances)  # for all instances of a picture


def find_codec(name: str) -> type[Codec]:
    """The class of a codec; raises ConfigError for an unknown name."""
    if name not in CODECS:
        raise ConfigError(f"MODEL.CODEC is {name!r}; allowed: {', '.join(CODECS)}")
    return CODECS[name]


__all__ = ["BOTTOM_UP", "CODECS", "TOP_DOWN", "Codec", "CodecSettings", "HeatmapCodec", "find_codec"]
