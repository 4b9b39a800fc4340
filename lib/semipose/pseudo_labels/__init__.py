"""Pseudo-labels: what a teacher predicts on an unlabelled image, and how much it is trusted."""

from semipose.pseudo_labels.constraints import UNCONSTRAINED, Constraints
from semipose.pseudo_labels.difficulty import Difficulty, SplitReport, image_scores
from semipose.pseudo_labels.instance_labels import InstanceLabeler
from semipose.pseudo_labels.labeler import PSEUDO_TARGETS, Prediction, PseudoLabeler, PseudoLabels
from semipose.pseudo_labels.multiview import Multiview, fit_multiview
from semipose.pseudo_labels.peak_tracks import PeakTracks
from semipose.pseudo_labels.pose_space import PoseSpace, fit_pose_space
from semipose.pseudo_labels.teacher_record import TeacherRecord
from semipose.pseudo_labels.tracks import Tracks
from semipose.pseudo_labels.weights import REWEIGHTINGS, TeacherEvidence

__all__ = [
    "PSEUDO_TARGETS",
    "REWEIGHTINGS",
    "UNCONSTRAINED",
    "Constraints",
    "Difficulty",
    "InstanceLabeler",
    "Multiview",
    "PeakTracks",
    "PoseSpace",
    "Prediction",
    "PseudoLabeler",
    "PseudoLabels",
    "SplitReport",
    "TeacherEvidence",
    "TeacherRecord",
    "Tracks",
    "fit_multiview",
    "fit_pose_space",
    "image_scores",
]
