"""How numbers are said to people: by name and unit, shares in percent, errors in pixels or millimetres.

metrics.jsonl, TensorBoard and wandb hold shares as 0..1. There `AP` is the main result on the first set, and
`AP_first`, `AP_ensemble`, ... are those of each network; people are told the main result once, by its network's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from semipose.evaluation import METRICS
from semipose.evaluation.validation import EACH

KEYS = {key for metric in METRICS.values() for key in metric.keys}
GROUPS = ("group_", "category_", "action")  # AP_group_3 is no network's
LIFTED = ("MPJPE", "P-MPJPE")  # of lifting, in millimetres
SHOWN = (*EACH, *LIFTED)
KEPT = "health_kept"


@dataclass(frozen=True)
class ScoreText:
    """Metrics as text.

    Attributes:
        pck_threshold, pixels: of TEST, as the names PCK and PCK_px do not tell them.
    """

    pck_threshold: float = 0.1
    pixels: float = 0.0

    def one(self, metric: str, value: float) -> str:
        """`AP 40.2 %`, `EPE 11.1 px`, `90.0 % within 20 px`."""
        if metric == "EPE":
            return f"EPE {value:.1f} px"
        if metric == "PCK_px":
            return f"{100 * value:.1f} % {self.name(metric)}"
        if metric in LIFTED:
            return f"{metric} {value:.1f} mm"
        return f"{self.name(metric)} {100 * value:.1f} %"

    def name(self, metric: str) -> str:
        """`PCK@0.1` and `within 20 px`; other metrics as they are called."""
        names = {"PCK": f"PCK@{self.pck_threshold:g}", "PCK_px": f"within {self.pixels:g} px"}
        return names.get(metric, metric)

    def several(self, metrics: Mapping[str, float]) -> str:
        """The metrics that stand for their families, in the given order; undefined ones (-1) are left out."""
        plain = "tPCK" in metrics  # JHMDB has a threshold of its own
        shown = {name: value for name, value in metrics.items() if name in SHOWN and value is not None and value != -1}
        texts = [f"PCK {100 * v:.1f} %" if plain and name == "PCK" else self.one(name, v) for name, v in shown.items()]
        return ", ".join(texts) or "nothing is labelled"

    def result(self, row: Mapping[str, float]) -> str:
        """The main result of an evaluation: `ensemble: AP 40.2 %, PCK@0.1 86.2 %`, on each of several sets."""
        sets = dict.fromkeys(name.rpartition("/")[0] for name in row if name.rpartition("/")[2] in EACH and "/" in name)
        parts = [f"on {one} {self.several(_of_set(row, one))}" for one in sets] or [self.several(row)]
        return f"{main_network(row)}: {'; '.join(parts)}"


def main_network(row: Mapping[str, float]) -> str:
    """The network, or ensemble, whose metrics are those without a network's name: the last that the row names."""
    found = [
        name.removeprefix(f"{metric}_")
        for metric in SHOWN
        for name in row
        if name.startswith(f"{metric}_") and name not in KEYS and "/" not in name
    ]
    named = [name for name in found if not name.startswith(GROUPS)]
    return named[-1] if named else "result"


def pseudo_label_text(row: Mapping[str, float]) -> str:
    """How many joints are kept, and where it is known how many of them are right; means over the networks.

    "" if the row has nothing on pseudo-labels.
    """
    networks = [name.removeprefix(KEPT) for name in row if name.startswith(KEPT) and "/" not in name]
    texts = {
        KEPT: "{} % of the joints kept", "pseudo_PCK_kept": "{} % of those right",
        "easy_share": "{} % of the pictures easy",
    }  # fmt: skip
    found = []
    for key, text in texts.items():
        values = [row[f"{key}{network}"] for network in networks if row.get(f"{key}{network}") is not None]
        found += [text.format(f"{100 * fmean(values):.1f}")] if values else []
    return ", ".join(found)


def _of_set(row: Mapping[str, float], name: str) -> dict[str, float]:
    return {key.rpartition("/")[2]: value for key, value in row.items() if key.rpartition("/")[0] == name}
