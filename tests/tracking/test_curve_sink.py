import cv2
import numpy as np

from semipose.tracking.tracker import make_tracker


def tracker_of(folder, draw, **options):
    return make_tracker(folder, "run", "off", False, "p", draw_curve=draw, **options)


def test_the_picture_is_drawn_after_each_epoch_from_the_whole_record(tmp_path):
    seen = []

    def draw(rows):
        seen.append([(row.get("epoch"), row["step"]) for row in rows])
        return np.full((4, 6, 3), 40 * len(seen), np.uint8)

    tracker = tracker_of(tmp_path, draw)
    tracker.start({})
    tracker.log_step(1, {"loss": 1})
    assert not (tmp_path / "learning_curve.png").exists()
    tracker.log_epoch(1, 1, {"AP": 0.5})
    tracker.finish({})
    resumed = tracker_of(tmp_path, draw, resume_step=1)
    resumed.start({})
    resumed.log_epoch(2, 2, {"AP": 0.6})
    resumed.finish({})
    assert seen == [[(None, 1), (1, 1)], [(None, 1), (1, 1), (2, 2)]]
    assert (cv2.imread(str(tmp_path / "learning_curve.png")) == 80).all()


def test_a_picture_that_fails_does_not_stop_the_run(tmp_path, caplog):
    tracker = tracker_of(tmp_path, lambda rows: 1 / 0)
    tracker.start({})
    for epoch in (1, 2):
        tracker.log_epoch(epoch, epoch, {"AP": 0.5})
    tracker.finish({})
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "learning curve is off for this run: ZeroDivisionError: division by zero"
    ]
