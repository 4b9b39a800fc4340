"""Group ids from a mapping file, and the factors of groups."""

import json

import numpy as np
import pytest
from refusals import refused

from semipose.data.group_ids import group_weights, load_group_mapping, with_group_ids
from semipose.errors import ConfigError
from semipose.structures import Persons


@pytest.fixture
def persons(make_persons) -> Persons:
    """Ids 1000 to 1004."""
    return make_persons([(f"{n}.png", (1, 2, 10, 20)) for n in range(5)])


def load(folder, content) -> dict[int, int]:
    path = folder / "groups.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_group_mapping(str(path))


def with_groups(persons: Persons, *groups: int) -> Persons:
    return with_group_ids(persons, dict(zip(persons.ids.tolist(), groups)))


def test_mapping_and_report_files_are_read(tmp_path):
    assert load(tmp_path, {"1000": 3, "-5": 0, str(2**63 - 1): 1}) == {1000: 3, -5: 0, 2**63 - 1: 1}
    assert load(tmp_path, {"mapping": {"7": 1}, "matched": [], "ambiguous": []}) == {7: 1}
    assert load(tmp_path, {}) == {}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ([1, 2], "list"), ("{", "JSON"), ({"nine": 1}, "'nine'"), ({"1.0": 1}, "'1.0'"), ({"\u0661": 1}, "u0661"),
        ({str(2**63): 1}, "'9223372036854775808'"), ({"9" * 5000: 1}, "999"), ({"1": 1, "01": 2}, "'01'"),
        *(({"1": group}, "annotation id 1") for group in ("2", -1, None, True, 2.0, 2**63)),
    ],
)  # fmt: skip
def test_wrong_mapping_files(tmp_path, content, word):
    refused(lambda: load(tmp_path, content), "groups.json: ", word)


def test_an_own_group_wins_over_the_mapping(persons):
    own = with_group_ids(persons, {1001: 5, 1003: 0})
    assert own.group_ids.tolist() == [-1, 5, -1, 0, -1] and own.group_ids.dtype == np.int64
    assert with_group_ids(own, {1000: 2, 1001: 9, 1003: 9, 77: 1}).group_ids.tolist() == [2, 5, -1, 0, -1]
    assert persons.group_ids.tolist() == [-1] * 5


def test_a_mapping_of_other_annotations_is_noticed(persons, caplog):
    with_group_ids(persons, {1000: 2, 4: 1})
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    with_group_ids(persons, {4: 1, 5: 1})
    assert "none of the 2 annotation ids in the mapping is one of these persons" in caplog.text


def test_factors_reach_their_group_only(persons):
    grouped = with_groups(persons, 1, 2, 1, 7)
    weighted = group_weights(grouped, {1: 2.0, 7: 0})
    assert weighted.weights.tolist() == [2, 1, 2, 0, 1] and weighted.weights.dtype == np.float32
    assert group_weights(weighted, {1: 0.5, 2: 3}).weights.tolist() == [1, 3, 1, 0, 1]
    assert grouped.weights.tolist() == [1] * 5


def test_all_ones_equal_unweighted_bit_for_bit(persons):
    grouped = with_groups(persons, 1, 2, 1, 7)
    for factors in ({}, {1: 1.0, 2: 1, 7: 1.0}):
        assert group_weights(grouped, factors).weights.tobytes() == persons.weights.tobytes()
    assert len(group_weights(persons.take([]), {1: 2.0})) == 0


def test_unknown_groups_are_named_with_the_known(persons, caplog):
    group_weights(with_groups(persons, 1, 2, 1), {1: 2.0})
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    group_weights(with_groups(persons, 1, 2, 1), {9: 2.0, 1: 2.0, 8: 1.0})
    assert "no person has group 8, 9; groups: 1 (2 persons), 2 (1 persons)" in caplog.text
    group_weights(persons, {9: 2.0})
    assert "no person has group 9; groups: none" in caplog.text


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf"), "2", None, True, 1e39, 10**400])
def test_wrong_factors(persons, factor):
    with pytest.raises(ConfigError, match="group_id_weight.*1.*0"):
        group_weights(persons, {1: factor})


@pytest.mark.parametrize("group", ["1", -1, 1.0, True, 2**63])
def test_wrong_groups(persons, group):
    with pytest.raises(ConfigError, match="group_id_weight.*0"):
        group_weights(persons, {group: 1.0})
