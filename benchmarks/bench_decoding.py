"""Decoding of whole pictures (bottom-up): all of a batch at once against one by one, as the original code does it."""

from collections.abc import Iterator

import torch
from bench_data import Scale
from bench_loader import one_thread
from bench_turns import in_turns, markdown, spread
from torch import Tensor

from semipose.codecs import Codec, CodecSettings, find_codec
from semipose.skeletons import COCO

PICTURES, PERSONS = 32, 5
SIZES, QUICK_SIZES = (128, 256, 512), (128,)  # sides of the network's input


def tables(scale: Scale) -> Iterator[str]:
    quick = scale.images < Scale.images
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with one_thread():
        rows = [row(side, device, scale) for side in (QUICK_SIZES if quick else SIZES)]
    title = f"Decoding (dekr) of {PICTURES} pictures with {PERSONS} persons each, {device.type}, one thread"
    columns = ("input", "ms one by one", "ms whole batch", "one by one / batch (quartiles)")
    yield markdown(title, columns, rows)


def row(side: int, device: torch.device, scale: Scale) -> tuple:
    codec = find_codec("dekr")(CodecSettings((side, side), len(COCO)))
    output = maps(codec, side).to(device)
    found = codec.decode(output)[1]
    assert ((found.sum(-1) > 0).sum(1) >= PERSONS).all()

    def one_by_one() -> list:
        return [tuple(part.cpu() for part in codec.decode(own)) for own in output.split(1)]

    def whole_batch() -> tuple:
        return tuple(part.cpu() for part in codec.decode(output))

    times = in_turns({"one": one_by_one, "all": whole_batch}, scale.turns, scale.turn_seconds)
    return f"{side}x{side}", f"{times.ms('one'):.4g}", f"{times.ms('all'):.4g}", spread(times.ratios("one", "all"))


def maps(codec: Codec, side: int) -> Tensor:
    """Outputs for persons side by side, with a little noise, which makes more roots than there are persons."""
    generator = torch.Generator().manual_seed(0)
    roots = torch.stack([(torch.arange(PERSONS) + 0.5) * side / PERSONS, torch.full((PERSONS,), side / 2)], -1)
    limbs = (torch.rand(PICTURES, PERSONS, len(COCO), 2, generator=generator) - 0.5) * side / torch.tensor([8.0, 2.0])
    points = roots[:, None] + limbs
    output = codec.perfect(codec.encode(points, torch.ones(points.shape[:-1]))[0])
    return output + 0.02 * torch.randn(output.shape, generator=generator)
