"""labelme folder -> COCO keypoint file; group_id is written into each annotation.

Example: semipose convert labelme --labelme-dir data/mine/labels --images data/mine/images \\
    --out data/mine/annotations/person_keypoints_train.json
"""

import argparse
import sys
from collections import Counter


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelme-dir", required=True, help="folder of the labelme files")
    parser.add_argument("--out", required=True, help="COCO file to write")
    parser.add_argument("--skeleton", default="coco", help="its keypoints are the labels (default coco)")
    parser.add_argument(
        "--images", default="",
        help="image folder: no image may leave it, and file names are relative to it (default: the labelme folder)",
    )  # fmt: skip
    parser.add_argument(
        "--ignore-unknown", action="store_true", help="leave out points of labels that it does not have"
    )
    args = parser.parse_args(arguments)

    from semipose.errors import SemiposeError
    from semipose.writable import check_file

    try:
        check_file(args.out, "--out")
        document = convert_labelme(args.labelme_dir, args.out, args.skeleton, args.images, args.ignore_unknown)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    people = document["annotations"]
    print(f"{args.out}: {len(people)} persons on {len(document['images'])} images")
    groups = Counter(person.get("group_id", -1) for person in people)
    for group in sorted(groups):
        print(f"  {'no group_id' if group == -1 else f'group {group}'}: {groups[group]}")
    return 0


def convert_labelme(folder: str, out: str, skeleton: str, images: str = "", ignore_unknown: bool = False) -> dict:
    """Writes the COCO file and returns its content.

    Raises:
        DataError: a labelme file is missing or wrong.
        SemiposeError: the output cannot be written; NoSpaceError where the disk is full.
    """
    from semipose.data.formats.labelme import labelme_document
    from semipose.data.json_file import write_json
    from semipose.errors import write_error
    from semipose.skeletons import get_skeleton

    document = labelme_document(folder, get_skeleton(skeleton), images, ignore_unknown)
    try:
        write_json(out, document)
    except OSError as error:
        raise write_error(error, out) from error
    return document
