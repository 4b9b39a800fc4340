"""How far the difference between two runs may be the luck of the validation pictures: a paired bootstrap over them."""

import numpy as np

from semipose.report.errors import distances, relative_errors
from semipose.report.looking import Seen

DRAWS = 2000
FEWEST = 10  # pictures; of fewer no interval is given


def difference_interval(
    first: np.ndarray, second: np.ndarray, pictures: np.ndarray
) -> tuple[float, float, float] | None:
    """The mean of `first` minus that of `second`, and the ends of its 95 % interval (Efron's percentile bootstrap).

    Pictures are drawn with all of their persons, the same ones for both, so what is hard for both does not count.

    Args:
        first, second: (N, K) values of N persons; NaN = does not count.
        pictures: (N,) number of the picture of each person.

    Returns:
        (difference, lower, upper), or None for fewer than `FEWEST` pictures with values.
    """
    groups, rows = np.unique(pictures, return_inverse=True)
    sums = np.zeros((len(groups), 4))
    for column, values in ((0, first), (2, second)):
        known = np.isfinite(values)
        np.add.at(sums[:, column], rows, np.where(known, values, 0).sum(1))
        np.add.at(sums[:, column + 1], rows, known.sum(1))
    sums = sums[(sums[:, 1] > 0) | (sums[:, 3] > 0)]
    if len(sums) < FEWEST or not sums[:, 1].any() or not sums[:, 3].any():
        return None
    times = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS)
    drawn = _difference(times @ sums)
    return float(_difference(sums.sum(0))), *(float(end) for end in np.nanpercentile(drawn, [2.5, 97.5]))


def differences_text(seen: dict[str, Seen], main: str, in_px: bool) -> str:
    """What the keypoints of all other runs tell about the result of `main`; "" where there is no other run.

    Args:
        seen: by the name of a run, all on the same persons.
        in_px: of the error in pixels, else of the share of keypoints that are right.
    """
    told = []
    for name in (name for name in seen if name != main):
        values = [_values(seen[one], in_px) for one in (main, name)]
        found = difference_interval(*values, seen[main].persons.image_index)
        if found is None:
            return ""
        chance = ", which can be chance" if found[1] <= 0 <= found[2] else ""
        unit = "px" if in_px else "points"
        told.append(f"{main} minus {name} {found[0]:+.1f} {unit} ({found[1]:+.1f} to {found[2]:+.1f}{chance})")
    if not told:
        return ""
    return (
        f"All keypoints: {'; '.join(told)}. In brackets the range that holds, with 95 % certainty, for other pictures "
        "like these; other seeds vary too."
    )


def _difference(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3]


def _values(one: Seen, in_px: bool) -> np.ndarray:
    """(N, K) pixels, or 100 where right and 0 where wrong; NaN as in the table of keypoints."""
    points, labels = one.points[one.main], one.persons.keypoints
    if in_px:
        return distances(points, labels)
    relative = relative_errors(points, labels, one.allowed)
    return np.where(np.isnan(relative), np.nan, 100.0 * (relative < 1))
