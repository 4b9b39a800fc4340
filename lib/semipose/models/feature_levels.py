"""What a backbone is asked for, and what it says of the maps it returns."""

from dataclasses import dataclass

from semipose.errors import ConfigError

DEEPEST = "deepest"  # one map, the coarsest
PYRAMID = "pyramid"  # the maps from stride 4 to the coarsest; a backbone that makes one map gives that map
FINEST = "finest"  # one map at stride 4, for backbones that join their levels into it: light U-nets and HRNets


@dataclass(frozen=True)
class Level:
    """One feature map of a backbone; `stride` is in input pixels per pixel of the map."""

    channels: int
    stride: float


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel of RGB images in [0, 1]; the defaults are ImageNet's."""

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


class SizeError(ConfigError):
    """A backbone does not take images of (width, height) `size`; `key` of the configuration gave it."""

    def __init__(self, size: tuple[int, int], reason: str, key: str = "MODEL.IMAGE_SIZE"):
        super().__init__(f"{key} {size[0]}x{size[1]}: {reason}")
        self.size, self.reason = size, reason


def check_image_size(image_size: tuple[int, int], multiple: int, backbone_name: str) -> None:
    """Raises SizeError, with the nearest size that fits, if (width, height) are no multiples of `multiple`."""
    if any(side % multiple for side in image_size):
        near = "x".join(str(max(1, round(side / multiple)) * multiple) for side in image_size)
        reason = f"both must be multiples of {multiple} for backbone {backbone_name!r}; nearest: {near}"
        raise SizeError(image_size, reason)
