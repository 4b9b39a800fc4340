"""Batches of whole pictures: instances, weights and masks lie where the pixels lie."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_coco import source_of

from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.loaders import PairLoader, Side, Workers, evaluation_loader
from semipose.data.person_dataset import CachedRows
from semipose.data.picture_dataset import PictureDataset
from semipose.data.pictures import chosen_pictures, picture_rows, picture_sizes, unlabelled_regions
from semipose.data.regions import box_region
from semipose.data.sources import read_labeled
from semipose.geometry import affine
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import IGNORED, Persons, PoseBatch
from semipose.views.affine_draws import AffinePolicy
from semipose.views.sampler import ViewPolicies, ViewSampler

SAMPLES = os.environ.get("SEMIPOSE_SAMPLES", "")
WEIGHTS = [1.0, 0.5, 2.0]
THREE = Skeleton("three", ("nose", "left_hand", "right_hand"), (0.1,) * 3, (("left_hand", "right_hand"),), ())
SIZES = [(16, 20), (32, 24)]  # width, height of inputs


def crops_of(persons: Persons, size=(16, 20)) -> ContextCrops:
    return ContextCrops(picture_rows(persons, picture_sizes(persons)), size, 1.25, 1.0)


def make_dataset(persons, cache="none", folder=None, size=(16, 20), regions=None, on_fault="replace") -> PictureDataset:
    source = make_crop_source(crops_of(persons, size), cache, folder)
    return PictureDataset(source, persons, WEIGHTS, on_fault, regions)


def same(first: PoseBatch, second: PoseBatch) -> bool:
    pairs = [(getattr(first, n), getattr(second, n)) for n in ("images", "keypoints", "weights", "index", "to_image")]
    if first.mask is not None:
        pairs.append((first.mask, second.mask))
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_batch_holds_all_instances_of_its_pictures(people):
    dataset = make_dataset(people)
    rows = [3, 1, 4]  # with 2, 3 and 1 persons
    batch = dataset.__getitems__(rows)
    assert len(dataset) == 5 and batch.index.tolist() == rows and batch.mask is None
    assert batch.images.shape == (3, 3, 24, 20)
    assert batch.keypoints.shape == (3, 3, 3, 2) and batch.weights.shape == (3, 3, 3)
    places = affine.apply(batch.to_image, batch.keypoints)
    for b, row in enumerate(rows):
        on_it = np.flatnonzero(people.image_index == row)
        assert dataset.instance_rows(torch.tensor([row])).tolist() == [on_it.tolist()]
        for n, person in enumerate(on_it):
            labels = torch.from_numpy(people.keypoints[person])
            seen = labels[:, 2] > 0
            assert torch.allclose(places[b, n, seen], labels[seen, :2], atol=1e-3)
            assert torch.equal(batch.weights[b, n], labels[:, 2] * torch.tensor(WEIGHTS))
            assert (batch.keypoints[b, n, ~seen] == 0).all()
        assert (batch.weights[b, len(on_it) :] == 0).all() and (batch.keypoints[b, len(on_it) :] == 0).all()


def test_the_frame_fills_the_input(people):
    """Padding is 1, whatever DATASET.BOX_PADDING is: in the centred view the longer side of the picture touches."""
    crops = crops_of(people)
    (left, top), (right, bottom) = [
        affine.apply(affine.invert(torch.from_numpy(crops.to_image[:1])), torch.tensor([[corner]]))[0, 0].tolist()
        for corner in ((-0.5, -0.5), (59.5, 43.5))
    ]
    assert (left, right) == pytest.approx((1.5, 17.5), abs=0.2) and bottom - top == pytest.approx(44 * 16 / 60)


def test_a_picture_without_anybody(people):
    lonely = people.take(people.image_index != 2)
    batch = make_dataset(lonely).__getitems__([2])
    assert batch.keypoints.shape == (1, 1, 3, 2) and (batch.weights == 0).all()
    empty = make_dataset(lonely).__getitems__([])
    assert len(empty) == 0 and empty.keypoints.shape == (0, 1, 3, 2)


def test_weights_of_instances(people):
    """2 for one of the three persons of a picture, 0 for another one."""
    rows = np.flatnonzero(people.image_index == 1)
    factors = np.ones(9, np.float32)
    factors[rows[1:]] = 2, 0
    plain, weighted = (make_dataset(p)[1] for p in (people, replace(people, weights=factors)))
    assert torch.equal(weighted.weights[0, 0], plain.weights[0, 0])
    assert torch.equal(weighted.weights[0, 1], 2 * plain.weights[0, 1])
    labelled = plain.weights[0, 2] > 0
    assert labelled.any() and (weighted.weights[0, 2][labelled] == IGNORED).all()
    assert (weighted.weights[0, 2][~labelled] == 0).all()
    assert torch.equal(weighted.keypoints, plain.keypoints)


def test_a_keypoint_of_weight_0_is_no_background(people):
    source = make_crop_source(crops_of(people), "none", Path())
    weights = PictureDataset(source, people, [1.0, 0.0, 1.0], "replace").__getitems__(range(5)).weights
    assert set(weights[..., 1].unique().tolist()) == {IGNORED, 0.0} and (weights[..., 0] >= 0).all()


@pytest.mark.parametrize("size", SIZES)
def test_caches_give_the_same(people, tmp_path, size):
    regions = {str(people.image_paths[1]): [box_region([5, 5, 20, 20])]}
    plain, ram, disk = (
        make_dataset(people, cache, tmp_path / "cache", size, regions) for cache in ("none", "ram", "disk")
    )
    again = make_dataset(people, "disk", tmp_path / "cache", size, regions)
    want = plain.__getitems__([1, 4, 0])
    assert all(same(want, dataset.__getitems__([1, 4, 0])) for dataset in (ram, disk, disk, again))
    assert want.mask.shape == (3, *want.images.shape[-2:]) and want.mask[1:].all() and not want.mask[0].all()


def test_the_disk_cache_tells_pictures_from_persons(people, tmp_path):
    cache = tmp_path / "cache"
    make_dataset(people, "disk", cache)
    make_dataset(people, "disk", cache, size=(32, 24))
    make_crop_source(ContextCrops(picture_rows(people, picture_sizes(people)), (16, 20), 1.25, 1.25), "disk", cache)
    make_crop_source(ContextCrops(people, (16, 20), 1.25, 1.0), "disk", cache)
    assert len(list(cache.iterdir())) == 4
    make_dataset(people.take([0, 1, 2]), "disk", cache)  # other labels, the same pictures
    assert len(list(cache.iterdir())) == 4


def test_workers_that_fill_a_cache(people):
    dataset = pickle.loads(pickle.dumps(make_dataset(people, "ram")))
    found = CachedRows(dataset).__getitems__([4, 1])
    assert same(dataset.batch(found), make_dataset(people).__getitems__([4, 1]))


def test_loaders(people):
    dataset = make_dataset(people)
    loader = PairLoader(Side(dataset, 2), Side(make_dataset(people, "ram"), 3), seed=3, workers=Workers(1))
    (first, second) = list(loader.batches(0))
    assert sorted(first.unlabeled.index.tolist() + second.unlabeled.index.tolist()) == [0, 1, 2, 3, 4]
    assert not first.unlabeled.weights.any() and not first.unlabeled.keypoints.any() and first.labeled.weights.any()
    assert loader.ids(first)["unlabeled"] == people.image_ids[first.unlabeled.index.numpy()].tolist()
    assert [batch.index.tolist() for batch in evaluation_loader(dataset, 3)] == [[0, 1, 2], [3, 4]]


def test_broken_pictures(people):
    Path(people.image_paths[1]).write_bytes(b"no image")
    batch = make_dataset(people).__getitems__([0, 1])
    assert batch.index.tolist() == [0, 2] and len(batch.faults) == 1 and batch.keypoints.shape[:2] == (2, 2)
    assert make_dataset(people, on_fault="omit").__getitems__([0, 1]).index.tolist() == [0]


@pytest.fixture
def dots(tmp_path) -> Persons:
    """Black pictures of many shapes with two persons each; a square in a colour of its own lies on each keypoint."""
    draw, paths, keypoints = np.random.default_rng(0), [], []
    grid = np.stack(np.meshgrid([0.3, 0.5, 0.7], [0.4, 0.6]), -1)  # (person, keypoint, xy)
    shapes = [(90, 60), (50, 110), (640, 400), (64, 64)]
    for number, (width, height) in enumerate(shapes):
        picture, half = np.zeros((height, width, 3), np.uint8), max(width, height) // 26
        spots = ((grid + draw.uniform(-0.03, 0.03, grid.shape)) * (width, height)).round()
        for (x, y), color in zip(spots.reshape(-1, 2).astype(int), np.tile(np.eye(3, dtype=int) * 255, (2, 1))):
            picture[y - half : y + half + 1, x - half : x + half + 1] = color
        paths.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(paths[-1], picture[..., ::-1])
        keypoints += [np.concatenate([person, np.ones((3, 1))], 1) for person in spots]
    count, nothing = len(shapes), np.ones(2 * len(shapes), np.float32)
    return Persons(
        np.array(paths), np.arange(count), np.repeat(np.arange(count), 2).astype(np.int32), np.arange(2 * count),
        np.ones((2 * count, 4), np.float32), np.array(keypoints, np.float32), nothing, nothing,
    )  # fmt: skip


def labelled_view(batch: PoseBatch, size: tuple[int, int], seed: int):
    policy = AffinePolicy(rotation=20, rotation_prob=1.0, scale=0.2, scale_clip=0.2, flip=0.5)
    sampler = ViewSampler(ViewPolicies(labeled=policy), THREE, size, torch.zeros(3), seed)
    return sampler.at_step(0).labeled(batch)


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (64, 96)])
@pytest.mark.parametrize("seed", range(2))
def test_a_coloured_pixel_lands_where_its_keypoint_lands(dots, size, seed):
    batch = make_dataset(dots, size=size).__getitems__(range(4))
    view = labelled_view(batch, size, seed)
    points = view.from_base().points(batch.keypoints).round().long()
    limits = torch.tensor(size)
    seen = ((points >= 1) & (points < limits - 1)).all(-1)
    assert seen.sum() >= 20 and len(view.flipped.unique()) == 2
    for b, n, k in seen.nonzero().tolist():
        shown = int(view.flip_order[k]) if view.flipped[b] else k  # a mirrored left hand is called the right one
        x, y = points[b, n, k].tolist()
        color = view.images[b, :, y, x]
        assert color[shown] > 0.3 and color.argmax() == shown, (b, n, k, color)


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (64, 96)])
@pytest.mark.parametrize("seed", range(3))
def test_a_mask_lies_over_its_pixels(tmp_path, make_persons, size, seed):
    """White pictures with one black region each: the view is white where the mask is 1, as far as there is picture."""
    rows, regions = [], {}
    for number, (width, height) in enumerate([(90, 60), (50, 110), (900, 700)]):
        picture = np.full((height, width, 3), 255, np.uint8)
        box = [width // 4, height // 3, width // 3, height // 4]
        picture[box[1] : box[1] + box[3] + 1, box[0] : box[0] + box[2] + 1] = 0
        path = str(tmp_path / f"{number}.png")
        cv2.imwrite(path, picture)
        rows.append((path, (1, 1, 5, 5)))
        regions[path] = [box_region(box)]
    batch = make_dataset(make_persons(rows), size=size, regions=regions).__getitems__([0, 1, 2])
    view = labelled_view(batch, size, seed)
    white = view.images.mean(1, keepdim=True)
    black = 1 - view.mask
    assert black.sum() > 100
    assert white[black > 0.99].max() < 0.5  # of region pixels none is white
    shown = white > 0.99
    assert shown.sum() > 1000 and view.mask[shown].min() > 0.5
    # black without a mask is only outside of the picture
    to_image = affine.compose(batch.to_image, view.to_base)
    grid = torch.stack(torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="xy"), -1).float()
    places = affine.apply(to_image, grid.reshape(1, -1, 2).expand(3, -1, -1))
    limits = torch.from_numpy(picture_sizes(make_persons(rows))).float()[:, None] - 2
    within = ((places > 1) & (places < limits)).all(-1).reshape(3, 1, size[1], size[0])
    assert white[within & (view.mask > 0.99)].min() > 0.4


SETS = {
    "coco": ("coco/test_coco.json", [1, 2, 4, 5], 2),
    "aic": ("aic/test_aic.json", [3, 3, 3], 0),
    "crowdpose": ("crowdpose/test_crowdpose.json", [2, 2], 1),
    "mpii": ("mpii/test_mpii.json", [1, 1, 1, 1, 1], 0),
    "jhmdb": ("jhmdb/test_jhmdb_sub1.json", [1, 1, 1], 0),
    "ochuman": ("ochuman/test_ochuman.json", [1, 2, 2], 0),
}  # file, persons on each picture, pictures with regions


@pytest.mark.skipif(not SAMPLES, reason="SEMIPOSE_SAMPLES is not set")
@pytest.mark.parametrize("name", SETS)
def test_the_samples(name):
    file, counts, masked = SETS[name]
    skeleton = get_skeleton(name)
    folder = {"format": name, "annotation": file, "images": os.path.dirname(file), "skeleton": skeleton}
    source = source_of(SAMPLES, **folder)
    persons = chosen_pictures(source, read_labeled(source, skeleton), "labelled")
    regions, weights = unlabelled_regions(source, persons), [1.0] * len(skeleton)
    crops = make_crop_source(crops_of(persons, (256, 256)), "none", Path())
    batch = PictureDataset(crops, persons, weights, "replace", regions).__getitems__(range(len(counts)))
    assert (batch.weights > 0).any(-1).sum(1).tolist() == counts and len(regions) == masked
    assert (batch.weights > 0).sum() == (persons.keypoints[..., 2] > 0).sum() and not batch.faults
    places = affine.apply(batch.to_image, batch.keypoints)[batch.weights > 0]
    order = np.argsort(persons.image_index, kind="stable")
    labels = persons.keypoints[order][persons.keypoints[order][..., 2] > 0][:, :2]
    assert np.abs(places.numpy() - labels).max() < 0.01
