"""Curves over epochs and steps as SVG, with the best epoch marked."""

from semipose.report.records import Record, network_scores, shown, with_unit
from semipose.report.settings import Setting, mean_and_spread
from semipose.visualize.charts import COLORS, Curve, draw_lines, new_figure, to_svg

_SIZE = 560, 420
_STAR = {"marker": "*", "markersize": 15, "color": "#ffc400", "markeredgecolor": "#1c1f24", "zorder": 5}
_NETWORKS = "first", "second"  # of co-training; each has its own numbers
# names of numbers on pseudo-labels, in two charts
_TAKEN = {
    "health_kept": "keypoints that are learned", "easy_share": "easy pictures",
    "agreement_within_1px": "both networks agree", "health_peak": "mean score",
}  # fmt: skip
_RIGHT = {
    "pseudo_PCK": "all", "pseudo_PCK_kept": "those that are learned", "pseudo_PCK_easy": "on easy pictures",
    "pseudo_PCK_hard": "on hard pictures",
}  # fmt: skip


def network_chart(record: Record) -> str:
    """The main metric of each network over the epochs, and a star at the best one of the result."""
    metric, curves = record.metric, {}
    own = metric.rpartition("/")[2]
    for epoch in record.evaluated:
        scores = {name: found[own] for name, found in network_scores(epoch).items() if own in found}
        for name, value in scores.items() if "/" not in metric and scores else [(metric, epoch[metric])]:
            curves.setdefault(name, []).append((epoch["epoch"], shown(metric, value)))
    best = record.best
    title = f"Validation, best epoch: {best['epoch']}"
    return _chart(curves, title, "epoch", with_unit(metric), (best["epoch"], shown(metric, best[metric])))


def setting_chart(settings: list[Setting]) -> str:
    """The result of each setting over the epochs: the mean of its runs, with their standard deviation as a band."""
    metric = settings[0].metric
    alike = [setting for setting in settings if setting.metric == metric]
    curves, bands = {}, []
    for setting in alike:
        points = [(x, *mean_and_spread(values)) for x, values in _by_epoch(setting).items()]
        curves[setting.name] = [(x, mean) for x, mean, _ in points]
        bands.append([(x, mean - spread, mean + spread) for x, mean, spread in points if spread is not None])
    return _chart(curves, "Result of each setting", "epoch", with_unit(metric), bands=bands)


def loss_chart(record: Record) -> str:
    """The training losses over the steps; "" where none were logged."""
    names = dict.fromkeys(name for row in record.steps for name in row if name.startswith("loss_"))
    curves = {
        name: [(row["step"], row[name]) for row in record.steps if isinstance(row.get(name), float)] for name in names
    }
    return _chart(curves, "Training losses", "step", "loss") if curves else ""


def pseudo_charts(record: Record) -> list[str]:
    """How many pseudo-labels are learned and how sure they are; how many are right, where hidden labels tell."""
    found = [
        ({name: pseudo_curve(record, key) for key, name in names.items()}, title)
        for names, title in ((_TAKEN, "What is learned"), (_RIGHT, "What is right"))
    ]
    charts = [({name: curve for name, curve in curves.items() if curve}, title) for curves, title in found]
    return [_chart(curves, title, "epoch", "%") for curves, title in charts if curves]


def pseudo_curve(record: Record, key: str) -> Curve:
    """(epoch, percent) of a number on pseudo-labels; where each network has its own, their mean."""
    curve = []
    for row in record.epochs:
        names = [key, *(f"{key}_{name}" for name in _NETWORKS)]
        values = [row[name] for name in names if isinstance(row.get(name), int | float)]
        if values:
            curve.append((row["epoch"], 100 * sum(values) / len(values)))
    return curve


def _by_epoch(setting: Setting) -> dict[int, list[float]]:
    """The result of all runs of a setting in each epoch that the first of them was evaluated in."""
    found = {}
    for run in setting.runs:
        for row in run.evaluated:
            found.setdefault(row["epoch"], []).append(shown(run.metric, row[run.metric]))
    return {epoch: found[epoch] for epoch in sorted(found)}


def _chart(
    curves: dict[str, Curve], title: str, x_label: str, y_label: str, best: tuple[float, float] | None = None,
    bands: list = (),
) -> str:  # fmt: skip
    figure = new_figure(*_SIZE)
    draw_lines(figure, curves, title, x_label, y_label)
    axes = figure.axes[0]
    for number, band in enumerate(bands):
        if band:
            axes.fill_between(*zip(*band), color=COLORS[number % len(COLORS)], alpha=0.15, linewidth=0)
    if best:
        axes.axvline(best[0], color="#9aa0a8", linestyle=":", zorder=0)
        axes.plot(*best, clip_on=False, **_STAR)
    return to_svg(figure)
