"""The demo's people with a film as the pool."""

import shutil
from pathlib import Path

import cv2
import numpy as np


def make_film(data_root: Path, root: Path) -> Path:
    """A copy of the drawn people; the unlabelled pictures become frames of one person who moves by a pixel each."""
    shutil.copytree(data_root, root)
    paths = sorted((root / "images/unlabeled").iterdir())
    first = cv2.imread(str(paths[0]))
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.roll(first, number, axis=1))
    return root
