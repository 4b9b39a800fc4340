"""The smallest and largest value of every number, by the last part of its key. Lists: of each item."""

from math import inf

LIMITS = {
    "SEED": (0, 2**32 - 1), "WORKERS": (0, inf), "EMA_DECAY": (0, 1),
    "TRAIN_LEN": (0, inf), "CROP_MARGIN": (1, inf), "BOX_PADDING": (0.1, inf), "MAX_BAD": (0, inf),
    "IMAGE_SIZE": (1, inf), "HEATMAP_SIZE": (1, inf), "SIGMA": (0.1, inf),
    "BATCH_SIZE": (1, inf), "BATCH_SIZE_UNSUP": (1, inf), "END_EPOCH": (1, inf), "STEPS_PER_EPOCH": (0, inf),
    "LR": (0, inf), "WD": (0, inf), "MOMENTUM": (0, 1), "CLIP_NORM": (0, inf), "LR_STEP": (0, inf),
    "ACCUMULATE": (1, inf), "MAX_NONFINITE": (0, inf),
    "LR_FACTOR": (0, inf), "LR_END": (0, inf), "WARMUP_STEPS": (0, inf), "UNSUP_START": (0, 1), "UNSUP_RAMP": (0, 1),
    "EVAL_INTERVAL": (1, inf), "INTERVAL_STEPS": (0, inf), "KEEP": (1, 100), "PATIENCE": (0, inf),
    "PRINT_FREQ": (1, inf), "LOSS_POSE": (0, inf), "LOSS_CONS": (0, inf),
    "MIN_SCORE": (0, inf),
    "ROTATION": (0, 180), "ROTATION_PROB": (0, 1), "SCALE": (0, inf), "SCALE_CLIP": (0, 0.95), "FLIP": (0, 1),
    "HALF_BODY": (0, 1), "COLOR": (0, 1), "RAND_AUGMENT": (0, inf), "MAGNITUDE": (0, 1),
    "JOINTS": (0, inf), "HALF_SIZE": (0, inf), "JITTER": (0, inf),
    "WARM_EPOCH": (0, inf), "LOSS_MIX": (0, inf), "LOSS_WORST": (0, inf), "AGREEMENT_SIGMA": (0.01, inf),
    "MULTIVIEW_TOLERANCE": (1e-4, 1),
    "OPERATIONS": (0, inf), "MASK_JOINTS": (0, inf), "COUNT": (0, inf), "AREA": (0, 1), "LAMBDA": (0, 1),
    "BETA": (0, inf), "ETA": (0, inf), "LAMBDA_LOW": (0, inf), "LAMBDA_HIGH": (0, inf), "ALPHA": (0, inf),
    "STEPS": (1, inf),
    "start": (0, inf), "length": (0, inf), "sample_ratio_factor": (1e-6, inf), "source_ratio": (0, inf),
    "box_threshold": (0, inf), "every": (1, inf),
    "BBOX_THRESHOLD": (0, inf), "OKS_THRESHOLD": (0, 1), "PCK_THRESHOLD": (0, inf), "PIXELS": (0, inf),
}  # fmt: skip


def describe(limits: tuple[float, float]) -> str:
    """The range in words."""
    low, high = limits
    return f"at least {low}" if high == inf else f"from {low} to {high}"
