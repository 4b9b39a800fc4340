"""Lines of a report."""

import logging

from semipose.prepare.findings import Finding, note, reader_messages


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
