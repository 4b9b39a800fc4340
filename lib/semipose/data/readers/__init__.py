"""Readers: functions from files to `Persons`."""

from semipose.data.readers.coco import read_coco, read_detections
from semipose.data.readers.folder import read_folder
from semipose.data.readers.layout import locate_coco

__all__ = ["locate_coco", "read_coco", "read_detections", "read_folder"]
