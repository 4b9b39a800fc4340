"""One result for a picture, however it comes, with every codec and algorithm; boxes that cannot be used do no harm."""

import subprocess
import sys
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from refusals import refused
from small_videos import write_video
from untrained_run import picture, write_run

import semipose
from semipose import load_model
from semipose.algorithms import ALGORITHMS
from semipose.codecs import CODECS
from semipose.data.images import read_image
from semipose.predict import Predictor
from semipose.predict.videos import Video

CLOSE = 1e-4  # pixels


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def model(run):
    return load_model(run)


def same(first, second) -> None:
    np.testing.assert_allclose(first.keypoints, second.keypoints, atol=CLOSE)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-6)


def test_the_package_is_light():
    code = "import sys, semipose; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="nothing"):
        _ = semipose.nothing


def test_what_comes_back(model):
    people = model(picture(1), boxes=np.array([[5, 5, 30, 40], [20, 10, 50, 45.0]]))
    assert len(people) == 2 and people.keypoints.shape == (2, 17, 2) and people.scores.shape == (2, 17)
    assert people.boxes.tolist() == [[5, 5, 30, 40], [20, 10, 50, 45]] and people.box_scores.tolist() == [1, 1]
    assert people.names == model.skeleton.keypoints
    whole = model(picture(1))
    assert len(whole) == 1 and whole.boxes.tolist() == [[0, 0, 80, 60]]
    with_scores = model(picture(1), boxes=[[5, 5, 30, 40, 0.25]])
    assert with_scores.box_scores.tolist() == [0.25]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "tif"])
def test_path_array_batch_stream_and_zip_agree(model, tmp_path, ending):
    file = tmp_path / f"a.{ending}"
    Image.fromarray(picture(1, (300, 200))).save(file)
    stored = read_image(str(file))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(file, f"in/a.{ending}")
    expected = model(file)
    same(model(stored), expected)
    same(model(str(file)), expected)
    same(model(Image.open(file)), expected)
    same(model(f"{tmp_path}/a.zip@in/a.{ending}"), expected)
    batch = model([picture(2, (31, 77)), str(file), stored, picture(3, (1, 1))])
    same(batch[1], expected)
    same(batch[2], expected)
    same(list(model.stream(iter([picture(2), file])))[1], expected)


