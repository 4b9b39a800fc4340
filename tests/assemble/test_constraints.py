"""Constraints on pseudo-labels from keys: what they are made of, and where they are refused."""

import logging
from types import SimpleNamespace

import pytest
import torch

from semipose.assemble import build_data, build_network
from semipose.assemble.constraints import build_constraints, build_label_constraints
from semipose.config import load_config
from semipose.errors import ConfigError, DataError

CFG = "experiments/demo/cotrain.yaml"


@pytest.fixture(scope="module")
def film(data_root, tmp_path_factory):
    from small_film import make_film

    return make_film(data_root, tmp_path_factory.mktemp("film") / "data")


@pytest.fixture
def config(tmp_path):
    def run(root, *pairs, algorithm="cotrain1"):
        flags = {"DATASET.ROOT": str(root), "ALGORITHM": algorithm, "GPUS": "cpu"}
        size = ["DATASET.TEST_SET", "val", "MODEL.IMAGE_SIZE", "[32,32]", "MODEL.HEATMAP_SIZE", "[0,0]"]
        return load_config(CFG, flags, [*size, "DATASET.CACHE_DIR", str(tmp_path / "cache"), *pairs])

    return run


def built(config):
    return build_constraints(config, build_data(config))


def test_off_by_default_and_without_a_pool(config, film):
    nothing = built(config(film))
    assert nothing.tracks is None and nothing.poses is None and not nothing.judges
    asked = config(film, "PSEUDO.TEMPORAL", "weight", "PSEUDO.PCA", "0.9", algorithm="supervised")
    assert not built(asked).judges


def test_tracks_of_a_film(config, film, caplog):
    with caplog.at_level(logging.INFO, "semipose.assemble.constraints"):
        tracks = built(config(film, "PSEUDO.TEMPORAL", "weight", "PSEUDO.TEMPORAL_TOLERANCE", "0.1")).tracks
    assert "12 of 14" in caplog.text
    boxes = build_data(config(film)).unlabeled.boxes
    torch.testing.assert_close(tracks.reach, 0.1 * torch.from_numpy(boxes[:, 2:].max(axis=1)))


def test_a_pool_of_loose_pictures_is_refused(config, data_root):
    with pytest.raises(DataError, match=r"PSEUDO.TEMPORAL.*14.*TEMPORAL_GAP"):
        built(config(data_root, "PSEUDO.TEMPORAL", "weight"))


def test_a_mixed_pool_leaves_loose_pictures_alone(config, film, data_root):
    folders = {"annotation": "annotations/person_keypoints_unlabeled.json", "images": "images/unlabeled"}
    pool = [{key: f"{root}/{path}" for key, path in folders.items()} for root in (film, data_root)]
    pool = [{"name": name, **places} for name, places in zip(("film", "loose"), pool)]
    asked = config(film, "PSEUDO.TEMPORAL", "weight", "DATASET.TRAIN_UNSUP_SET", pool)
    neighbours = built(asked).tracks.neighbours
    assert len(neighbours) == 28 and (neighbours[:14] >= 0).all(1).sum() == 12 and neighbours[14:].max() == -1


def test_peaks_need_a_codec_with_maps(config, film):
    peaks = ["PSEUDO.TEMPORAL", "track", "PSEUDO.MIN_SCORE", "0"]
    (video,) = built(config(film, *peaks)).peak_tracks.videos
    assert video.tolist() == list(range(14))
    with pytest.raises(ConfigError, match="PSEUDO.TEMPORAL track.*simcc.*gaussian"):
        build_network(config(film, *peaks, "MODEL.CODEC", "simcc"))
    build_network(config(film, "PSEUDO.TEMPORAL", "weight", "MODEL.CODEC", "simcc"))


@pytest.mark.parametrize(("key", "value"), [("PSEUDO.TEMPORAL", "weight"), ("PSEUDO.PCA", "0.9")])
def test_whole_pictures_are_refused(config, film, key, value):
    data = SimpleNamespace(labeled=None, unlabeled=[])
    with pytest.raises(ConfigError, match=rf"{key}.*dekr"):
        build_constraints(config(film, key, value, "MODEL.CODEC", "dekr"), data)


def test_the_space_of_labelled_poses(config, film):
    asked = config(film, "PSEUDO.PCA", "0.9")
    for found in (built(asked), build_label_constraints(asked)):
        assert found.poses.basis.shape[0] == 34 and 4 <= found.poses.basis.shape[1] <= 7 and found.tracks is None
    assert not build_label_constraints(config(film, "PSEUDO.TEMPORAL", "weight")).judges
    with pytest.raises(DataError, match="PSEUDO.PCA: 3"):
        built(config(film, "PSEUDO.PCA", "0.9", "DATASET.TRAIN_LEN", "3"))
