"""From 2D to 3D: sequences of keypoints, cameras, networks that lift, and how they learn from unlabelled tracks.

`assemble/lifting.py` puts it together; the trainer, checkpoints and trackers are those of 2D.
"""
