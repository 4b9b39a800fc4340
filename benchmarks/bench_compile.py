"""torch.compile (`TRAIN.COMPILE`) against the networks as they are written, and the seconds that it takes first."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_data import Scale, first_batch, make_algorithm, write_images
from bench_step import whole_step
from bench_turns import clock, in_turns, markdown, spread

from semipose.models.compiling import compile_networks


def tables(scale: Scale) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        batch = first_batch(write_images(Path(folder), scale.batch), scale.size, scale.batch)
    plain, compiled = (make_algorithm("cotrain1", scale.backbone, scale.size, True) for _ in range(2))
    compile_networks(compiled)
    steps = {"TRAIN.COMPILE false": whole_step(plain, batch), "TRAIN.COMPILE true": whole_step(compiled, batch)}
    seconds = clock(steps["TRAIN.COMPILE true"])
    times = in_turns(steps, scale.repeats)
    ratios = spread(times.ratios(*steps))
    rows = [("cotrain1, channels-last", *(f"{times.ms(name):.0f}" for name in steps), ratios, f"{seconds:.0f}")]
    columns = ("", "ms plain", "ms compiled", "plain / compiled (quartiles)", "seconds of the first step")
    yield markdown(f"torch.compile, {scale}", columns, rows)
