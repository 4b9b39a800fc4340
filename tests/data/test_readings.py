"""Labels and pixels belong together: images are turned as their annotated sizes say, other sizes are faults."""

import json

import numpy as np
import pytest
from PIL import Image
from refusals import refused
from small_coco import source_of

from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import DirectCrops, _source_key
from semipose.data.images import image_size, read_image
from semipose.data.orientation import read_orientation, turned
from semipose.data.person_dataset import PersonDataset
from semipose.data.sources import read_own, read_pool
from semipose.prepare.check_images import check_images, image_faults, true_sizes
from semipose.skeletons import Skeleton
from semipose.structures import Reading

DOT = Skeleton(name="dot", keypoints=("dot",), sigmas=(0.1,))
SIZE = (40, 30)
TURNS = {
    1: None, 2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
    7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As Pillow turns it."""
    method, image = TURNS[orientation], Image.fromarray(pixels)
    return np.asarray(image.transpose(Image.Transpose[method]) if method else image)


def save(path, orientation: int, size=SIZE, **options) -> np.ndarray:
    """A black picture with one bright dot and an EXIF orientation; returns the stored pixels."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[6:9, 11:14] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return pixels


def coco_set(root, images: dict[str, tuple[int, tuple, bool]]):
    """A set of one dot on each image: orientation, stored size, and whether it was labelled on the upright picture."""
    rows, labels = [], []
    for number, (name, (orientation, size, is_upright)) in enumerate(images.items(), 1):
        pixels = save(root / "images/train" / name, orientation, size, quality=95)
        shown = upright(pixels, orientation) if is_upright else pixels
        y, x = (values.mean() for values in np.nonzero(shown[..., 0]))
        rows.append({"id": number, "file_name": name, "width": shown.shape[1], "height": shown.shape[0]})
        labels.append({"id": number, "image_id": number, "bbox": [1, 1, 25, 25], "area": 9, "keypoints": [x, y, 2]})
        labels[-1] |= {"category_id": 1, "iscrowd": 0}
    document = {"images": rows, "annotations": labels, "categories": [{"id": 1, "name": "a", "keypoints": ["dot"]}]}
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations/person_keypoints_train.json").write_text(json.dumps(document))
    return source_of(root, skeleton=DOT)


def brightness(persons, row: int) -> int:
    """At the keypoint of a person, in its picture as it is read."""
    x, y, _ = persons.keypoints[row, 0].round().astype(int)
    return int(read_image(persons.path(row), reading=persons.reading(row))[y, x].min())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif"])
def test_turns_are_those_of_viewers(tmp_path, orientation, name):
    pixels = save(tmp_path / name, orientation, quality=95)
    assert read_orientation(str(tmp_path / name)) == orientation
    np.testing.assert_array_equal(turned(pixels, orientation), upright(pixels, orientation))
    image = read_image(str(tmp_path / name), reading=Reading(orientation=orientation))
    np.testing.assert_array_equal(image > 128, upright(pixels, orientation) > 128)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_is_upright_whatever_reads_it(tmp_path, orientation, dtype):
    path, pixels = str(tmp_path / "a.tif"), np.zeros((30, 40), dtype)
    pixels[6:9, 11:14] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    shown = upright(pixels.astype(np.uint8), orientation)
    assert read_orientation(path) == 1 and image_size(path) == shown.shape[::-1]
    np.testing.assert_array_equal(read_image(path, reading=Reading(white=255))[..., 0] > 128, shown > 128)


@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_a_turned_picture_is_reduced_by_exactly_the_factor(tmp_path, reduce):
    pixels = save(tmp_path / "a.jpg", 6, (83, 61), quality=95)
    image = read_image(str(tmp_path / "a.jpg"), reduce, Reading((61, 83), 6))
    assert image.shape == (-(-83 // reduce), -(-61 // reduce), 3)
    values = image[..., 0].astype(float) * (image[..., 0] > 16)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    y, x = (places.mean() for places in np.nonzero(upright(pixels, 6)[..., 0]))
    centre = (columns * values).sum() / values.sum(), (rows * values).sum() / values.sum()
    assert centre == pytest.approx(((x + 0.5) / reduce - 0.5, (y + 0.5) / reduce - 0.5), abs=0.2)


def test_sizes_tell_what_labels_are_for(tmp_path, caplog):
    told = {f"{n}.jpg": (n, SIZE, True) for n in (5, 6, 7, 8)} | {
        "lying.jpg": (6, SIZE, False),
        "plain.jpg": (1, SIZE, True),
    }
    persons = read_own(coco_set(tmp_path, told))
    assert persons.image_orientations.tolist() == [5, 6, 7, 8, 1, 1]
    assert min(brightness(persons, row) for row in range(6)) > 200
    lines = [record.getMessage() for record in caplog.records if "EXIF" in record.getMessage()]
    assert len(lines) == 1 and " 4 images" in lines[0] and "5.jpg" in lines[0]


UNSURE = {"half.jpg": (3, SIZE, True), "square.jpg": (6, (30, 30), True), "mirror.jpg": (2, SIZE, True)}


@pytest.mark.parametrize(
    ("others", "exif", "turns"),
    [
        ({}, "auto", False),
        ({}, "upright", True),
        ({}, "stored", False),
        ({"told.jpg": (6, SIZE, True)}, "auto", True),
        ({"told.jpg": (6, SIZE, False)}, "auto", False),
        ({"told.jpg": (6, SIZE, False), "other.jpg": (8, SIZE, True)}, "auto", False),
    ],
)
def test_what_no_size_tells(tmp_path, caplog, others, exif, turns):
    source = coco_set(tmp_path, UNSURE | others)
    persons = read_own(source_of(tmp_path, skeleton=DOT, exif=exif))
    assert source.exif == "auto"
    assert persons.image_orientations[:3].tolist() == ([3, 6, 2] if turns else [1, 1, 1])
    assert ("3 images" in caplog.text and "key exif" in caplog.text) == (exif == "auto")


def test_other_sizes_are_faults_in_training_and_check(tmp_path):
    source = coco_set(tmp_path, {"0.jpg": (1, SIZE, True), "1.jpg": (6, SIZE, True)})
    save(tmp_path / "images/train/0.jpg", 1, (400, 300))
    persons = read_own(source)
    crops = ContextCrops(persons, (4, 4), 1.0, 1.0)
    refused(lambda: crops.cut([0]), "0.jpg", "400 x 300", "40 x 30")
    assert crops.cut([1]).shape == (1, 3, 4, 4)
    batch = PersonDataset(DirectCrops(crops), [1.0], "replace")[0]  # as in training, where faults count for MAX_BAD
    assert batch.index.tolist() == [1] and "400 x 300" in batch.faults[0]
    checks = check_images([str(path) for path in persons.image_paths])
    (finding,) = image_faults(persons, checks)
    assert finding.broken and finding.ids == (1,) and "400 x 300" in finding.text and "40 x 30" in finding.text
    assert true_sizes(persons, checks).tolist() == [[400, 300], [30, 40]]


def test_the_key_exif_holds_against_the_sizes(tmp_path):
    coco_set(tmp_path, {"0.jpg": (6, SIZE, True)})
    persons = read_own(source_of(tmp_path, skeleton=DOT, exif="stored"))
    refused(lambda: ContextCrops(persons, (4, 4), 1.0, 1.0).cut([0]), "0.jpg", "40 x 30", "30 x 40")


def test_upright_holds_where_the_size_is_that_of_the_file(tmp_path):
    """As for formats that have no sizes but those that are measured."""
    coco_set(tmp_path, {"0.jpg": (6, SIZE, False)})
    persons = read_own(source_of(tmp_path, skeleton=DOT, exif="upright"))
    assert persons.reading(0) == ((30, 40), 6, 0) and persons.boxes.tolist() == [[1, 1, 25, 25]]


@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
def test_a_size_that_differs_by_a_pixel_is_seen_at_any_reduction(tmp_path, reduce):
    save(tmp_path / "a.jpg", 1)
    read_image(str(tmp_path / "a.jpg"), reduce, Reading(SIZE))
    refused(lambda: read_image(str(tmp_path / "a.jpg"), reduce, Reading((39, 30))), "40 x 30", "39 x 30")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_of_a_pool_are_upright(tmp_path, caplog, orientation):
    pixels = save(tmp_path / "pool/a.png", orientation)
    persons = read_pool(source_of(tmp_path, format="images", annotation="pool", skeleton=DOT), DOT)
    shown = upright(pixels, orientation)
    assert persons.boxes.tolist() == [[0, 0, shown.shape[1], shown.shape[0]]]
    np.testing.assert_array_equal(read_image(persons.path(0), reading=persons.reading(0)), shown)
    assert ("1 images are turned" in caplog.text) == (orientation != 1)


@pytest.mark.parametrize("size", [SIZE, SIZE[::-1]])
def test_images_of_a_list_without_labels_are_upright(tmp_path, size):
    pixels = save(tmp_path / "images/train/a.png", 6)
    rows = [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}]
    (tmp_path / "list.json").write_text(json.dumps({"images": rows}))
    persons = read_pool(source_of(tmp_path, annotation="list.json", images="images/train", skeleton=DOT), DOT)
    assert persons.boxes.tolist() == [[0, 0, 30, 40]]
    np.testing.assert_array_equal(read_image(persons.path(0), reading=persons.reading(0)), upright(pixels, 6))


def test_cached_crops_are_of_one_reading(tmp_path):
    coco_set(tmp_path, {"half.jpg": (3, SIZE, True)})
    keys = set()
    for fields in ({"exif": "stored"}, {"exif": "upright"}, {"white": 7.0}):
        persons = read_own(source_of(tmp_path, skeleton=DOT, **fields))
        keys.add(_source_key(ContextCrops(persons, (4, 4), 1.0, 1.0)))
    assert len(keys) == 3


def test_damaged_exif_is_no_orientation(tmp_path):
    save(tmp_path / "a.jpg", 6)
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(
        data.replace(b"Exif\0\0MM\0*", b"Exif\0\0MMxx").replace(b"Exif\0\0II*\0", b"Exif\0\0IIxx")
    )
    assert read_orientation(str(tmp_path / "b.jpg")) == 1 and read_orientation(str(tmp_path / "none.jpg")) == 1
