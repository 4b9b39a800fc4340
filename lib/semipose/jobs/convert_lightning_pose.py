"""Few-label experiments from a lightning-pose or DeepLabCut project: labelled subsets, held-out frames, a pool.

Example: semipose convert lightning-pose --csv DIR/CollectedData.csv --videos DIR/videos/*.mp4 \\
    --out data/mouse --labels 8 15 --seeds 0 1 2 --val 40
"""

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--csv", required=True, help="CollectedData.csv, or a project: its folder, labeled-data or config.yaml"
    )
    parser.add_argument("--root", default="", help="folder that its file names refer to (default: looked for)")
    parser.add_argument("--ignore-unknown", action="store_true", help="leave out body parts that are no keypoints")
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
        where, skeleton = (args.csv, args.root, args.videos, args.out), get_skeleton(args.skeleton)
        counts = convert_lightning_pose(*where, skeleton, options, args.ignore_unknown)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(f"{name}: {count}" for name, count in counts.items()))
    return 0
