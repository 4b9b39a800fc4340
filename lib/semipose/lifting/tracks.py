"""2D tracks of a video -> 3D: what `semipose predict --lift` does with the records of a source."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from semipose.errors import ConfigError
from semipose.lifting.codec import LiftCodec
from semipose.lifting.motion import WindowPlan
from semipose.lifting.motion_files import Motion3D, write_csv, write_npz
from semipose.lifting.turning import draw_motion
from semipose.predict.records import Records
from semipose.predict.sources import Source
from semipose.skeletons import KeypointConverter, Skeleton


@dataclass(frozen=True)
class TrackLifter:
    """Trained lifters, ready for 2D tracks.

    Attributes:
        networks: in eval mode; their mean is the result.
        skeleton: of the lifters; `converter` goes to it from the `pose_skeleton` of the 2D network.
        intrinsics: (11,) of the camera; None = not known: only the size of the pictures is used.
        scorer: names the networks in the csv.
    """

    networks: tuple[nn.Module, ...]
    codec: LiftCodec
    plan: WindowPlan
    skeleton: Skeleton
    pose_skeleton: Skeleton
    converter: KeypointConverter
    intrinsics: np.ndarray | None = None
    scorer: str = "semipose"

    def __call__(self, source: Source, records: Records, stem: str) -> list[Path]:
        """Lift all that is in `records` and write STEM.3d.csv, STEM.3d.npz and the pictures; returns the files."""
        motion = self.lift(source, records)
        files = [Path(f"{stem}.3d.csv"), Path(f"{stem}.3d.npz")]
        write_csv(files[0], motion, self.scorer)
        write_npz(files[1], motion)
        return files + draw_motion(source, records, motion, self.pose_skeleton, stem)

    def lift(self, source: Source, records: Records) -> Motion3D:
        """The poses of each person; of pictures each one alone, of videos as tracks.

        Raises:
            ConfigError: pictures of another size than the camera's.
        """
        frames, persons, poses, roots = [], [], [], []
        for numbers, person, keypoints, sizes in _by_person(records, self.converter, source.is_video):
            lifted = self.lift_track(keypoints, numbers, sizes)
            frames.append(numbers)
            persons.append(person)
            poses.append(lifted[0])
            roots += [] if lifted[1] is None else [lifted[1]]
        names = {record.number: record.name for record in records}
        if not frames:
            nothing = np.zeros(0, np.int64)
            return Motion3D(nothing, nothing, np.zeros((0, len(self.skeleton), 3)), None, names, self.skeleton)
        rows = np.lexsort((np.concatenate(persons), np.concatenate(frames)))
        joined = [np.concatenate(part)[rows] if part else None for part in (frames, persons, poses, roots)]
        return Motion3D(*joined, names, self.skeleton)

    @torch.no_grad()
    def lift_track(
        self, keypoints: np.ndarray, frames: np.ndarray, sizes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Poses (N, K, 3) around their root, and roots (N, 3) in camera space or None; metres.

        Frames that are missing between others are filled in by a straight line, for the networks only.

        Args:
            keypoints: (N, K, 2) pixels. frames: (N,) their numbers, rising. sizes: (N, 2) of their pictures.
        """
        every = np.arange(frames[0], frames[-1] + 1)
        track = keypoints.reshape(len(frames), -1)
        filled = np.stack([np.interp(every, frames, column) for column in track.T], 1).reshape(len(every), -1, 2)
        rows = np.arange(-self.plan.before, len(every) + self.plan.after).clip(0, len(every) - 1)
        device = next(self.networks[0].parameters()).device
        intrinsics = torch.from_numpy(self._camera(tuple(sizes[0]))).to(device)
        points = torch.from_numpy(filled[rows].astype(np.float32)).to(device)
        encoded = self.codec.encode_points(points, intrinsics).unsqueeze(0)
        lifted = [network.over_time(encoded, self.plan.step) for network in self.networks]
        poses = torch.stack([one.poses[0] for one in lifted]).mean(0)[frames - frames[0]].cpu().numpy()
        if lifted[0].roots is None:
            return poses, None
        return poses, torch.stack([one.roots[0] for one in lifted]).mean(0)[frames - frames[0]].cpu().numpy()

    def _camera(self, size: tuple[int, int]) -> np.ndarray:
        if self.intrinsics is None:
            centre = size[0] / 2, size[1] / 2
            return np.array([size[0], size[0], *centre, 0, 0, 0, 0, 0, *size], np.float32)
        if tuple(self.intrinsics[-2:]) != tuple(map(float, size)):
            width, height = self.intrinsics[-2:]
            raise ConfigError(
                f"--camera: it takes pictures of {width:.0f}x{height:.0f}, these are {size[0]:.0f}x{size[1]:.0f}"
            )
        return self.intrinsics


def _by_person(records: Records, converter: KeypointConverter, tracked: bool) -> list[tuple[np.ndarray, ...]]:
    """Frame numbers (N,), person (N,), keypoints (N, K, 2) and picture sizes (N, 2) of each track; of pictures each
    instance is a track."""
    tracks: dict[object, list] = {}
    for record in records:
        found = record.instances
        points, _ = converter.convert_predictions(found.keypoints, found.scores)
        ids = range(len(found)) if found.track_ids is None else found.track_ids.tolist()
        for person, pose in zip(ids, points):
            if np.isfinite(pose).all():
                track = person if tracked else (record.number, person)
                tracks.setdefault(track, []).append((record.number, person, pose, record.size))
    return [tuple(map(np.array, zip(*rows))) for rows in tracks.values()]
