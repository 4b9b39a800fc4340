"""The search for wrong rows, and lines of a report."""

import logging

import pytest

from semipose.errors import DataError
from semipose.prepare.findings import Finding, find_faults, note, reader_messages


@pytest.mark.parametrize("wrong", [[], [0], [4096], [0, 1, 2, 4096], [1023, 1024, 1025], list(range(0, 4097, 97))])
def test_every_wrong_item_is_found_with_few_reads(wrong):
    read_items = []

    def read(items):
        read_items.append(len(items))
        for item in items:
            if item in set(wrong):
                raise DataError(f"item {item}")

    assert find_faults(range(4097), read) == [(item, f"item {item}") for item in wrong]
    assert sum(read_items) <= 4097 + 4 * 1024 * max(1, len(wrong))


def test_nothing_to_search():
    assert find_faults([], lambda items: pytest.fail("read")) == []


def test_what_readers_log_is_collected_and_not_shown(caplog):
    logger = logging.getLogger("semipose.data.formats.some")
    with reader_messages() as lines:
        logger.warning("odd: %d", 3)
        logger.info("not asked for")
    logger.warning("shown again")
    assert lines == [(logging.WARNING, "odd: 3")] and caplog.messages == ["shown again"]


def test_a_note_shows_the_first_ids():
    assert note("f", "odd", []) == []
    assert note("f", "odd", [3, 4]) == [Finding("f: odd: 2 (ids 3, 4)", False, (3, 4))]
    assert note("f", "odd", range(7))[0].text == "f: odd: 7 (ids 0, 1, 2, 3, 4, ...)"
