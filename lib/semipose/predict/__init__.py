"""Keypoints of pictures and videos from a trained network."""
