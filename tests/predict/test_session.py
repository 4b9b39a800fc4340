"""The command `semipose predict`: its files hold what the network says, and no accident costs what is done."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO as CocoFile
from small_videos import write_video
from untrained_run import CFG, ROOT, SMALL, picture, write_run

from semipose import cli, load_model
from semipose.data.formats import read_coco
from semipose.data.formats.labelme import read_labelme
from semipose.errors import DataError, NoSpaceError
from semipose.jobs import predict as job
from semipose.predict import session
from semipose.predict.ahead import Behind
from semipose.predict.overlay import OverlayVideo
from semipose.predict.predictor import Predictor
from semipose.predict.records import Records
from semipose.predict.session import Options, predict_source
from semipose.predict.sources import Frame, find_sources
from semipose.prepare.drawn_people import write_demo_data
from semipose.skeletons import COCO


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture(scope="module")
def model(run):
    return load_model(run)


@pytest.fixture
def call(run, tmp_path, capsys):
    """Predict in this process; returns (exit code, stdout, stderr)."""

    def predict(*words, out="out"):
        arguments = [str(run), *map(str, words), "--out", str(tmp_path / out), "--device", "cpu"]
        return job.main(arguments), *capsys.readouterr()

    return predict


def refused(answer, *words: str) -> None:
    code, _, err = answer
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2 and len(lines) == 1 and all(word in lines[0] for word in words), err


def say_right(file: Path) -> None:
    """As a person does in labelme who finds that a prediction is right."""
    file.write_text(json.dumps(json.loads(file.read_text()) | {"flags": {"semipose_predicted": False}}))


def save(folder: Path, count: int = 3) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        Image.fromarray(picture(number, (70 + number, 60))).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(1, count + 1)]


def rows_of(file: Path) -> list[list[str]]:
    with open(file, newline="") as stream:
        return list(csv.reader(stream))


def numbers(row: list[str]) -> np.ndarray:
    """(K, 3) x, y, likelihood of the cells behind the first one."""
    return np.array([float(cell or "nan") for cell in row[1:]]).reshape(-1, 3)


def test_csv_of_one_animal(call, model, tmp_path):
    paths = save(tmp_path / "set")
    code, out, _ = call(tmp_path / "set")
    assert code == 0 and "3 frames" in out
    head, rows = rows_of(tmp_path / "out/set.csv")[:3], rows_of(tmp_path / "out/set.csv")[3:]
    assert [row[0] for row in head] == ["scorer", "bodyparts", "coords"] and head[0][1] == "semipose_mine_ensemble"
    assert head[1][1::3] == list(COCO.keypoints) and head[2][1:4] == ["x", "y", "likelihood"]
    assert [row[0] for row in rows] == ["1.png", "2.png", "3.png"]
    for row, people in zip(rows, model(paths)):
        np.testing.assert_allclose(numbers(row)[:, :2], people.keypoints[0], atol=1e-4)
        np.testing.assert_allclose(numbers(row)[:, 2], people.scores[0], atol=1e-4)
    assert sorted(os.listdir(tmp_path / "out")) == ["set.csv", "set.json"]


def test_csv_of_several_animals(call, tmp_path):
    save(tmp_path / "set")
    (tmp_path / "b.csv").write_text(
        "name,x,y,width,height\n1.png,0,0,30,30\n1.png,20,20,40,30\n3.png,5,5,20,20\ngone.png,1,2,3,4\n"
    )
    code, out, err = call(tmp_path / "set", "--boxes", tmp_path / "b.csv", "--nms", "0")
    assert code == 0 and "1 frames without an instance" in out and "boxes of 1 pictures" in err
    rows = rows_of(tmp_path / "out/set.csv")
    assert [row[0] for row in rows] == ["scorer", "individuals", "bodyparts", "coords", "1.png", "2.png", "3.png"]
    assert set(rows[1][1:]) == {"individual1", "individual2"} and len(rows[1]) == 1 + 2 * 17 * 3
    filled = [np.isfinite(numbers(row)).all(axis=1).sum() for row in rows[4:]]
    assert filled == [34, 0, 17]


def test_the_coco_file_is_one(call, model, tmp_path):
    paths = save(tmp_path / "set")
    assert call(tmp_path / "set")[0] == 0
    file = CocoFile(str(tmp_path / "out/set.json"))
    assert file.loadCats(1)[0]["keypoints"] == list(COCO.keypoints) and file.loadCats(1)[0]["name"] == "person"
    assert [(row["file_name"], row["width"], row["height"]) for row in file.dataset["images"]] == [
        ("1.png", 71, 60), ("2.png", 72, 60), ("3.png", 73, 60)
    ]  # fmt: skip
    for row, people in zip(file.dataset["annotations"], model(paths)):
        found = np.array(row["keypoints"]).reshape(-1, 3)
        np.testing.assert_allclose(found[:, :2], people.keypoints[0], atol=1e-4)
        assert row["score"] == pytest.approx(people.person_scores[0], abs=1e-5)
    document = file.dataset
    for row in document["annotations"]:  # scores to flags, as for labels: then it can be trained on
        row["keypoints"][2::3] = [2] * 17
    (tmp_path / "labels.json").write_text(json.dumps(document))
    assert len(read_coco(str(tmp_path / "labels.json"), str(tmp_path / "set"), COCO)) == 3


def test_image_ids_are_those_of_the_boxes_and_never_twice_the_same(call, tmp_path):
    save(tmp_path / "set")
    Image.fromarray(picture(4)).save(tmp_path / "set/0a.png")  # comes first, and has no id in the file
    rows = [{"image_id": n, "category_id": 1, "bbox": [5, 5, 30, 30], "score": 1} for n in (3, 1, 2)]
    (tmp_path / "b.json").write_text(json.dumps(rows))
    assert call(tmp_path / "set", "--boxes", tmp_path / "b.json")[0] == 0
    images = json.loads((tmp_path / "out/set.json").read_text())["images"]
    assert [row["id"] for row in images if row["file_name"] != "0a.png"] == [1, 2, 3]
    assert len({row["id"] for row in images}) == 4


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_labelme_files_open_again_with_the_same_points(call, model, tmp_path, orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    (tmp_path / "set/in").mkdir(parents=True)
    Image.fromarray(picture(1)).save(tmp_path / "set/in/a.jpg", exif=data.tobytes())
    boxes = np.array([[5, 5, 30, 40], [20, 10, 35, 45.0]])
    (tmp_path / "b.csv").write_text("name,x,y,width,height\nin/a.jpg,5,5,30,40\nin/a.jpg,20,10,35,45\n")
    code, _, err = call(tmp_path / "set", "--boxes", tmp_path / "b.csv", "--format", "labelme", "--nms", "0")
    assert code == 0, err
    with pytest.raises(DataError, match="corrected"):  # nobody has looked at them: no labels
        read_labelme(str(tmp_path / "out/set.labelme"), COCO, str(tmp_path))
    say_right(tmp_path / "out/set.labelme/in/a.json")
    people = read_labelme(str(tmp_path / "out/set.labelme"), COCO, str(tmp_path))
    found = model(tmp_path / "set/in/a.jpg", boxes=boxes)  # both are for the upright picture
    inside = people.keypoints[..., 2] > 0
    assert inside.any()
    np.testing.assert_allclose(people.keypoints[inside][:, :2], found.keypoints[inside], atol=2e-3)
    np.testing.assert_allclose(people.boxes, boxes, atol=1.01)


def test_pictures_of_one_stem_get_a_labelme_file_each(call, tmp_path):
    (tmp_path / "set").mkdir()
    for name in ("a.jpg", "a.png"):
        Image.fromarray(picture(1)).save(tmp_path / "set" / name)
    assert call(tmp_path / "set", "--format", "labelme")[0] == 0
    files = sorted((tmp_path / "out/set.labelme").iterdir())
    assert [Path(json.loads(file.read_text())["imagePath"]).name for file in files] == ["a.jpg", "a.png"]


def test_what_a_person_has_made_is_not_replaced(call, tmp_path):
    (path,) = save(tmp_path / "set", 1)
    assert call(tmp_path / "set", "--format", "csv", "coco", "labelme")[0] == 0
    assert call(tmp_path / "set", "--format", "csv", "coco", "labelme")[0] == 0  # its own files
    say_right(tmp_path / "out/set.labelme/1.json")
    refused(call(tmp_path / "set", "--format", "labelme"), "1.json")
    assert call(tmp_path / "set")[0] == 0
    for name, text in (("1.json", '{"shapes": []}'), ("1.csv", "scorer,me\nbodyparts,nose\n")):
        (tmp_path / "set" / name).write_text(text)
        refused(call(path, out="set"), name)
        assert (tmp_path / "set" / name).read_text() == text
        (tmp_path / "set" / name).unlink()


@pytest.mark.parametrize("rate", [239.9432, 119.9443, 59.9401, 29.97002997, 0.4])
def test_an_overlay_has_the_rate_of_its_video_as_near_as_mpeg4_can(tmp_path, rate):
    video = OverlayVideo(tmp_path / "a.mp4", rate)
    for _ in range(3):
        video.add(None, np.zeros((48, 64, 3), np.uint8), None)
    video.close()
    found = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert found.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, rel=1e-3)
    assert found.get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_a_video(call, model, tmp_path):
    path = write_video(tmp_path / "walk.mp4", 7)
    code, _, err = call(path, "--overlay", "--smooth", "savgol")
    assert code == 0, err
    rows = rows_of(tmp_path / "out/walk.csv")[3:]
    assert [row[0] for row in rows] == [str(n) for n in range(7)]
    times = rows_of(tmp_path / "out/walk.times.csv")
    assert times[0] == ["frame", "seconds"] and float(times[4][1]) == pytest.approx(0.12, abs=1e-3)
    frames = [frame.image for frame in find_sources([path])[0].frames()]
    for row, people in zip(rows, model(frames)):
        np.testing.assert_allclose(numbers(row)[:, :2], people.keypoints[0], atol=1e-4)
    images = json.loads((tmp_path / "out/walk.json").read_text())["images"]
    assert images[3]["file_name"] == "walk.mp4#3" and images[3]["frame_number"] == 3
    capture = cv2.VideoCapture(str(tmp_path / "out/walk.overlay.mp4"))
    drawn = [capture.read()[1] for _ in range(7)]
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    assert np.abs(drawn[3][..., ::-1].astype(int) - frames[3]).max() > 60  # something is drawn
    smooth = rows_of(tmp_path / "out/walk.smooth.csv")
    assert len(smooth) == 10 and smooth[1:3] == rows_of(tmp_path / "out/walk.csv")[1:3]


def test_tracks_keep_their_numbers(call, tmp_path):
    path = write_video(tmp_path / "walk.mp4", 6)
    lines = ["frame,x,y,width,height"]
    for n in range(6):  # two animals, named in turn first and second; the second one hides once
        left, right = f"{n},{n},5,20,30", f"{n},{40 - n},10,22,30"
        lines += [left] if n == 3 else [left, right] if n % 2 else [right, left]
    (tmp_path / "b.csv").write_text("\n".join(lines))
    code, _, err = call(path, "--boxes", tmp_path / "b.csv", "--track", "--nms", "0", "--overlay")
    assert code == 0, err
    document = json.loads((tmp_path / "out/walk.json").read_text())
    seen = {row["id"]: row["frame_number"] for row in document["images"]}
    tracks = {(seen[row["image_id"]], round(row["bbox"][2])): row["track_id"] for row in document["annotations"]}
    assert len(tracks) == 11 and len({number for (_, width), number in tracks.items() if width == 20}) == 1
    assert len({number for (_, width), number in tracks.items() if width == 22}) == 1
    assert set(rows_of(tmp_path / "out/walk.csv")[1][1:]) == {"individual1", "individual2"}


def test_overlays_of_pictures(call, tmp_path):
    save(tmp_path / "set", 1)
    assert call(tmp_path / "set", "--overlay")[0] == 0
    drawn = cv2.imread(str(tmp_path / "out/set.overlay/1.png.png"))
    assert drawn.shape == (60, 71, 3) and (drawn[..., ::-1] != picture(1, (71, 60))).any()
    assert 'src="1.png.png"' in (tmp_path / "out/set.overlay/index.html").read_text()


def test_work_behind_is_in_order_and_its_error_is_raised():
    done = []
    behind = Behind(done.append, most=2)
    for number in range(50):
        behind.add(number)
    behind.close()
    assert done == list(range(50))
    broken = Behind(lambda item: 1 // item, most=2)
    with pytest.raises(ZeroDivisionError):
        for number in (1, 0, *[1] * 50):
            broken.add(number)
        broken.close()


def test_the_smallest_score_counts_for_drawn_and_for_labelme_keypoints(call, model, tmp_path):
    (path,) = save(tmp_path / "set", 1)
    scores = np.sort(model(path).scores[0])
    (tmp_path / "b.csv").write_text("name,x,y,width,height\n1.png,5,5,50,40\n")
    call(tmp_path / "set", "--format", "labelme", "--min-score", str(scores[5:7].mean()))
    shapes = json.loads((tmp_path / "out/set.labelme/1.json").read_text())["shapes"]
    assert len(shapes) == 11
    same = {}
    for name, words in {"bare": (), "boxes": ("--boxes", tmp_path / "b.csv")}.items():
        assert call(tmp_path / "set", "--overlay", "--min-score", "99", *words, out=name)[0] == 0
        drawn = cv2.imread(str(tmp_path / name / "set.overlay/1.png.png"))
        same[name] = (drawn[..., ::-1] == picture(1, (71, 60))).all()
    assert same == {"bare": True, "boxes": False}  # boxes are drawn, keypoints are not


@pytest.mark.parametrize(("gap", "tracks"), [("2", 2), ("3", 1)])
def test_the_largest_gap_of_a_track(call, tmp_path, gap, tracks):
    path = write_video(tmp_path / "walk.mp4", 5)
    (tmp_path / "b.csv").write_text("frame,x,y,width,height\n0,5,5,20,30\n4,5,5,20,30\n")
    assert call(path, "--boxes", tmp_path / "b.csv", "--track", "--max-gap", gap)[0] == 0
    people = json.loads((tmp_path / "out/walk.json").read_text())["annotations"]
    assert len({row["track_id"] for row in people}) == tracks


def test_flip_test_and_batch_size_reach_the_network(call, run, tmp_path, monkeypatch):
    paths, sizes, predict = save(tmp_path / "set"), [], Predictor.predict_crops
    monkeypatch.setattr(
        Predictor, "predict_crops", lambda self, images, maps: sizes.append(len(images)) or predict(self, images, maps)
    )
    assert call(tmp_path / "set", "--flip-test", "--batch-size", "2")[0] == 0 and sizes == [2, 1]
    found = {flip: load_model(run, device="cpu", flip_test=flip)(paths) for flip in (True, False)}
    rows = rows_of(tmp_path / "out/set.csv")[3:]
    for row, flipped, plain in zip(rows, found[True], found[False], strict=True):
        np.testing.assert_allclose(numbers(row)[:, 2], flipped.scores[0], atol=1e-4)
        assert np.abs(flipped.scores - plain.scores).max() > 1e-3


def test_smoothing_goes_by_the_rate_of_the_video(call, tmp_path, monkeypatch):
    rates, smoothed = [], session.smoothed_records
    monkeypatch.setattr(
        session, "smoothed_records", lambda records, method, rate, path: rates.append(rate) or smoothed(
            records, method, rate, path
        )
    )  # fmt: skip
    assert call(write_video(tmp_path / "walk.mp4", 5, rate=50), "--smooth", "one-euro")[0] == 0
    assert rates == [pytest.approx(50)]


def test_frames_that_cannot_be_read_are_counted_named_and_skipped(call, tmp_path):
    save(tmp_path / "set", 9)
    for number in range(2, 9):
        (tmp_path / f"set/{number}.png").write_bytes(b"hello")
    code, out, err = call(tmp_path / "set")
    assert code == 0 and "2 frames" in out and "set/2.png" in err and "7 in all" in err and "set/8.png" not in err
    assert [row[0] for row in rows_of(tmp_path / "out/set.csv")[3:]] == ["1.png", "9.png"]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/1.png").write_bytes(b"hello")
    refused(call(tmp_path / "bad", out="none"), "no picture")


def test_mistakes_are_one_line(call, run, tmp_path, capsys):
    save(tmp_path / "set", 1)
    video = write_video(tmp_path / "v.mp4", 2)
    (tmp_path / "file").write_text("in the way")
    refused(call(tmp_path / "set", out="file/deeper"), "--out", "file")
    refused(call(tmp_path / "gone"), "gone")
    refused(call(video, "--format", "labelme"), "labelme")
    refused(call(tmp_path / "set", "--smooth", "savgol"), "--smooth", "set")
    refused(call(video, "--track"), "--track", "--boxes")
    refused(call(video, "--boxes", tmp_path / "none.json"), "none.json")
    refused(call(video, "--which", "third"), "third", "ensemble")
    (tmp_path / "b.csv").write_text("frame,x,y,width,height\n")
    refused(call(video, "--boxes", tmp_path / "b.csv", "--smooth", "savgol"), "--track")
    refused(call(video, "--boxes", tmp_path / "b.csv", "--detector", "dog"), "--detector")
    refused((job.main([str(tmp_path), video, "--out", str(tmp_path / "o")]), *capsys.readouterr()), "best.pth")
    assert not (tmp_path / "out").exists()
    for words in (["--batch-size", "0"], ["--nms", "2"], ["--max-gap", "-1"], ["--format", "xml"]):
        with pytest.raises(SystemExit) as end:
            call(video, *words)
        assert end.value.code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--images", "coco.json"), "--images needs --boxes"), (("--box-category", "1"), "needs --boxes"),
        (("--box-score", "0.5"), "needs --boxes"), (("--detector-score", "0.5"), "needs --detector"),
        (("--detector-model", "rtdetr"), "needs --detector"), (("--nms", "0"), "needs --boxes or --detector"),
        (("--max-gap", "3"), "--max-gap needs --track"), (("--min-score", "0.5"), "needs --overlay or"),
        (("--min-score", "nan", "--overlay"), "nan"),
    ],
)  # fmt: skip
def test_a_flag_that_would_do_nothing_is_refused(call, capsys, words, told):
    with pytest.raises(SystemExit) as end:
        call("v.mp4", *words)
    assert end.value.code == 2 and told in capsys.readouterr().err


def test_a_fault_while_smoothed_results_are_written_leaves_no_part_behind(model, tmp_path, monkeypatch):
    add = Records.add

    def full(records, record):
        if ".smooth" in records.path.name:
            raise NoSpaceError("the disk is full")
        add(records, record)

    monkeypatch.setattr(Records, "add", full)
    (source,) = find_sources([write_video(tmp_path / "v.mp4", 3)])
    with pytest.raises(NoSpaceError):
        predict_source(model.predictor, source, Options(tmp_path / "out", smooth="savgol"))
    assert sorted(os.listdir(tmp_path / "out")) == ["v.csv", "v.json", "v.times.csv"]


class Endless:
    """Frames without end that count how far the reading got."""

    title, is_video, total = "endless", False, None
    paths = ()

    def __init__(self, stop_at: int, stop):
        self.read, self.stop_at, self.stop = 0, stop_at, stop

    def frames(self):
        while True:
            if self.read == self.stop_at:
                self.stop()
            yield Frame(np.zeros((20, 20, 3), np.uint8), f"{self.read}.png", self.read)
            self.read += 1


def test_ctrl_c_leaves_valid_files_of_what_is_done(model, tmp_path):
    source = Endless(100, lambda: os.kill(os.getpid(), signal.SIGINT))
    report = predict_source(model.predictor, source, Options(tmp_path / "out"))
    assert report.stopped and report.frames > 0
    rows = rows_of(tmp_path / "out/endless.csv")[3:]
    assert len(rows) == report.frames == len(json.loads((tmp_path / "out/endless.json").read_text())["images"])
    assert sorted(os.listdir(tmp_path / "out")) == ["endless.csv", "endless.json"]


def test_a_fault_of_the_reader_ends_the_job_and_keeps_what_is_done(model, tmp_path):
    def fail():
        raise OSError("the cable was pulled")

    with pytest.raises(OSError, match="cable"):
        predict_source(model.predictor, Endless(100, fail), Options(tmp_path / "out"))
    assert len(rows_of(tmp_path / "out/endless.csv")) > 3
    assert sorted(os.listdir(tmp_path / "out")) == ["endless.csv", "endless.json"]


class Quick(Predictor):
    """Says at once that all keypoints are in the corner."""

    def predict_crops(self, images, to_image):
        time.sleep(0.03)  # decoding is faster, and must wait
        return np.zeros((len(images), 17, 2)), np.ones((len(images), 17))


def test_memory_is_flat(model, tmp_path):
    code = f"""
