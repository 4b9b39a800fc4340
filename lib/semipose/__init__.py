"""semipose: semi-supervised 2D keypoint learning from few labels and many images."""

__version__ = "0.1.0"
