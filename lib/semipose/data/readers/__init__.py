"""Readers: functions from files to `Persons`."""

from semipose.data.readers.coco import read_coco, read_detections, read_unlabeled_coco
from semipose.data.readers.folder import read_folder
from semipose.data.readers.layout import has_annotation, locate_coco

__all__ = ["has_annotation", "locate_coco", "read_coco", "read_detections", "read_folder", "read_unlabeled_coco"]
