"""Files of what was predicted, one format each."""

from semipose.predict.writers.coco import write_coco
from semipose.predict.writers.dlc import write_dlc, write_times
from semipose.predict.writers.kept import check_replaceable
from semipose.predict.writers.labelme import write_labelme

__all__ = ["check_replaceable", "write_coco", "write_dlc", "write_labelme", "write_times"]
