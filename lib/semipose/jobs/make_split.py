"""COCO keypoint file -> label splits: the first N persons (1K/5K/10K), or N images drawn by a seed.

The first N persons that training keeps, image by image as in the literature and as DATASET.TRAIN_LEN takes them:
  semipose split --annotation data/coco/annotations/person_keypoints_train2017.json \\
      --out data/coco/annotations --first 1000 5000 10000 \\
      --val-annotation data/coco/annotations/person_keypoints_val2017.json
Your own data: 500 images to validate on, 200 with labels, all others as the unlabelled pool:
  semipose split --annotation data/mine/annotations/person_keypoints_all.json \\
      --out data/mine/annotations --images 200 --seed 0 --val 500

Train with DATASET.TRAIN_SET train2017_first1000 and DATASET.TRAIN_UNSUP_SET '[train2017]', or with all_images200_seed0
and '[all_images200_seed0_unlabeled]', and validate on all_val500. Name the image folder where it is images/train2017:
DATASET.TRAIN_IMAGES images/train2017, and for a pool '[{annotation: ..., images: images/train2017}]'.
Segmentations are not kept.
"""

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotation", required=True, help="COCO keypoint file to split")
    parser.add_argument("--out", required=True, help="folder to write person_keypoints_*.json and split.json into")
    parser.add_argument("--first", type=int, nargs="+", default=[], help="labelled sets: the first so many persons")
    parser.add_argument("--images", type=int, nargs="+", default=[], help="labelled sets: so many images, drawn")
    parser.add_argument("--seed", type=int, default=0, help="seed of --images (default 0)")
    parser.add_argument("--val", type=int, default=0, help="images to hold out, the same for all sets (default 0)")
    parser.add_argument("--val-annotation", default="", help="file of the same data set that may share no image")
    parser.add_argument("--skeleton", default="coco", help="keypoints of the annotation (default coco)")
    args = parser.parse_args(arguments)
    if not (args.first or args.images or args.val):
        parser.error("give at least one of --first, --images and --val")

    import logging

    from semipose.errors import SemiposeError
    from semipose.prepare.label_splits import make_splits
    from semipose.skeletons import get_skeleton
    from semipose.writable import check_folder

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        check_folder(args.out, "--out")
        skeleton = get_skeleton(args.skeleton)
        counts = make_splits(
            args.annotation, args.out, skeleton, args.first, args.images, args.seed, args.val, args.val_annotation
        )
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for name, count in counts.items():
        print(f"{name}: {count['persons']} persons on {count['images']} images, {count['others']} other annotations")
    return 0
