"""Group ids of persons, and the factor of each group in the supervised loss."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from semipose.data.formats.json_rows import load_json
from semipose.errors import ConfigError, DataError
from semipose.structures import Persons

_log = logging.getLogger(__name__)
NO_GROUP = -1
_LIMIT = 2**63
_LARGEST = float(np.finfo(np.float32).max)
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)


def load_group_mapping(file: str) -> dict[int, int]:
    """{annotation id: group id} from a JSON object, as `semipose groups` writes it.

    The tool's report has it under `mapping` and can be given too.

    Raises:
        DataError: naming the file, the annotation id and the reason.
    """
    document = load_json(file)
    if isinstance(document, dict) and isinstance(document.get("mapping"), dict):
        document = document["mapping"]
    if not isinstance(document, dict):
        raise DataError(f"{file}: must be a JSON object {{annotation id: group id}}, found a {type(document).__name__}")
    mapping = {}
    for key, group in document.items():
        number = int(key) if _WHOLE.fullmatch(key) else _LIMIT
        if not -_LIMIT <= number < _LIMIT or number in mapping:
            problem = "is there twice" if number in mapping else "is not an annotation id"
            raise DataError(f"{file}: {key[:40]!a} {problem}; {{annotation id: group id}} expected")
        if type(group) is not int or not 0 <= group < _LIMIT:
            raise DataError(f"{file}: annotation id {number}: group id must be a whole number, 0 or more")
        mapping[number] = group
    return mapping


def with_group_ids(persons: Persons, mapping: Mapping[int, int]) -> Persons:
    """The persons with the groups of `mapping` {annotation id: group id}; a person who has a group keeps it."""
    mapped = np.array([mapping.get(number, NO_GROUP) for number in persons.ids.tolist()], np.int64)
    if mapping and len(persons) and (mapped == NO_GROUP).all():
        _log.warning("group ids: none of the %d annotation ids in the mapping is one of these persons", len(mapping))
    return replace(persons, group_ids=np.where(persons.group_ids == NO_GROUP, mapped, persons.group_ids))


def group_weights(persons: Persons, factors: Mapping[int, float]) -> Persons:
    """The persons with `weights` times the factor of their group; 1 for other groups and for persons without one.

    Args:
        factors: {group id: factor}; 0 takes a group out of the loss.

    Raises:
        ConfigError: a group or factor is not allowed.
    """
    for group, factor in factors.items():
        _check_factor(group, factor)
    groups, inverse, counts = np.unique(persons.group_ids, return_inverse=True, return_counts=True)
    unknown = sorted(set(factors) - set(groups.tolist()))
    if unknown:
        known = ", ".join(f"{g} ({n} persons)" for g, n in zip(groups.tolist(), counts.tolist()) if g != NO_GROUP)
        _log.warning("group_id_weight: no person has group %s; groups: %s", str(unknown)[1:-1], known or "none")
    per_group = np.array([factors.get(group, 1.0) for group in groups.tolist()], np.float32)
    return replace(persons, weights=persons.weights * per_group[inverse])


def _check_factor(group: object, factor: object) -> None:
    if type(group) is not int or not 0 <= group < _LIMIT:
        raise ConfigError(f"group_id_weight: group {group!r} is not allowed; a whole number, 0 or more, expected")
    if type(factor) not in (int, float) or not 0 <= factor <= _LARGEST:
        raise ConfigError(f"group_id_weight: group {group}: {factor!r} is not allowed; a finite factor >= 0 expected")
