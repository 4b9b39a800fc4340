"""Human3.6M's cameras.pkl, as MMPose writes it, read without executing anything in it."""

import io
import pickle

import numpy as np

from semipose.errors import DataError

# what arrays of numpy are made of; anything else in a pickle may run code
_ALLOWED = {
    (module, name)
    for module, names in {
        "numpy": ("ndarray", "dtype"), "numpy.core.multiarray": ("_reconstruct", "scalar"),
        "numpy._core.multiarray": ("_reconstruct", "scalar"), "_codecs": ("encode",),
    }.items()
    for name in names
}  # fmt: skip


class _PlainUnpickler(pickle.Unpickler):
    """Containers, numbers, text and arrays only."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"holds {module}.{name}, which is not a plain value")
        return super().find_class(module, name)


def read_camera_pickle(content: bytes, where: str) -> dict:
    """{NAME: entry}; a key (S, camera) becomes `S.camera`, and R turns world into camera axes as in the other files: in
    MMPose's it is from camera to world. Raises DataError for anything but plain values."""
    try:
        rows = _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DataError(
            f"{where}: cannot be read as a pickle of plain values: {str(error).splitlines()[:1]}"
        ) from error
    if not isinstance(rows, dict):
        raise DataError(f"{where}: a dict of cameras expected, found {type(rows).__name__}")
    names = (".".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in rows)
    return {name: _from_world(row) for name, row in zip(names, rows.values())}


def _from_world(row: object) -> object:
    turned = isinstance(row, dict) and isinstance(row.get("R"), np.ndarray)
    return row | {"R": row["R"].T} if turned else row
