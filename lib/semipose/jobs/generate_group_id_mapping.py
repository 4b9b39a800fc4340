"""labelme group_ids -> {COCO annotation id: group id}: the file for group_id_mapping_file.

Persons are matched by where their keypoints (or else boxes) are, never by their order.

Example: semipose groups --coco-ann-file person_keypoints_train2017.json \\
    --labelme-dir labels --output groups.json
"""

import argparse
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco-ann-file", required=True, help="COCO keypoint file")
    parser.add_argument("--labelme-dir", required=True, help="folder of the labelme files")
    parser.add_argument("--output", required=True, help="mapping to write")
    parser.add_argument("--report", help="JSON file to write with every match, person left over and ambiguity")
    parser.add_argument("--skeleton", default="coco", help="skeleton of the COCO file and the labels (default coco)")
    parser.add_argument("--images", default="", help="folder that no image may leave (default: the labelme folder)")
    parser.add_argument(
        "--ignore-unknown", action="store_true", help="leave out points of labels that it does not have"
    )
    parser.add_argument("--tolerance", type=float, default=1.0, help="largest mean keypoint distance (default 1 pixel)")
    parser.add_argument("--iou", type=float, default=0.5, help="smallest overlap of boxes (default 0.5)")
    parser.add_argument(
        "--strict", action="store_true",
        help="if a person is unmatched or ambiguous, write no mapping and end with exit code 2",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    if not 0 <= args.tolerance < float("inf") or not 0 < args.iou <= 1:
        parser.error("--tolerance must be 0 or more, --iou more than 0 and at most 1")

    from semipose.errors import DataError, SemiposeError
    from semipose.writable import check_file

    try:
        check_file(args.output, "--output")
        if args.report:
            check_file(args.report, "--report")
        details, lines, unsolved = match_files(args)
        print("\n".join(lines))
        if args.report:
            _write(args.report, details)
        if args.strict and unsolved:
            raise DataError(f"{args.labelme_dir}: {unsolved} persons are unmatched or ambiguous; no mapping written")
        _write(args.output, details["mapping"])
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.output}: {len(details['mapping'])} annotations")
    return 0


def match_files(args: argparse.Namespace) -> tuple[dict, list[str], int]:
    """The details, the lines to print, and the number of persons that are unmatched or ambiguous."""
    from semipose.data.formats import read_unlabeled_coco
    from semipose.data.formats.labelme import read_unlabeled_labelme
    from semipose.prepare.group_matching import match_groups
    from semipose.prepare.group_report import group_details, open_questions, report_lines
    from semipose.skeletons import get_skeleton

    skeleton = get_skeleton(args.skeleton)
    folder = os.path.dirname(args.coco_ann_file) or "."  # the images themselves are not read
    annotated = read_unlabeled_coco(args.coco_ann_file, folder, skeleton)
    drawn = read_unlabeled_labelme(args.labelme_dir, skeleton, args.images, args.ignore_unknown)
    details = group_details(match_groups(drawn, annotated, args.tolerance, args.iou), drawn, annotated)
    return details, report_lines(details), open_questions(details)


def _write(path: str, content: dict) -> None:
    from semipose.data.json_file import write_json
    from semipose.errors import write_error

    try:
        write_json(path, content)
    except OSError as error:
        raise write_error(error, path) from error
