"""Sets that come in COCO's format, with what is special about each."""

from collections.abc import Sequence

from semipose.data.formats.coco import read_coco
from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons

read_crowdpose = read_coco  # Li et al., CVPR 2019: has no areas, which are then estimated from the boxes
read_ochuman = read_coco  # Zhang et al., CVPR 2019: COCO's keypoints, in the COCO files of its API


def read_jhmdb(annotation_file: str, image_dir: str, skeleton: Skeleton, categories: Sequence[str] = ()) -> Persons:
    """The persons of a sub-JHMDB file (Jhuang et al., ICCV 2013): COCO's format with MATLAB's pixels, from 1.

    Arguments and errors are those of `read_coco`.
    """
    return read_coco(annotation_file, image_dir, skeleton, one_based=True, categories=categories)


def read_crowd_index(annotation_file: str) -> dict[int, float]:
    """CrowdPose's `crowdIndex` (0..1) by image id. It tells easy, medium and hard images apart.

    Raises:
        DataError: naming the file, the image id and the reason.
    """
    document = load_json(annotation_file)
    if not isinstance(document, dict):
        raise DataError(f"{annotation_file}: must be a JSON object with 'images'")
    table = Table(annotation_file, "image", document.get("images"))
    indices = table.numbers("crowdIndex")
    table.refuse((indices < 0) | (indices > 1), "crowdIndex", "must be 0 to 1, found {}")
    ids = table.unique_integers("id")
    refuse_wrong_rows((table,))
    return dict(zip(ids.tolist(), indices.tolist()))