import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]
import resource, test_session as t
from pathlib import Path
class Some(t.Endless):
    def frames(self):
        for number, frame in zip(range(2500), super().frames()):
            yield t.Frame(frame.image.repeat(20, 0).repeat(20, 1), frame.name, number)
p = t.load_model({str(model.source)!r}).predictor
quick = t.Quick(p.networks, p.skeleton, p.size)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
t.predict_source(quick, Some(-1, None), t.Options(Path({str(tmp_path)!r}), formats=("csv", "coco")))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < 150  # MB; the frames are 1,200 MB


def test_the_same_numbers_as_valid(tmp_path, monkeypatch, capsys):
    """The predictions that valid scores, from a detector's boxes, with duplicates taken out."""
    write_demo_data(str(tmp_path / "people"), labeled=2, unlabeled=2, val=6, size=60, seed=0)
    truth = json.loads((tmp_path / "people/annotations/person_keypoints_val.json").read_text())
    boxes = [
        {"category_id": 1, "score": 0.9, "image_id": a["image_id"], "bbox": a["bbox"]} for a in truth["annotations"]
    ]
    boxes += [row | {"bbox": [x - 9 for x in row["bbox"][:2]] + row["bbox"][2:], "score": 0.4} for row in boxes]
    boxes += [row | {"score": 0.3} for row in boxes[:3]]  # the same pose again
    (tmp_path / "det.json").write_text(json.dumps(boxes))
    run = write_run(tmp_path / "run", "DATASET.ROOT", str(tmp_path / "people"))
    arguments = ["--checkpoint", str(run), "--out", str(tmp_path / "scores.json"), "TEST.USE_GT_BBOX", "false"]
    monkeypatch.setattr(sys, "argv", ["valid", *arguments, "TEST.COCO_BBOX_FILE", str(tmp_path / "det.json")])
    with pytest.raises(SystemExit) as end:
        cli.valid()
    assert end.value.code == 0
    scored = json.loads((tmp_path / "scores.val.results.json").read_text())
    images, listed = tmp_path / "people/images/val", tmp_path / "people/annotations/person_keypoints_val.json"
    words = [str(run), str(images), "--boxes", str(tmp_path / "det.json"), "--images", str(listed), "--device", "cpu"]
    assert job.main([*words, "--out", str(tmp_path / "out")]) == 0
    predicted = json.loads((tmp_path / "out/val.json").read_text())["annotations"]
    assert len(predicted) == len(scored) < len(boxes)
    key = lambda row: (row["image_id"], -row["score"])  # noqa: E731
    for one, two in zip(sorted(scored, key=key), sorted(predicted, key=key)):
        assert one["image_id"] == two["image_id"] and one["score"] == pytest.approx(two["score"], abs=1e-5)
        np.testing.assert_allclose(one["keypoints"], two["keypoints"], atol=1e-3)


def test_valid_needs_no_configuration_and_tries_its_outputs_first(run, tmp_path, monkeypatch, capsys):
    def valid(*words):
        monkeypatch.setattr(sys, "argv", ["valid", "--checkpoint", str(run), *words])
        with pytest.raises(SystemExit) as end:
            cli.valid()
        return end.value.code, *capsys.readouterr()

    (tmp_path / "file").write_text("in the way")
    start = time.monotonic()
    for words in (["--out", "file/x.json"], ["--out", "gone/x.json"], ["--show-dir", "file"]):
        refused(valid(words[0], str(tmp_path / words[1])), words[0], words[1])
    refused(valid("DATASET.ROOT", str(tmp_path / "nowhere")), "nowhere")
    refused(valid("--cfg", CFG, *SMALL, "DATASET.ROOT", str(tmp_path / "nowhere")), "nowhere")
    assert time.monotonic() - start < 60


def test_a_command_in_a_process_of_its_own(run, tmp_path):
    save(tmp_path / "set", 1)
    command = [sys.executable, "-m", "semipose", "predict", str(run), "set", "--out", "found", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "found/set.csv").exists() and "best.pth" in done.stderr
