"""Where DeepLabCut and lightning-pose keep labels: CSV files in a project, and the images that they name."""

import logging
import os
import re
from fnmatch import fnmatch

from semipose.data.archives import image_exists, join_images, name_fault
from semipose.errors import DataError

_log = logging.getLogger(__name__)
_LABELS, _BINARY = "CollectedData*.csv", "CollectedData*.h5"
_OTHER_DAYS = "CollectedData*_new.csv"  # lightning-pose keeps frames to test on apart
_FOLDER = "labeled-data"
_PROJECT = re.compile(r"^(?:bodyparts|multianimalbodyparts|multianimalproject|video_sets|project_path)\s*:", re.M)
_SCORER = re.compile(r"""^scorer\s*:\s*["']?(.*?)["']?\s*$""", re.M)
_PROBES = 20  # file names to look for, so that one missing image does not hide the right folder


def is_project_file(path: str) -> bool:
    """Whether a YAML file is the configuration of a DeepLabCut project."""
    return bool(_PROJECT.search(_text(path)))


def csv_files(annotation: str) -> list[str]:
    """The CSV files that an annotation stands for, sorted; [] for a folder that has none.

    Args:
        annotation: a CSV file; the `.h5` that DeepLabCut writes beside one; a folder of them, such as a project or its
            `labeled-data`; or the `config.yaml` of a project, whose scorer's files are taken.

    Raises:
        DataError: there is no CSV beside an `.h5`, or none in the project of a `config.yaml`.
    """
    stem, ending = os.path.splitext(annotation)
    if os.path.isdir(annotation):
        config = os.path.join(annotation, "config.yaml")
        return _files_below(annotation, _scorer(config) if os.path.isfile(config) else "")
    if ending.lower() in (".h5", ".hdf5"):
        if not os.path.isfile(stem + ".csv"):
            raise DataError(
                f"{annotation}: is read from the {os.path.basename(stem)}.csv beside it, which is not there"
            )
        _log.info("%s: its labels are read from the csv of the same name beside it", annotation)
        return [stem + ".csv"]
    if ending.lower() in (".yaml", ".yml"):
        found = _files_below(os.path.dirname(annotation) or ".", _scorer(annotation))
        if not found:
            raise DataError(f"{annotation}: its project has no {_LABELS} in {_FOLDER} (the labels of DeepLabCut)")
        return found
    return [annotation]


def image_folder(csv_file: str, names: list[str], root: str) -> str:
    """The folder that file names of a CSV refer to: its own folder, one of the two above it, or the data set's root.

    In `labeled-data/VIDEO/CollectedData_me.csv` of DeepLabCut they begin at the project. The first folder that has one
    of the first images is taken; raises DataError that lists them if there is none.
    """
    own = os.path.dirname(csv_file) or "."
    places = [own, os.path.join(own, ".."), os.path.join(own, "..", ".."), root]
    places = list(dict.fromkeys(os.path.normpath(place) for place in places if place))
    names = [name for name in names[:_PROBES] if not name_fault(name)]
    for place in places:
        if any(map(image_exists, join_images(place, names))):
            return place
    if not names:
        return own  # whose reader refuses each of them
    raise DataError(f"{csv_file}: image {names[0]!a} is in none of the folders tried: {', '.join(places)}")


def unread_files(annotation: str, files: list[str]) -> list[str]:
    """Label files in a folder or project that `csv_files` passes over, sorted: those of other scorers, lightning-pose's
    `_new`, and each `.h5` without its csv.

    Args:
        annotation, files: what `csv_files` takes and gives.
    """
    folder = annotation if os.path.isdir(annotation) else os.path.dirname(annotation) or "."
    if annotation in files or annotation.lower().endswith((".h5", ".hdf5")):
        return []
    stems = {os.path.splitext(file)[0] for file in files}
    names = [(place, name) for place in _places(folder) for name in os.listdir(place)]
    found = [os.path.join(place, name) for place, name in names if fnmatch(name, _LABELS) or fnmatch(name, _BINARY)]
    return sorted(file for file in found if os.path.splitext(file)[0] not in stems)


def _files_below(folder: str, scorer: str) -> list[str]:
    """Those of `_places`; of the scorer if it has any."""
    found = [file for place in _places(folder) for file in _labels_in(place)]
    own = [file for file in found if os.path.basename(file) == f"CollectedData_{scorer}.csv"]
    return sorted(own or found)


def _places(folder: str) -> list[str]:
    """The folder itself if it has labels, else all folders below its labeled-data, or below it."""
    if _labels_in(folder):
        return [folder]
    labels, found = os.path.join(folder, _FOLDER), []
    for parent, folders, _ in os.walk(labels if os.path.isdir(labels) else folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.append(parent)
    return found


def _labels_in(folder: str) -> list[str]:
    names = [name for name in os.listdir(folder) if fnmatch(name, _LABELS) and not fnmatch(name, _OTHER_DAYS)]
    return [os.path.join(folder, name) for name in names]


def _scorer(path: str) -> str:
    found = _SCORER.search(_text(path))
    return found[1] if found else ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(2**20)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
