"""Metrics as text."""

from semipose.evaluation import format_groups, format_rows


def test_one_result():
    text = format_rows("mpii", {"": {"Head": 0.9621, "PCKh@0.1": 0.3, "EPE": 3.14159, "Wrist": -1, "NME": 0.05}})
    assert text.splitlines() == [
        "mpii (in %)",
        "Head  PCKh@0.1      EPE  Wrist  NME",
        "96.2      30.0  3.14 px      -  5.0",
    ]


def test_several_rows_and_missing_metrics():
    rows = {"student": {"AP": 1.0, "AP50": float("nan")}, "ensemble": {"AP": 0.0004, "EPE_a": 12.0}}
    assert format_rows("coco", rows).splitlines() == [
        "coco (in %)",
        "             AP  AP50     EPE_a",
        "student   100.0   nan         -",
        "ensemble    0.0     -  12.00 px",
    ]


def test_groups():
    assert format_groups("AP per group", {-1: {"AP": 0.5}, 12: {"AP": 0.25}}).splitlines() == [
        "AP per group (in %)",
        "            AP",
        "no group  50.0",
        "group 12  25.0",
    ]


def test_nothing():
    assert format_rows("empty", {}) == "empty\n"
