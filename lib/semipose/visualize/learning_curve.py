"""The learning curve of one run: its losses, and the main metric of its networks."""

import numpy as np

from semipose.evaluation import METRICS, is_share, with_unit
from semipose.visualize.charts import draw_lines, new_figure, to_pixels

MAIN = {metric.main for metric in METRICS.values()}
KEYS = {key for metric in METRICS.values() for key in metric.keys}
WIDTH, HEIGHT = 1280, 440


def draw_learning_curve(rows: list[dict]) -> np.ndarray:
    """`learning_curve` as (HEIGHT, WIDTH, 3) uint8 RGB."""
    return to_pixels(learning_curve(rows))


def learning_curve(rows: list[dict]):
    """A `Figure` with two charts side by side.

    Args:
        rows: of the run's metrics.jsonl.
    """
    losses = _curves([row for row in rows if "epoch" not in row], "step", lambda name: name.startswith("loss_"))
    epochs = [row for row in rows if "epoch" in row]
    metric = main_metric(epochs)
    scores = _by_network(_curves(epochs, "epoch", lambda name: _is_of(name, metric)))
    figure = new_figure(WIDTH, HEIGHT)
    left, right = figure.subfigures(1, 2)
    draw_lines(left, losses, "Training losses", "step", "loss")
    draw_lines(right, scores, "Validation", "epoch", with_unit(metric))
    return figure


def main_metric(rows: list[dict]) -> str:
    """The main metric of a run, the first that the rows of its metrics.jsonl have; "" before an evaluation."""
    return next((name for row in rows if "epoch" in row for name in row if name in MAIN), "")


def in_percent(name: str, values: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """A curve as people read it: shares in percent, all else as it is."""
    return [(x, 100 * y) for x, y in values] if is_share(name) else values


def _by_network(curves: dict[str, list]) -> dict[str, list]:
    """Without the main result where one of the networks has the same curve under its own name."""
    named = [curve for name, curve in curves.items() if name not in MAIN]
    return {name: curve for name, curve in curves.items() if name not in MAIN or curve not in named}


def _curves(rows: list[dict], x: str, wanted) -> dict[str, list[tuple[float, float]]]:
    """The wanted values that are numbers, shares in percent; -1 stands for "not defined"."""
    names = list(dict.fromkeys(name for row in rows for name in row if wanted(name)))
    return {
        name: in_percent(name, [(r[x], r[name]) for r in rows if r.get(name) is not None and r[name] != -1])
        for name in names
    }


def _is_of(name: str, metric: str) -> bool:
    """Whether it is the metric, of the result or of one network, on the first set or on another."""
    own = name.rpartition("/")[2]
    if not metric or own in KEYS or own.startswith(f"{metric}_group_"):
        return bool(metric) and own == metric
    return own.startswith(f"{metric}_")
