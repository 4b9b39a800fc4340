"""The experiments on the mirror mouse: comparable, never mirrored, and readable from converted data."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from semipose import assemble
from semipose.assemble.constraints import build_multiview
from semipose.config import load_config
from semipose.data.formats.image_list import whole_frames
from semipose.errors import ConfigError, DataError
from semipose.skeletons import get_skeleton

FOLDER = Path(__file__).resolve().parent.parent / "experiments/mouse"
METHODS = ("supervised", "mean_teacher", "cotrain")


def config(name: str):
    return load_config(FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("name", METHODS)
def test_no_view_is_mirrored(name):
    """Each view of the animal has its fixed side of the frame, and the skeleton has no swaps."""
    policies = assemble.build_policies(config(name))
    assert policies.labeled.flip == policies.easy.flip == policies.hard.flip == 0
    assert not config(name).TEST.FLIP_TEST


def labelled_frames(count: int):
    """Frames of 400x400 pixels in which each part has the same x in both views, 6 pixels more in the mirror."""
    names, rng = get_skeleton("mirror_mouse").keypoints, np.random.default_rng(0)
    persons = whole_frames(np.array(["a.png"] * count), np.arange(count), np.full((count, 2), 400), len(names))
    keypoints = np.concatenate([rng.uniform(20, 380, (count, 17, 2)), np.ones((count, 17, 1))], axis=-1)
    for number, name in enumerate(names):
        if name.endswith("_top") and name != "obs_top":
            keypoints[:, names.index(name.replace("_top", "_bot")), 0] = keypoints[:, number, 0] + 6
    return replace(persons, keypoints=keypoints.astype(np.float32))


def test_pseudo_labels_of_both_views_must_fit():
    """In pixels of the context crop: 128 pixels for the frame, 16 more on each side."""
    persons = labelled_frames(8)
    multiview = build_multiview(config("cotrain"), SimpleNamespace(labeled=persons, unlabeled=persons))
    assert len(multiview.pairs) == 7
    normal = np.array(multiview.normal) / multiview.normal[0]
    np.testing.assert_allclose(normal, [1, 0, -1, 0], atol=1e-4)
    assert multiview.offset / multiview.normal[0] == pytest.approx(-6 * 128 / 400, abs=1e-2)
    assert multiview.sigma == pytest.approx(0.03 * 160)


def test_pairs_are_asked_for_and_can_be_wrong():
    persons = labelled_frames(1).take([0])
    data = SimpleNamespace(labeled=replace(persons, keypoints=persons.keypoints * 0), unlabeled=persons)
    with pytest.raises(DataError, match="PSEUDO.MULTIVIEW_PAIRS: 0"):
        build_multiview(config("cotrain"), data)
    wrong = config("cotrain").clone()
    wrong.defrost()
    for pair in (["paw1LH_top", "paw"], ["nose_top"], ["nose_top", "nose_top"]):
        wrong.PSEUDO.MULTIVIEW_PAIRS = [pair]
        with pytest.raises(ConfigError, match="MULTIVIEW_PAIRS.*paw1LH_top"):
            build_multiview(wrong, data)
    wrong.PSEUDO.MULTIVIEW_PAIRS = [[]]
    assert build_multiview(wrong, data) is None
