import logging

import pytest


@pytest.fixture(autouse=True)
def no_log_handlers_are_left():
    """A run that ends by an error here has nobody to finish its tracker."""
    yield
    for handler in list(logging.getLogger("semipose").handlers):
        logging.getLogger("semipose").removeHandler(handler)
        handler.close()
