"""Lifters learn: labels by heart, and more from unlabelled tracks."""

import pytest
from run_folder import rows
from small_lift import finish, make_trainer

from semipose.lifting.figure_data import write_figures
from semipose.skeletons import get_skeleton

LEARNING = """LIFT.CHANNELS 64 LIFT.FRAMES 9 TRAIN.BATCH_SIZE 32 TRAIN.BATCH_SIZE_UNSUP 32 TRAIN.STEPS_PER_EPOCH 150
TRAIN.END_EPOCH 2 TRAIN.EVAL_INTERVAL 2 TRAIN.PRINT_FREQ 50 TRAIN.UNSUP_START 0.1 TRAIN.UNSUP_RAMP 0.2""".split()


@pytest.fixture(scope="module")
def learning_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("learning")
    write_figures(root, get_skeleton("h36m"), labeled=1, unlabeled=16, val=4, frames=80, seed=0)
    return root


def test_unlabelled_tracks_teach(learning_root, tmp_path):
    scores = {}
    for algorithm in ("supervised", "back_projection"):
        trainer = make_trainer(learning_root, tmp_path / algorithm, algorithm, pairs=LEARNING)
        scores[algorithm] = finish(trainer)
        poses = [row["loss_pose"] for row in rows(tmp_path / algorithm) if "loss_pose" in row]
        assert poses[-1] < 0.3 * poses[0]
    assert scores["back_projection"]["MPJPE"] < 0.85 * scores["supervised"]["MPJPE"]
    assert scores["back_projection"]["P-MPJPE"] < 0.85 * scores["supervised"]["P-MPJPE"]
