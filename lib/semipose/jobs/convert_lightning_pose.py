"""Few-label experiments from a lightning-pose or DeepLabCut project: labelled subsets, held-out frames, a pool.

Example: semipose convert lightning-pose --csv DIR/CollectedData.csv --videos DIR/videos/*.mp4 \\
    --out data/mouse --labels 8 15 --seeds 0 1 2 --val 40
"""

import argparse
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", required=True, help="labels, with the header rows scorer, bodyparts, coords")
    parser.add_argument("--root", help="folder that the file names in it refer to (default: the folder of the CSV)")
    parser.add_argument("--videos", nargs="*", default=[], help="videos whose frames join the unlabelled pool")
    parser.add_argument("--out", required=True, help="folder to write annotations/, images/ and split.json into")
    parser.add_argument("--skeleton", default="mirror_mouse", help="its keypoints (default mirror_mouse)")
    parser.add_argument("--labels", type=int, nargs="+", default=[8], help="labelled frames of the subsets (default 8)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of the subsets (default 0)")
    parser.add_argument("--val", type=int, default=40, help="held-out frames, the same for all subsets (default 40)")
    parser.add_argument("--every", type=int, default=2, help="take every so many-th video frame (default 2)")
    parser.add_argument("--guard", type=int, default=5, help="video frames left out beside a held-out one (default 5)")
    parser.add_argument(
        "--same", type=float, default=3.0, help="grey levels (of 255) up to which pictures show the same (default 3)"
    )
    args = parser.parse_args(arguments)

    from semipose.errors import SemiposeError
    from semipose.prepare.few_label_sets import SplitOptions, convert_lightning_pose
    from semipose.skeletons import get_skeleton
    from semipose.writable import check_folder

    try:
        check_folder(args.out, "--out")
        options = SplitOptions(tuple(args.labels), tuple(args.seeds), args.val, args.every, args.guard, args.same)
        root, skeleton = args.root or os.path.dirname(args.csv) or ".", get_skeleton(args.skeleton)
        counts = convert_lightning_pose(args.csv, root, args.videos, args.out, skeleton, options)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(f"{name}: {count}" for name, count in counts.items()))
    return 0
