"""A trained network on new pictures and videos: `Predictor` on arrays, and files around it."""

from semipose.predict.instances import Instances
from semipose.predict.predictor import Predictor

__all__ = ["Instances", "Predictor"]
