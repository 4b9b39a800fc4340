"""RT-DETR (Zhao et al., CVPR 2024) as detector: pure torch, no suppression of boxes needed, Apache-2.0.

It knows the 80 classes of COCO: person, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe and others.
"""

import difflib
import logging
import os

import numpy as np
import torch
import torch.nn.functional as F

from semipose.errors import ConfigError, ModelError
from semipose.models.torchvision_import import import_torchvision

MODEL = "PekingU/rtdetr_r18vd"  # 20 M parameters
SIDE = 640  # pixels each way, as it was trained
MOST = 300  # boxes in a picture
_KINDS = ("rt_detr", "rt_detr_v2", "d_fine")  # one way of input and output


class RtDetr:
    """picture (H, W, 3) uint8 RGB -> boxes (N, 4) x, y, width, height in pixels, and their scores (N,).

    Args:
        category: name of a class, such as "person" or "dog".
        model: name on huggingface.co, or a folder with config.json and model.safetensors.
        least: smallest score of a box.
        device: where it runs.
        side: width and height that pictures are scaled to.

    Raises:
        ConfigError: `transformers` is not installed, the model is of another kind or has no such class.
        ModelError: its weights cannot be had.
    """

    def __init__(
        self, category: str, model: str = MODEL, least: float = 0.3, device: torch.device | str = "cpu",
        side: int = SIDE,
    ):  # fmt: skip
        self.least, self.side, self.device = least, side, torch.device(device)
        self.network = _load(model).to(self.device).eval()
        names = {name.lower(): int(number) for number, name in self.network.config.id2label.items()}
        if category.lower() not in names:
            close = difflib.get_close_matches(category.lower(), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(names)}"
            raise ConfigError(f"detector {model}: no class {category!r}; {hint}")
        self.category = names[category.lower()]

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and scores, best first."""
        pixels = torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None].float() / 255
        size = (self.side, self.side)
        output = self.network(F.interpolate(pixels, size, mode="bilinear", antialias=True, align_corners=False))
        scores, order = output.logits[0, :, self.category].sigmoid().topk(min(MOST, output.logits.shape[1]))
        height, width = image.shape[:2]
        centres = output.pred_boxes[0, order] * torch.tensor([width, height] * 2, device=self.device)
        boxes = torch.cat([centres[:, :2] - centres[:, 2:] / 2, centres[:, 2:]], 1)
        kept = scores >= self.least
        return boxes[kept].cpu().numpy().astype(np.float64), scores[kept].cpu().numpy().astype(np.float64)


def _load(model: str):
    """The network of a name or folder."""
    try:
        import_torchvision()  # transformers imports it, and some installed ones must be mended first
        import transformers
    except ImportError as error:
        raise ConfigError("a detector needs the package transformers: pip install 'semipose[detector]'") from error

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # our own line replaces its many
    if model.count("/") != 1 and not os.path.isdir(model):
        raise ModelError(f"detector {model}: is neither a folder nor a name OWNER/MODEL of huggingface.co")
    try:
        config = transformers.AutoConfig.from_pretrained(model)
        if config.model_type not in _KINDS:
            raise ConfigError(f"detector {model}: is a {config.model_type}; allowed: {', '.join(_KINDS)}")
        return transformers.AutoModelForObjectDetection.from_pretrained(model, config=config, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).split(". ")[0].splitlines()[0]
        remedy = f"with a network run: hf download {MODEL} --local-dir rtdetr, then give: --detector-model rtdetr"
        raise ModelError(f"detector {model}: its weights cannot be had ({reason}); {remedy}") from error
