"""MATLAB 5 files."""

import logging

from semipose.errors import DataError

_log = logging.getLogger(__name__)


def load_mat(path: str, *names: str) -> dict:
    """The variables of a MATLAB 5 file that have these names. Structs are objects with attributes; dimensions of 1 are
    dropped.

    Only data is read, no code can run. An uncompressed file has no checksum; SciPy may crash on one that is damaged,
    so the log names the file first.

    Raises:
        DataError: naming the file and the reason; also if it has none of the variables.
    """
    from scipy.io import loadmat

    _log.info("reading %s", path)
    try:
        with open(path, "rb") as file:
            found = loadmat(file, variable_names=list(names), struct_as_record=False, squeeze_me=True)
    except Exception as error:  # SciPy raises errors of a dozen kinds for a damaged file
        reason = getattr(error, "strerror", None)
        if reason:
            raise DataError(f"{path}: cannot be read: {reason}") from error
        raise DataError(f"{path}: is not a MATLAB 5 file: {' '.join(str(error).split())}") from error
    found = {name: found[name] for name in names if name in found}
    if not found:
        raise DataError(f"{path}: has no variable {' or '.join(map(repr, names))}")
    return found
