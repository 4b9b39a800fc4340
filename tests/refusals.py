"""What every refusal has to be: one printable line that names the file, the key or the value."""

import pytest

from semipose.errors import SemiposeError


def refused(call, *words: str) -> str:
    """The message of the error that `call` raises; it is one line and has each of the words."""
    with pytest.raises(SemiposeError) as error:
        call()
    message = str(error.value)
    message.encode()
    assert "\n" not in message and len(message) < 1000
    assert all(word in message for word in words), message
    return message
