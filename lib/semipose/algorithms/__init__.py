"""The algorithms, one file each. A new one is added to this table."""

from semipose.algorithms.algorithm import Algorithm
from semipose.algorithms.cotraining import CoTraining, SequentialCoTraining
from semipose.algorithms.mean_teacher import MeanTeacher
from semipose.algorithms.pose_cons import PoseCons
from semipose.algorithms.pose_dual import PoseDual
from semipose.algorithms.supervised import Supervised
from semipose.algorithms.train_2p import TwoPhase

ALGORITHMS: dict[str, type[Algorithm]] = {
    "supervised": Supervised,
    "pose_cons": PoseCons,
    "pose_dual": PoseDual,
    "mean_teacher": MeanTeacher,
    "cotrain": SequentialCoTraining,
    "cotrain1": CoTraining,
    "train_2p": TwoPhase,
}

__all__ = ["ALGORITHMS", "Algorithm"]
