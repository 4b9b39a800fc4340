"""Readers: functions from files to `Persons`."""

from semipose.data.formats.aic import read_aic
from semipose.data.formats.coco import read_coco, read_unlabeled_coco
from semipose.data.formats.coco_family import read_crowd_index, read_crowdpose, read_jhmdb, read_ochuman
from semipose.data.formats.detections import read_detections
from semipose.data.formats.folder import read_folder
from semipose.data.formats.layout import has_annotation, locate_coco
from semipose.data.formats.mpii import read_mpii

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
