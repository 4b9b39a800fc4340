"""Codecs by the sizes of view and heatmap."""

from semipose.codecs import Codec, CodecSettings, find_codec


def make_codec(size, heatmap, sigma=2.0, kind="gaussian", joints=17) -> Codec:
    """A codec for views of (width, height) `size` and maps of (width, height) `heatmap`."""
    return find_codec(kind)(CodecSettings(tuple(size), joints, size[0] / heatmap[0], sigma))
