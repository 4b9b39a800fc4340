"""The one source of packaging metadata; pyproject.toml holds the build system and tool settings only."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "lib/semipose/__init__.py").read_text(encoding="utf-8"))[1]
README = HERE / "README.md"

DETECTOR = ["transformers>=4.50"]  # semipose predict --detector
# torch writes ONNX with onnxscript; what is written is checked with onnxruntime
EXPORT = ["onnx>=1.17", "onnxruntime>=1.20", "onnxscript>=0.3"]
TEST = ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100", *DETECTOR, *EXPORT]

setup(
    name="semipose",
    version=VERSION,
    description="Semi-supervised 2D keypoint learning from few labels and many images",
    long_description=README.read_text(encoding="utf-8") if README.is_file() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    python_requires=">=3.10",
    install_requires=[
        "torch>=2.6",  # weights_only loading had a hole before 2.6
        "torchvision>=0.21",  # the partner of torch 2.6
        "timm>=1.0.21",  # backbones; before, a network could not be built without memory to look at its maps
        "numpy>=1.26",
        "opencv-python>=4.8",
        "pillow>=10",
        "matplotlib>=3.8",
        "pycocotools>=2.0.7",
        "scikit-learn>=1.4",
        "scipy>=1.11",
        "tensorboard>=2.15",
        "safetensors>=0.4",  # pretrained weights of timm
        "tqdm>=4.66",
        "wandb>=0.19",  # settings are pydantic models from here on
        "yacs>=0.1.8",
        "PyYAML>=6.0",
    ],
    entry_points={"console_scripts": ["semipose=semipose.jobs:main"]},
    extras_require={
        "detector": DETECTOR,
        "fast-eval": ["faster-coco-eval>=1.6"],
        "export": EXPORT,
        "test": TEST,
        "dev": [*TEST, "ruff>=0.9"],
    },
)
