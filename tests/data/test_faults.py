"""Unreadable images: each is named once, and too many end the run."""

import logging

import pytest

from semipose.data.faults import FaultLog
from semipose.errors import DataError


def test_each_line_is_logged_once(caplog):
    log = FaultLog(2)
    with caplog.at_level(logging.WARNING):
        log(())
        log(("a.jpg: is empty",))
        log(("a.jpg: is empty", "b.jpg: is empty"))
        log(("b.jpg: is empty", "b.jpg: is empty", "a.jpg: is empty"))
    assert [record.getMessage() for record in caplog.records] == [
        "skipped: a.jpg: is empty",
        "skipped: b.jpg: is empty",
    ]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_one_more_than_the_limit_ends_the_run(limit):
    log = FaultLog(limit)
    log(tuple(f"{i}.jpg: is empty" for i in range(limit)))
    with pytest.raises(DataError) as error:
        log(("last.jpg: is empty",))
    message = str(error.value)
    assert (
        "last.jpg: is empty" in message
        and f"DATASET.MAX_BAD is {limit}" in message
        and f"image {limit + 1}," in message
    )
    assert len(message.splitlines()) == 1


def test_too_many_at_once():
    with pytest.raises(DataError, match=r"3.*DATASET.MAX_BAD.*2"):
        FaultLog(2)(("a: x", "b: x", "c: x", "d: x"))
