"""Leeds Sports Pose (extended) -> COCO keypoint files: a seeded split into train, unlabeled and val.

Pictures of one scene are never on both sides of val. More labels contain fewer, and val stays, for the same --seed. To
train with all labels: DATASET.TRAIN_SET "[train, unlabeled]".

Example: semipose convert lsp --root DIR --out data/lsp --train-len 500 --val 500
"""

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder with joints.mat and images/im00001.jpg ...")
    parser.add_argument("--out", required=True, help="folder to write annotations/, images and split.json into")
    parser.add_argument("--train-len", type=int, required=True, help="persons in the labelled set")
    parser.add_argument("--val", type=int, required=True, help="persons in the validation set; all others: unlabeled")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default 0)")
    parser.add_argument("--padding", type=float, default=0.1, help="margin of the box around the joints (default 0.1)")
    parser.add_argument("--copy", action="store_true", help="copy the images instead of linking to their folder")
    args = parser.parse_args(arguments)

    from semipose.data.formats.lsp import convert_lsp
    from semipose.errors import SemiposeError
    from semipose.writable import check_folder

    try:
        check_folder(args.out, "--out")
        counts = convert_lsp(args.root, args.out, args.train_len, args.val, args.seed, args.padding, args.copy)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{args.out}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    return 0
