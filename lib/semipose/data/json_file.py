"""Write a JSON file completely or not at all."""

import json
import os
from contextlib import suppress


def write_json(path: str, content: dict) -> None:
    """Write it under another name first, so that there is never half a file. Raises OSError."""
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(content))  # json.dump takes three times as long
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise
