"""Pseudo-labels: what a teacher says about an unlabelled image, and how far it is trusted."""

from semipose.pseudo_labels.labeler import PSEUDO_TARGETS, PseudoLabeler, PseudoLabels

__all__ = ["PSEUDO_TARGETS", "PseudoLabeler", "PseudoLabels"]
