"""The teachers of a checkpoint, with the easy/hard split of each."""

from yacs.config import CfgNode

from semipose.algorithms import Algorithm
from semipose.algorithms.algorithm import load_networks
from semipose.algorithms.step import Teacher
from semipose.assemble.networks import build_algorithm
from semipose.errors import ModelError
from semipose.pseudo_labels import UNCONSTRAINED, Constraints

_SPLIT = "difficulty."  # start of the keys of a record's split


def load_teachers(
    config: CfgNode, state: dict, source: str, unlabeled_size: int, constraints: Constraints = UNCONSTRAINED
) -> tuple[Algorithm, dict[str, Teacher]]:
    """The algorithm of a checkpoint, and its teachers by the names of the networks that they stand for.

    Args:
        unlabeled_size: rows that the teachers will be asked about.
        constraints: see `build_label_constraints`.

    Raises:
        ModelError: the algorithm has no teachers, or the checkpoint does not fit.
    """
    algorithm = build_algorithm(config, unlabeled_size=unlabeled_size, pretrained=False, constraints=constraints)
    load_networks(algorithm, state, source)
    if not algorithm.records:
        raise ModelError(f"{source}: ALGORITHM is {config.ALGORITHM!r}, which has no teachers")
    _load_splits(algorithm.records, state, source)
    networks = algorithm.predictors()
    # the EMA of a network teaches in its place, where there is one
    return algorithm, {n: Teacher(networks.get(f"ema_{n}", networks.get(n)), r) for n, r in algorithm.records.items()}


def _load_splits(records: dict, state: dict, source: str) -> None:
    """The split of each teacher from last.pth; best.pth has none. Predictions of the run are not needed."""
    if "records" not in state:
        return
    try:
        for name, record in records.items():
            saved = state["records"][name].items()
            own = {key.removeprefix(_SPLIT): value for key, value in saved if key.startswith(_SPLIT)}
            record.difficulty.load_state_dict(own)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(f"{source}: no easy/hard split to load: {' '.join(str(error).split())[:200]}") from error
