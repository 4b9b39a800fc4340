"""Fixtures of the data tests."""

import pytest
from small_persons import draw_image, make_persons, people  # noqa: F401


@pytest.fixture
def count_reads(monkeypatch) -> list[str]:
    """The paths that are decoded from now on, in this process."""
    from semipose.data import context_crops

    read, calls = context_crops.read_image, []

    def counted(path: str, *arguments):
        calls.append(path)
        return read(path, *arguments)

    monkeypatch.setattr(context_crops, "read_image", counted)
    return calls
