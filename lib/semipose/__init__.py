"""semipose: semi-supervised 2D keypoint learning from few labels and many images."""

import os

__version__ = "0.1.0"

# OpenCV reads these when it is loaded, whichever module does that; what the user set stays. A small compressed image
# can ask for gigabytes. Our own lines, which name the file, replace the log of OpenCV and FFmpeg about damaged ones.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")  # 300 MB as RGB
os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

__all__ = ["Model", "load_model"]


def __getattr__(name: str):
    # the public names come when they are asked for: `import semipose` does not load torch
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("semipose.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
