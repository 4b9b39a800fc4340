"""A folder of labelme files that a network filled in and a person went through."""

from semipose.data.formats.corrected_labelme import is_corrected
from semipose.data.formats.json_rows import load_json
from semipose.data.formats.labelme import json_files
from semipose.errors import DataError


def count_corrected(folder: str) -> tuple[int, int]:
    """The number of corrected labelme files in a folder and below it, and of untouched ones.

    Raises:
        DataError: it has no labelme file, or none is corrected.
    """
    documents = [load_json(file) for file in json_files(folder)]
    found = [is_corrected(each) for each in documents if isinstance(each, dict) and "shapes" in each]
    if not found:
        raise DataError(f"{folder}: has no labelme file (*.json) in it or below it")
    if not any(found):
        advice = "move a point in labelme and save, or switch off the flag semipose_predicted where all is right"
        raise DataError(f"{folder}: none of its {len(found)} files is corrected yet; {advice}")
    return sum(found), len(found) - sum(found)
