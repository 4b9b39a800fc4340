"""A whole job: sources -> frames -> network -> files. Frames are decoded in a thread of its own."""

import contextlib
import logging
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from semipose.errors import SemiposeError, write_error
from semipose.evaluation.oks import oks_nms
from semipose.predict.ahead import ahead
from semipose.predict.boxes import BoxFile
from semipose.predict.detector import Detector, detect
from semipose.predict.instances import Instances
from semipose.predict.overlay import RATE, Overlay
from semipose.predict.predictor import Predictor
from semipose.predict.records import Record, Records
from semipose.predict.smoothed import smoothed_records
from semipose.predict.sources import Frame, Source
from semipose.predict.tracks import Tracker
from semipose.predict.writers import write_coco, write_dlc, write_labelme, write_times

log = logging.getLogger(__name__)
FORMATS = ("csv", "coco", "labelme")
AHEAD = 8  # frames that are decoded before the network asks for them; one of 4K has 25 MB
NAMED = 5  # frames that cannot be read, named one by one


@dataclass(frozen=True)
class Options:
    """What is asked for.

    Attributes:
        out: folder of all files.
        formats: of `FORMATS`.
        scorer: names the network in the csv.
        boxes, detector: where boxes come from; neither: the whole picture is one box, or the network is bottom-up.
        nms: OKS above which the weaker of two poses is a duplicate and goes, where boxes are given; 0 keeps all.
        max_gap: give persons of a video numbers, and end a track that is unseen for more frames than this; None: no
            numbers.
        smooth: method of `smoothing.METHODS`, "" for none; the smoothed results are in files of their own.
        overlay: how pictures with skeletons are drawn; None: not at all.
        min_score: smallest score of a keypoint in labelme files.
        lift: writes what belongs to the 2D results in 3D; called with the source, its records and the start of the
            files' names. None: nothing.
        bar: shows progress; called with the frames, the title and their number (None: not known).
    """

    out: Path
    formats: tuple[str, ...] = ("csv", "coco")
    scorer: str = "semipose"
    boxes: BoxFile | None = None
    detector: Detector | None = None
    nms: float = 0.9
    max_gap: int | None = None
    smooth: str = ""
    overlay: Overlay | None = None
    min_score: float = 0.0
    lift: Callable[[Source, Records, str], list[Path]] | None = None
    bar: Callable[[Iterator, str, int | None], Iterator] = lambda items, title, total: items

    @property
    def whole(self) -> bool:
        """Whether whole pictures are looked at, without boxes."""
        return self.boxes is None and self.detector is None


@dataclass
class Report:
    """What was done for one source.

    Attributes:
        frames, instances: that were predicted.
        empty: frames without an instance.
        faults: a line for each frame that could not be read, and for other things left out.
        stopped: whether it was ended by Ctrl-C.
        files: that were written.
    """

    frames: int = 0
    instances: int = 0
    empty: int = 0
    faults: list[str] = field(default_factory=list)
    stopped: bool = False
    files: list[Path] = field(default_factory=list)


def predict_source(predictor: Predictor, source: Source, options: Options) -> Report:
    """Predict all frames of a source and write its files. Ctrl-C and SIGTERM end it; what is done is then written.

    Raises:
        SemiposeError: a file cannot be written.
    """
    report = Report()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(error, options.out) from error
    overlay = None if options.overlay is None else options.overlay.open(source, options.out)
    with Records(options.out / f".{source.title}.part", predictor.skeleton.keypoints) as records:
        try:
            with _noted_signals() as came:
                _predict_all(predictor, source, options, records, overlay, report, came)
            report.stopped = bool(came)
        except KeyboardInterrupt:
            report.stopped = True
        except Exception:
            with contextlib.suppress(SemiposeError):
                _finish(predictor, source, options, records, report)
            raise
        finally:
            if overlay is not None:
                overlay.close()
        if source.is_video and source.total and not report.stopped:
            _note_lost_end(source, records, report)
        _finish(predictor, source, options, records, report)
        report.files += [overlay.path] if overlay is not None and len(records) else []
    return report


