"""Readers: functions from files to `Persons`."""

from semipose.data.readers.aic import read_aic
from semipose.data.readers.coco import read_coco, read_detections, read_unlabeled_coco
from semipose.data.readers.coco_family import read_crowd_index, read_crowdpose, read_jhmdb, read_ochuman
from semipose.data.readers.folder import read_folder
from semipose.data.readers.layout import has_annotation, locate_coco
from semipose.data.readers.mpii import read_mpii

__all__ = [
    "has_annotation",
    "locate_coco",
    "read_aic",
    "read_coco",
    "read_crowd_index",
    "read_crowdpose",
    "read_detections",
    "read_folder",
    "read_jhmdb",
    "read_mpii",
    "read_ochuman",
    "read_unlabeled_coco",
]
