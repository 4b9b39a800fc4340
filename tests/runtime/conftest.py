import pytest
from forked_ranks import forked_ranks


@pytest.fixture(scope="session")
def forked():
    with forked_ranks() as runs:
        yield runs