def _predict_all(predictor, source, options, records, overlay, report, came) -> None:
    """The loop over the frames; each is kept in `records` as it is done. It ends after a signal `came`."""
    tracker = None if options.max_gap is None else Tracker(predictor.skeleton.sigmas, options.max_gap)
    first_id = 1 if options.boxes is None else options.boxes.free_id
    frames = contextlib.closing(ahead(source.frames(), AHEAD))
    with frames as decoded:
        shown = options.bar(_readable(decoded, report, came), source.title, source.total)
        for frame, size, image_id, found in _predicted(predictor, shown, options):
            found = _without_duplicates(found, predictor, options)
            if tracker is not None:
                found = found.with_ids(tracker.update(found.keypoints, found.scores, found.boxes, frame.number))
            number = first_id + frame.number if image_id is None else image_id
            records.add(Record(frame.name, frame.number, frame.time, size, number, found))
            report.frames, report.instances = report.frames + 1, report.instances + len(found)
            report.empty += not len(found)
            if overlay is not None:
                overlay.add(frame, found)


def _readable(frames: Iterator[Frame], report: Report, came: list[int]) -> Iterator[Frame]:
    """Frames that could be read, until a signal `came`; the others go into the report."""
    for frame in frames:
        if came:
            return
        if frame.image is None:
            report.faults.append(frame.fault)
            continue
        yield frame


def _predicted(predictor: Predictor, frames: Iterator[Frame], options: Options) -> Iterator[tuple]:
    """(frame, its size, image id or None, instances) of each frame; its image is kept for an overlay only."""
    asked: deque = deque()

    def items() -> Iterator[tuple]:
        for frame in frames:
            boxes, image_id = _boxes(frame, options)
            kept = frame if options.overlay is not None else replace(frame, image=None)
            asked.append((kept, (frame.image.shape[1], frame.image.shape[0]), image_id))
            yield frame.image, boxes

    for found in predictor.stream(items()):
        yield (*asked.popleft(), found)


def _boxes(frame: Frame, options: Options) -> tuple[np.ndarray | None, int | None]:
    if options.detector is not None:
        return detect(options.detector, frame.image), None
    if options.boxes is None:
        return None, None
    return options.boxes.boxes(frame.name, (frame.image.shape[1], frame.image.shape[0]))


def _without_duplicates(found: Instances, predictor: Predictor, options: Options) -> Instances:
    """Instances of boxes that can be used, without those that show one pose twice; the best comes first."""
    if options.whole:
        return found
    found = found.take(np.isfinite(found.keypoints).all(axis=(1, 2)))
    if not options.nms or len(found) < 2:
        return found
    areas = predictor.areas(found.boxes)
    return found.take(oks_nms(found.keypoints, found.person_scores, areas, predictor.skeleton.sigmas, options.nms))


def _note_lost_end(source: Source, records: Records, report: Report) -> None:
    seen = len(records) + len(report.faults)
    if seen < source.total:
        report.faults.append(f"{source.video.name}: ends after {seen} frames; its header says {source.total}")


def _finish(predictor: Predictor, source: Source, options: Options, records: Records, report: Report) -> None:
    """Write all files of what is in `records`."""
    if not len(records):
        return
    report.files = _write(predictor, source, options, records, report)
    if options.smooth:
        report.files += _write_smoothed(predictor, source, options, records, report)


def _write_smoothed(predictor, source, options, records, report) -> list[Path]:
    """The csv and the COCO file of the smoothed results, as NAME.smooth.*."""
    own = replace(options, formats=tuple(name for name in options.formats if name != "labelme"))
    path = options.out / f".{source.title}.smooth.part"
    with smoothed_records(records, options.smooth, source.video.rate or RATE, path) as smoothed:
        files = _write(predictor, source, own, smoothed, report, ".smooth")
    return files


def _write(
    predictor: Predictor, source: Source, options: Options, records: Records, report: Report, ending: str = ""
) -> list[Path]:
    """All files that are asked for."""
    stem, files = str(options.out / f"{source.title}{ending}"), []
    if "csv" in options.formats:
        files.append(Path(f"{stem}.csv"))
        write_dlc(files[-1], records, options.scorer, several=max(records.most, len(records.track_ids)) > 1)
        if source.is_video and not ending:
            files.append(Path(f"{stem}.times.csv"))
            write_times(files[-1], records)
    if "coco" in options.formats:
        files.append(Path(f"{stem}.json"))
        video = Path(source.video.name).name if source.is_video else ""
        write_coco(files[-1], records, predictor.skeleton, f"predicted by {options.scorer}", video)
    if "labelme" in options.formats:
        files.append(Path(f"{stem}.labelme"))
        write_labelme(files[-1], records, source.paths, not options.whole, options.min_score)
    if options.lift is not None:
        files += options.lift(source, records, stem)
    return files


@contextlib.contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """The first Ctrl-C or SIGTERM is noted in the list, a second one raises KeyboardInterrupt.

    An exception in the middle of a queue's work would leave its lock behind, and the threads would wait for ever.
    """
    came: list[int] = []

    def note(number: int, _) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
