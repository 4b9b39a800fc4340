"""The heatmap loss, and the one function that makes a scalar of a loss."""

from torch import Tensor


def heatmap_mse(output: Tensor, target: Tensor) -> Tensor:
    """Half the mean squared difference over pixels: (B, K, h, w) twice -> (B, K). (Xiao et al., ECCV 2018.)"""
    return 0.5 * (output - target).square().mean(dim=(-2, -1))


def reduce_keypoints(loss: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of (B, K) losses over B*K: a scalar. A joint of weight 0 adds nothing; all ones is the mean."""
    return (loss * weights).sum() / loss.numel()
