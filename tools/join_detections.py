"""A detector's boxes and an image list -> one COCO file, to be an unlabelled source (DATASET.TRAIN_UNSUP_SET).

Example: python tools/join_detections.py --images image_info_unlabeled2017.json --detections boxes.json \\
    --out data/coco/annotations/person_keypoints_unlabeled2017.json
"""

import argparse
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="COCO file with at least the images")
    parser.add_argument("--detections", required=True, help="list of {image_id, category_id, bbox, score}; 1 = person")
    parser.add_argument("--out", required=True, help="COCO file to write")
    parser.add_argument("--threshold", type=float, default=0.0, help="smallest score to keep (default 0)")
    args = parser.parse_args(arguments)

    from semipose.errors import SemiposeError

    try:
        count = join_detections(args.images, args.detections, args.out, args.threshold)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.out}: {count} persons")
    return 0


def join_detections(image_file: str, detection_file: str, out: str, threshold: float = 0.0) -> int:
    """Writes the COCO file; boxes are clipped to their image, empty ones left out. Returns the number of persons.

    Raises:
        DataError: a file is missing or wrong, or no detection is on a listed image.
        SemiposeError: the output cannot be written; NoSpaceError where the disk is full.
    """
    from semipose.data.json_file import write_json
    from semipose.data.readers import read_detections
    from semipose.data.readers.table import load_json
    from semipose.errors import write_error
    from semipose.skeletons import get_skeleton

    folder = os.path.dirname(image_file) or "."  # the images themselves are not read
    persons = read_detections(detection_file, image_file, folder, get_skeleton("coco"), threshold)
    image_ids = persons.image_ids[persons.image_index]
    columns = zip(persons.ids.tolist(), image_ids.tolist(), persons.boxes.tolist(), persons.scores.tolist())
    annotations = [_annotation(*row) for row in columns]
    images = load_json(image_file)["images"]
    categories = [{"id": 1, "name": "person"}]
    try:
        write_json(out, {"images": images, "annotations": annotations, "categories": categories})
    except OSError as error:
        raise write_error(error, out) from error
    return len(annotations)


def _annotation(number: int, image_id: int, box: list[float], score: float) -> dict:
    box = [round(value, 2) for value in box]
    return {"id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "bbox": box, "score": round(score, 4)}


if __name__ == "__main__":
    sys.exit(main())
