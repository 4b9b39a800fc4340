"""Changed copies of a `CocoGroundTruth`; the original is left as it is."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from semipose.errors import DataError
from semipose.evaluation.ground_truth import NO_GROUP, CocoGroundTruth
from semipose.structures import Persons


def restrict(ground_truth: CocoGroundTruth, image_ids: Iterable[int]) -> CocoGroundTruth:
    """Only these images and their persons."""
    chosen = set(image_ids)
    images = [image for image in ground_truth.dataset["images"] if image["id"] in chosen]
    persons = [a for a in ground_truth.dataset["annotations"] if a["image_id"] in chosen]
    return CocoGroundTruth(ground_truth.dataset | {"images": images, "annotations": persons}, ground_truth.sigmas)


def with_unlabelled(ground_truth: CocoGroundTruth, image_ids: Iterable[int], boxes: np.ndarray) -> CocoGroundTruth:
    """Also persons without keypoints in `boxes` (N, 4): what is found there is neither right nor wrong."""
    nothing = {"keypoints": [0.0] * 3 * len(ground_truth.sigmas), "num_keypoints": 0, "group_id": NO_GROUP}
    known = ground_truth.dataset["annotations"]
    first = 1 + max((a["id"] for a in known), default=0)
    others = [
        nothing | {"id": number, "annotation_id": -1, "image_id": int(image), "category_id": ground_truth.category_id}
        | {"iscrowd": 0, "bbox": box, "area": box[2] * box[3]}
        for number, (image, box) in enumerate(zip(image_ids, boxes.tolist()), first)
    ]  # fmt: skip
    return CocoGroundTruth(ground_truth.dataset | {"annotations": [*known, *others]}, ground_truth.sigmas)


def with_keypoints(
    ground_truth: CocoGroundTruth, convert: Callable[[np.ndarray], np.ndarray], sigmas
) -> CocoGroundTruth:
    """The same persons with keypoints of another skeleton, as a merged or united set needs them.

    `num_keypoints` is counted again. Crowds, and persons that did not count before, are still regions to ignore. So is
    a person who has no visible keypoint any more.

    Args:
        convert: (N, Ks, 3) -> (N, Kt, 3), x and y in pixels, visible 0 or 1.
        sigmas: (Kt,) OKS constants of the new skeleton.

    Raises:
        DataError: what `convert` returns has another shape or is not finite.
    """
    annotations, sigmas = ground_truth.dataset["annotations"], np.asarray(sigmas, np.float64)
    count = len(annotations)
    old = np.array([a["keypoints"] for a in annotations], np.float64).reshape(count, len(ground_truth.sigmas), 3)
    old[..., 2] = old[..., 2] > 0
    new = np.asarray(convert(old), np.float64)
    if new.shape != (count, len(sigmas), 3) or not np.isfinite(new).all():
        raise DataError(f"converted keypoints: found shape {new.shape}, expected finite ({count}, {len(sigmas)}, 3)")
    visible = (new[..., 2] > 0).sum(1).tolist()
    rows = zip(annotations, new.reshape(count, 3 * len(sigmas)).tolist(), visible)
    changed = [a | {"keypoints": k, "num_keypoints": v if a["num_keypoints"] else 0} for a, k, v in rows]
    return CocoGroundTruth(ground_truth.dataset | {"annotations": changed}, sigmas)


def with_visible(ground_truth: CocoGroundTruth, predicted) -> CocoGroundTruth:
    """Without the keypoints that the network cannot predict: they count as not visible.

    Args:
        predicted: (K,) true where the network has the keypoint.
    """
    factor = np.asarray(predicted, bool)[:, None]
    return with_keypoints(ground_truth, lambda keypoints: keypoints * factor, ground_truth.sigmas)


def with_box_areas(ground_truth: CocoGroundTruth) -> CocoGroundTruth:
    """Every area is 0.53 w h of the box, as CrowdPose and AI Challenger are scored."""
    persons = [a | {"area": 0.53 * a["bbox"][2] * a["bbox"][3]} for a in ground_truth.dataset["annotations"]]
    return CocoGroundTruth(ground_truth.dataset | {"annotations": persons}, ground_truth.sigmas)


def with_sizes(ground_truth: CocoGroundTruth, sized: Persons) -> CocoGroundTruth:
    """Persons have the boxes and areas that `sized` has for their annotation ids; others keep their own."""
    sizes = dict(zip(sized.ids.tolist(), zip(sized.boxes.tolist(), sized.areas.tolist())))
    persons = [
        a | dict(zip(("bbox", "area"), sizes[a["annotation_id"]])) if a["annotation_id"] in sizes else a
        for a in ground_truth.dataset["annotations"]
    ]
    return CocoGroundTruth(ground_truth.dataset | {"annotations": persons}, ground_truth.sigmas)


def with_categories(ground_truth: CocoGroundTruth, names: Mapping[int, str]) -> CocoGroundTruth:
    """Each person with its `category`, by the annotation ids in `names`."""
    persons = [a | {"category": names[a["annotation_id"]]} for a in ground_truth.dataset["annotations"]]
    return CocoGroundTruth(ground_truth.dataset | {"annotations": persons}, ground_truth.sigmas)


def with_groups(ground_truth: CocoGroundTruth, groups: Mapping[int, int]) -> CocoGroundTruth:
    """Persons without a group get the group of their annotation id.

    Args:
        groups: group by annotation id.
    """
    persons = [
        a | {"group_id": groups.get(a["annotation_id"], NO_GROUP)} if a["group_id"] == NO_GROUP else a
        for a in ground_truth.dataset["annotations"]
    ]
    return CocoGroundTruth(ground_truth.dataset | {"annotations": persons}, ground_truth.sigmas)
