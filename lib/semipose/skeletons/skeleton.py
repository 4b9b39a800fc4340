"""A skeleton: everything that depends on which keypoints a data set has."""

from dataclasses import dataclass, fields

from semipose.errors import ConfigError

MAX_KEYPOINTS = 2000  # as many links are allowed too: the checks of a file take time with their product


@dataclass(frozen=True)
class Skeleton:
    """Keypoints by name. All other fields refer to these names, so nothing depends on an index.

    Args:
        name: name in the catalogue.
        keypoints: K unique keypoint names, in the order of the annotation.
        sigmas: K positive OKS constants (COCO keypoint evaluation, `k_i = 2 sigma_i`).
        swaps: pairs of names that change places when an image is mirrored.
        links: pairs of names drawn as limbs.
        upper_body: names of the upper body, for half-body augmentation; empty switches that off.
        loss_weights: K positive weights of the keypoint loss; empty = all 1.
        head: (lower, upper) names of the head segment; empty if the skeleton has none.
        torso: two names whose distance normalises PCK by torso; empty if there is none.
        mirrors: whether a mirrored picture can be labelled; False where left and right names have no clear partner.

    Raises:
        ConfigError: naming the skeleton, the field and the value that is wrong.
    """

    name: str
    keypoints: tuple[str, ...]
    sigmas: tuple[float, ...]
    swaps: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    upper_body: tuple[str, ...] = ()
    loss_weights: tuple[float, ...] = ()
    head: tuple[str, ...] = ()
    torso: tuple[str, ...] = ()
    mirrors: bool = True

    def __post_init__(self):
        if not self.keypoints:
            raise self._error("keypoints", "has no keypoint")
        if len(set(self.keypoints)) != len(self.keypoints):
            twice = sorted({n for n in self.keypoints if self.keypoints.count(n) > 1})
            raise self._error("keypoints", f"names {twice} more than once")
        self._check_per_keypoint("sigmas", self.sigmas)
        if self.loss_weights:
            self._check_per_keypoint("loss_weights", self.loss_weights)
        self._check_names("upper_body", self.upper_body)
        for field in ("swaps", "links"):
            for pair in getattr(self, field):
                if len(pair) != 2 or pair[0] == pair[1]:
                    raise self._error(field, f"{pair!r} is not a pair of two different keypoints")
                self._check_names(field, pair)
        swapped = [n for pair in self.swaps for n in pair]
        if len(set(swapped)) != len(swapped):
            raise self._error("swaps", "names a keypoint in more than one pair")
        for field in ("head", "torso"):
            if len(getattr(self, field)) not in (0, 2):
                raise self._error(field, "must name exactly two keypoints, or none")
            self._check_names(field, getattr(self, field))

    def __len__(self) -> int:
        return len(self.keypoints)

    def to_plain(self) -> dict:
        """The fields as text, numbers and lists, for checkpoints and metadata."""
        return {field.name: _lists(getattr(self, field.name)) for field in fields(self)}

    @staticmethod
    def from_plain(values: dict) -> "Skeleton":
        """What `to_plain` gave; raises ConfigError for a wrong field, TypeError for an unknown one."""
        return Skeleton(**{name: _tuples(value) for name, value in values.items()})

    def index(self, name: str) -> int:
        """Position of a keypoint; raises ConfigError for a name the skeleton does not have."""
        self._check_names("keypoints", (name,))
        return self.keypoints.index(name)

    @property
    def flip_order(self) -> list[int]:
        """K indices: channel k of a mirrored image is channel `flip_order[k]` of the original."""
        partner = dict(self.swaps) | {b: a for a, b in self.swaps}
        return [self.keypoints.index(partner.get(n, n)) for n in self.keypoints]

    @property
    def link_indices(self) -> list[tuple[int, int]]:
        return [(self.keypoints.index(a), self.keypoints.index(b)) for a, b in self.links]

    @property
    def upper_body_mask(self) -> list[bool]:
        return [n in self.upper_body for n in self.keypoints]

    @property
    def keypoint_weights(self) -> list[float]:
        """K loss weights; 1 for each keypoint where the skeleton sets none."""
        return list(self.loss_weights) or [1.0] * len(self)

    def _check_per_keypoint(self, field: str, values: tuple[float, ...]) -> None:
        if len(values) != len(self):
            raise self._error(field, f"has {len(values)} values for {len(self)} keypoints")
        wrong = [v for v in values if not (isinstance(v, (int, float)) and 0 < v < float("inf"))]
        if wrong:
            raise self._error(field, f"must be positive numbers, found {wrong[0]!r}")

    def _check_names(self, field: str, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self.keypoints:
                raise self._error(field, f"{name!r} is not one of its keypoints {list(self.keypoints)}")

    def _error(self, field: str, problem: str) -> ConfigError:
        return ConfigError(f"skeleton {self.name!r}: {field}: {problem}")


def _lists(value):
    return list(map(_lists, value)) if isinstance(value, tuple) else value


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
