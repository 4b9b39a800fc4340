"""semipose: semi-supervised 2D keypoint learning from few labels and many images."""

import os

__version__ = "0.1.0"

# A small compressed image can ask for gigabytes. OpenCV reads its limit when it is loaded; what the user set stays.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "100000000")