def test_a_frame_of_a_video_and_its_picture_agree(model, tmp_path):
    frames = [image for _, _, image in Video(write_video(tmp_path / "v.mp4", 5)).read()]
    cv2.imwrite(str(tmp_path / "f.png"), frames[3][..., ::-1])
    same(model.stream(frames).__next__(), model(frames[0]))
    same(model(frames)[3], model(tmp_path / "f.png"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_the_size_of_the_batch_changes_nothing(run, model, size):
    pictures = [picture(n) for n in range(4)]
    boxes = [None, [[1, 2, 30, 40], [10, 10, 20, 20], [0, 0, 9, 9]], np.zeros((0, 4)), [[3, 3, 50, 50]]]
    expected = [model(*pair) for pair in zip(pictures, boxes)]
    other = load_model(run)
    other.predictor.batch_size = size
    found = other(pictures, boxes)
    assert list(map(len, found)) == [1, 3, 0, 1]
    for one, two in zip(found, expected):
        same(one, two)


@pytest.mark.parametrize(
    ("algorithm", "codec"), [*(("cotrain1", codec) for codec in CODECS), *((name, "gaussian") for name in ALGORITHMS)]
)
def test_every_codec_and_algorithm(tmp_path, algorithm, codec):
    folder = write_run(tmp_path / "x", "ALGORITHM", algorithm, "MODEL.CODEC", codec, "PSEUDO.MIN_SCORE", "0")
    model = load_model(folder, flip_test=True)
    assert np.isfinite(model(picture(1)).keypoints).all()
    two = ALGORITHMS[algorithm].students == 2
    assert (model.which == "ensemble") == two
    ema = algorithm in ("mean_teacher", "cotrain", "cotrain1", "train_2p")
    expected = 2 if two else 1
    assert len(model.predictor.networks) == expected
    names = ({"first", "second", "ensemble"} if two else {"student"}) | ({"ema_first"} if two and ema else set())
    for name in names:
        assert load_model(folder, which=name).which == name


def test_the_ensemble_is_the_mean_of_the_emas(run, model):
    own = [load_model(run, which=f"ema_{name}").predictor.networks[0] for name in ("first", "second")]
    for one, two in zip(own, model.predictor.networks, strict=True):
        assert all((a == b).all() for a, b in zip(one.state_dict().values(), two.state_dict().values()))
    refused(lambda: load_model(run, which="third"), "third", "ema_first", "ensemble")


def test_flip_test_turns_the_mirrored_picture_back(run, model):
    flipped = load_model(run, flip_test=True)
    image = picture(5, (32, 48))
    order = model.skeleton.flip_order
    boxes = [[0, 0, 31, 47]]  # its middle is the middle of the picture
    found, mirrored = flipped(image, boxes), flipped(np.ascontiguousarray(image[:, ::-1]), boxes)
    assert np.abs(found.keypoints - model(image, boxes).keypoints).max() > 0.1
    np.testing.assert_allclose(31 - mirrored.keypoints[:, order, 0], found.keypoints[..., 0], atol=0.01)
    np.testing.assert_allclose(mirrored.keypoints[:, order, 1], found.keypoints[..., 1], atol=0.01)


def test_no_flip_test_where_left_and_right_are_not_clear(model, caplog):
    predictor = model.predictor
    unclear = replace(model.skeleton, swaps=(), mirrors=False)
    made = Predictor(predictor.networks, unclear, predictor.size, predictor.margin, predictor.padding, flip_test=True)
    assert not made.flip_test and "flip" in caplog.text
    same(made([picture(1)])[0], model(picture(1)))


BAD = {
    "NaN": [np.nan, 0, 10, 10], "infinite": [0, 0, np.inf, 5], "no area": [5, 5, 0, 10], "turned": [20, 20, -5, 5],
    "outside": [200, 0, 10, 10], "above": [0, -50, 20, 20], "huge": [0, 0, 1e30, 1e30],
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_box_that_cannot_be_used_keeps_its_place(model, kind):
    good = [5.0, 5, 30, 40]
    found = model(picture(1), boxes=[good, BAD[kind], good])
    assert np.isnan(found.keypoints[1]).all() and not found.scores[1].any()
    same(found.take([0]), model(picture(1), boxes=[good]))
    same(found.take([2]), found.take([0]))


def test_a_box_partly_outside_is_used(model):
    found = model(picture(1), boxes=[[-20, -20, 60, 60], [60, 40, 500, 500]])
    assert np.isfinite(found.keypoints).all()


@pytest.mark.parametrize("boxes", [[[1, 2, 3]], "all", [1, 2, 3, 4], [[[1, 2, 3, 4]]]])
def test_boxes_of_another_shape_are_refused(model, boxes):
    refused(lambda: model(picture(1), boxes=boxes), "boxes")


def test_boxes_for_another_number_of_pictures_are_refused(model):
    refused(lambda: model([picture(1), picture(2)], boxes=[None]), "1", "2")
    for boxes in ([], [None], [None] * 3):
        with pytest.raises(ValueError, match="zip"):
            list(model.stream([picture(1), picture(2)], boxes=boxes))


def test_boxes_of_several_pictures_may_be_one_array(model):
    pictures, boxes = [picture(1), picture(2)], np.array([[[10, 20, 30, 30]], [[0, 0, 20, 40]]])
    for found in (model(pictures, boxes=boxes), list(model.stream(pictures, boxes=boxes))):
        assert [people.boxes.tolist() for people in found] == boxes.tolist()


def test_no_picture_and_no_box(model):
    assert model([]) == []
    nothing = model(picture(1), boxes=[])
    assert len(nothing) == 0 and nothing.keypoints.shape == (0, 17, 2) and nothing.person_scores.shape == (0,)


def test_a_detector_is_any_callable(model):
    def detector(image):
        assert image.shape == (60, 80, 3) and image.dtype == np.uint8
        return [[5, 5, 30, 40]], [0.5]

    found = model(picture(1), detector=detector)
    assert found.box_scores.tolist() == [0.5]
    same(found, model(picture(1), boxes=[[5, 5, 30, 40]]))
    assert [len(one) for one in model([picture(1), picture(2)], detector=detector)] == [1, 1]
    refused(lambda: model(picture(1), detector=lambda image: ([[1, 2, 3, 4]], [1, 2])), "scores")
    refused(lambda: model(picture(1), detector=lambda image: None), "scores (N,)")
    refused(lambda: model(picture(1), boxes=[], detector=detector), "boxes", "detector")


def test_run_folders(tmp_path):
    refused(lambda: load_model(tmp_path / "none"), "none", "no such")
    refused(lambda: load_model(tmp_path), "best.pth", "last.pth")
    write_run(tmp_path / "runs/a", name="last.pth")
    assert load_model(tmp_path / "runs/a").source.name == "last.pth"
    write_run(tmp_path / "runs/a", name="best.pth")
    assert load_model(tmp_path / "runs/a").source.name == "best.pth"
    assert load_model(str(tmp_path / "runs/a/last.pth")).source.name == "last.pth"
    refused(lambda: load_model(tmp_path / "runs"), "runs/a")
    refused(lambda: load_model(tmp_path / "runs/a", device="abacus"), "abacus")
    (tmp_path / "x.pth").write_bytes(b"no")
    refused(lambda: load_model(tmp_path / "x.pth"), "x.pth")
