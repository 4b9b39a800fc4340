"""What one teacher has said about the unlabelled images so far, and what that tells about their difficulty."""

import torch
from torch import Tensor, nn

from semipose.pseudo_labels.difficulty import Difficulty, SplitReport, image_scores
from semipose.pseudo_labels.score_bank import ScoreBank


class TeacherRecord(nn.Module):
    """The newest predictions of a teacher and the easy/hard split fitted to them once an epoch.

    It belongs to the training, not to the networks: algorithms keep it outside their own state, so that `best.pth`
    stays small and several processes can each fill their own.

    Args:
        size: unlabelled persons.
        joints: keypoints of the skeleton.
    """

    def __init__(self, size: int, joints: int):
        super().__init__()
        self.bank = ScoreBank(size, joints)
        self.difficulty = Difficulty(joints)

    @torch.no_grad()
    def easy(self, peaks: Tensor) -> Tensor | None:
        """(B,) bool, which images with heatmap maxima (B, K) are easy; None while there is no split."""
        return self.difficulty.p_easy(image_scores(peaks)) > 0.5 if self.difficulty.ready else None

    def refit(self) -> SplitReport:
        """Fit the split to all images seen so far, by any process."""
        self.bank.gather()
        return self.difficulty.refit(self.bank.peaks[self.bank.seen()])
