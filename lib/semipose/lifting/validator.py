"""Validation of lifters: every predictor and the ensemble over each validation set."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor, nn

from semipose.lifting.codec import LiftCodec
from semipose.lifting.loaders import EvaluationBatches
from semipose.lifting.metrics import score_actions, score_poses
from semipose.lifting.motion import LiftBatch, Windows
from semipose.runtime.ranks import by_first, gather, rank, ranks

EACH = ("MPJPE", "P-MPJPE")  # metrics that are given for each predictor
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class LiftSet:
    """Windows to be scored, and their batches (the number and a `LiftBatch`, or None)."""

    windows: Windows
    loader: Iterable


def make_set(windows: Windows, batch_size: int) -> LiftSet:
    """A set of which this rank takes its part."""
    return LiftSet(windows, EvaluationBatches(windows, batch_size, rank(), ranks()))


@dataclass(frozen=True)
class LiftValidator:
    """Scores lifters on one or more sets. With several ranks each predicts a part, and the first one scores.

    Attributes:
        sets: by name; the first set gives the main metrics.
        flip_test: average with the mirrored window.
        poll: called before each batch; may raise to stop.
    """

    sets: dict[str, LiftSet]
    codec: LiftCodec
    flip_test: bool = False
    poll: Callable[[], None] = lambda: None

    def __call__(self, predictors: dict[str, nn.Module], main: tuple[str, ...]) -> dict[str, float]:
        """`MPJPE_<name>` for each predictor and the ensemble, and all metrics of the main result on the first set; of
        several sets also `<set>/MPJPE` and so on."""
        metrics, results = {}, {}
        for name, entry in self.sets.items():
            rows = self.score_each(entry, predictors, main)
            results[name] = rows[list(rows)[-1]]
            if not metrics:
                metrics = {f"{key}_{who}": row[key] for who, row in rows.items() for key in EACH} | results[name]
        if len(self.sets) > 1:
            metrics |= {f"{name}/{key}": value for name, found in results.items() for key, value in found.items()}
        return metrics

    def score_each(
        self, entry: LiftSet, predictors: dict[str, nn.Module], main: tuple[str, ...]
    ) -> dict[str, dict[str, float]]:
        """All metrics of each predictor on a set; the main result comes last."""
        found = self.predict(entry, predictors, main)
        result = main[0] if len(main) == 1 else ENSEMBLE
        order = [who for who in predictors if who != result] + [result]
        return by_first(lambda: {who: self._metrics(entry, found[who]) for who in order})

    def predict(self, entry: LiftSet, predictors: dict[str, nn.Module], main: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Poses (W, K, 3) around their root, metres, of each predictor and of the ensemble of the `main` ones."""
        device = next(next(iter(predictors.values())).parameters()).device
        parts: dict[str, list[tuple[int, np.ndarray]]] = {who: [] for who in predictors}
        for number, batch in entry.loader:
            self.poll()
            if batch is None:
                continue
            for who, network in predictors.items():
                poses = lift_batch(network, self.codec, batch.to(device), self.flip_test)
                parts[who].append((number, poses.cpu().numpy()))
        joined = {who: sorted(sum(gather(own), []), key=itemgetter(0)) for who, own in parts.items()}
        found = {who: np.concatenate([poses for _, poses in own]) for who, own in joined.items()}
        return found | {ENSEMBLE: np.mean([found[member] for member in main], 0)}

    def _metrics(self, entry: LiftSet, found: np.ndarray) -> dict[str, float]:
        motion, targets = entry.windows.motion, entry.windows.targets
        poses, weights = torch.from_numpy(motion.poses[targets]), torch.from_numpy(motion.weights[targets])
        wanted = self.codec.relative(poses).numpy()
        labelled = (weights * self.codec.root_weight(weights).unsqueeze(-1) > 0).numpy()
        actions = np.array([motion.recordings[number].kind for number in motion.sequence[targets]])
        return score_poses(found, wanted, labelled) | score_actions(found, wanted, labelled, actions)


@torch.no_grad()
def lift_batch(network: nn.Module, codec: LiftCodec, batch: LiftBatch, flip_test: bool = False) -> Tensor:
    """Poses (B, K, 3) around their root, in eval mode; with `flip_test` the mean with those of the mirrored windows."""
    training = network.training
    network.eval()
    poses = network(codec.encode_input(batch)).poses
    if flip_test:
        every = torch.ones(len(batch), dtype=torch.bool, device=poses.device)
        mirror = codec.flip_poses(network(codec.encode_input(codec.flip(batch, every))).poses)
        poses = (poses + mirror) / 2
    network.train(training)
    return poses
