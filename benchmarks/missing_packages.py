"""Prints the packages that a check on another machine needs and that this Python does not have, a line each."""

from importlib.util import find_spec

# module: package. What is there is left as it is, whatever its version: torch must stay the one that knows the GPU.
NEEDED = {
    "torch": "torch", "torchvision": "torchvision", "numpy": "numpy", "cv2": "opencv-python-headless", "PIL": "pillow",
    "yaml": "PyYAML", "yacs": "yacs", "scipy": "scipy", "sklearn": "scikit-learn", "matplotlib": "matplotlib",
    "pycocotools": "pycocotools", "tqdm": "tqdm", "safetensors": "safetensors", "timm": "timm", "pytest": "pytest",
    "hypothesis": "hypothesis",
}  # fmt: skip


def missing() -> list[str]:
    return [package for module, package in NEEDED.items() if find_spec(module) is None]


if __name__ == "__main__":
    print("\n".join(missing()))
