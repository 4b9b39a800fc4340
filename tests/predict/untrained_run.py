"""A run folder whose networks were never trained, but say something different about different pictures."""

from pathlib import Path

import numpy as np
import torch

from semipose import assemble
from semipose.config import load_config, to_yaml
from semipose.engine.checkpoint import save_atomic

ROOT = Path(__file__).resolve().parents[2]
CFG = str(ROOT / "experiments/demo/cotrain.yaml")
SMALL = "MODEL.IMAGE_SIZE [32,48] MODEL.HEATMAP_SIZE [8,12] GPUS cpu WORKERS 0 DATASET.CACHE none".split()


def write_run(folder: Path, *pairs: str, name: str = "best.pth") -> Path:
    """`folder` with a checkpoint."""
    config = load_config(CFG, {}, [*SMALL, *pairs])
    algorithm = assemble.build_algorithm(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in algorithm.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    save_atomic({"config": to_yaml(config), "algorithm": algorithm.state_dict()}, folder / name)
    return folder


def picture(seed: int, size: tuple[int, int] = (80, 60)) -> np.ndarray:
    """(H, W, 3) uint8 of (width, height), like no other."""
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
