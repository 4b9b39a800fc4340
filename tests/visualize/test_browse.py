"""Browsing: what is drawn is what training makes, in its place, and the page says what it should."""

from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
import torch
from small_codecs import make_codec
from torch import nn

from semipose.algorithms.recipe import LossWeights, Recipe
from semipose.algorithms.step import Teacher, labeled_tasks, make_views
from semipose.pseudo_labels import PseudoLabeler, TeacherRecord
from semipose.skeletons import Skeleton
from semipose.structures import PairBatch, Persons, PoseBatch
from semipose.views.affine_draws import AffinePolicy
from semipose.views.joint_cutout import CutoutPolicy
from semipose.views.occlusion import OcclusionPolicies
from semipose.views.sampler import ViewPolicies, ViewSampler
from semipose.visualize import browse
from semipose.visualize.colors import SIDE_COLORS
from semipose.visualize.contact_sheet import SheetEntry, write_contact_sheet
from semipose.visualize.panels import BOX_COLOR, DROPPED_COLOR, LONG_SIDE, draw_in_image, draw_scores, draw_view

THREE = Skeleton(
    "three", ("nose", "left_hand", "right_hand"), (0.1, 0.1, 0.1), (("left_hand", "right_hand"),),
    (("nose", "left_hand"),),
)  # fmt: skip
COLORS = np.array([(255, 255, 255), (255, 0, 0), (0, 0, 255)], np.uint8)  # of the joints in the images
SIZE, BASE, COUNT = (48, 64), (72, 96), 6
CODEC = make_codec(SIZE, (12, 16), 1.0)
ALL = torch.ones(COUNT, 3, dtype=torch.bool)


@pytest.fixture
def batch() -> PoseBatch:
    """Black crops with a coloured square at each joint, which no view of `make_recipe` loses."""
    draw = np.random.default_rng(0)
    points = draw.integers((30, 38), (43, 59), (COUNT, 3, 2))
    points[:, :, 1] = np.array([38, 48, 58]) + draw.integers(-1, 2, (COUNT, 3))
    images = np.zeros((COUNT, BASE[1], BASE[0], 3), np.uint8)
    for image, places in zip(images, points):
        for (x, y), color in zip(places, COLORS):
            image[y - 2 : y + 3, x - 2 : x + 3] = color
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    maps = torch.eye(2, 3).repeat(COUNT, 1, 1)
    keypoints = torch.from_numpy(points).float()
    return PoseBatch(pixels, keypoints, torch.ones(COUNT, 3), maps, torch.arange(COUNT))


def make_recipe(hard_views=((),), min_score=0.0, **weights) -> Recipe:
    policy = AffinePolicy(rotation=15, rotation_prob=1.0, scale=0.1, scale_clip=0.1, flip=0.5)
    policies = ViewPolicies(
        policy, policy, policy, occlusion=OcclusionPolicies(CutoutPolicy(3, (20, 20), 0.0)), hard_views=hard_views
    )
    views = ViewSampler(policies, THREE, SIZE, torch.full((3,), 0.5), seed=0)
    return Recipe(views, PseudoLabeler("heatmap", min_score), LossWeights(**weights), unlabeled_size=COUNT)


def persons_of(batch: PoseBatch, known=ALL, paths=None) -> Persons:
    count = len(batch)
    xyv = np.concatenate([batch.keypoints.numpy(), known.numpy()[..., None]], 2).astype(np.float32)
    return Persons(
        np.array(paths or [f"{i}.png" for i in range(count)]), np.arange(count), np.arange(count, dtype=np.int32),
        np.arange(count) + 1, np.tile(np.float32([10, 20, 30, 40]), (count, 1)), xyv, np.ones(count, np.float32),
        np.ones(count, np.float32),
    )  # fmt: skip


@pytest.fixture
def drawn_views(monkeypatch) -> list:
    """All (picture, keypoints, shown) that are drawn."""
    found = []

    def record(picture, keypoints, shown, *rest):
        found.append((picture, keypoints, shown))
        return draw_view(picture, keypoints, shown, *rest)

    monkeypatch.setattr(browse, "draw_view", record)
    return found


def colors_under(picture, keypoints) -> np.ndarray:
    """(K, 3) which channels are bright under each keypoint."""
    columns, rows = keypoints.round().astype(int).T
    return picture[rows, columns] > 127


def follows(picture, keypoints, flipped) -> bool:
    """Whether the joints lie on their squares: in a mirrored view left and right have changed places."""
    wanted = COLORS[[0, 2, 1]] if flipped else COLORS
    return (colors_under(picture, keypoints) == (wanted > 0)).all()


def test_labeled_views_are_those_of_training_and_joints_lie_on_their_spots(batch, drawn_views):
    recipe = make_recipe()
    pictures = browse.labeled_pictures(recipe, CODEC, batch, 3, THREE)
    (trained,) = labeled_tasks(recipe, make_views(recipe, PairBatch(batch), 3), CODEC)
    expected = (trained.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    flipped = recipe.views.at_step(3).labeled(batch).flipped
    for i, (picture, keypoints, shown) in enumerate(drawn_views):
        assert np.array_equal(picture, expected[i]) and shown.all() and follows(picture, keypoints, flipped[i])
        peaks, _ = CODEC.decode(trained.target[i : i + 1])
        assert np.abs(peaks[0].numpy() - keypoints).max() < 1, "keypoints and target are of different views"
    assert len(drawn_views) == COUNT and 0 < flipped.sum() < COUNT, "both kinds must be tested"
    assert pictures[0].facts["taught"] == "3 keypoints with weight 1"


def test_a_joint_without_weight_is_not_drawn(batch, drawn_views):
    weights = batch.weights.clone()
    weights[:, 1:] = 0
    drawn = browse.labeled_pictures(make_recipe(), CODEC, replace(batch, weights=weights), 0, THREE)
    assert all(shown.tolist() == [True, False, False] for _, _, shown in drawn_views)
    assert drawn[0].facts["taught"].startswith("1 keypoints")


def test_centred_views_show_the_middle_in_any_skeleton(batch, drawn_views):
    one = replace(batch, keypoints=batch.keypoints[:, :1], weights=batch.weights[:, :1])
    nose = Skeleton("nose", ("nose",), (0.1,))
    browse.centred_pictures(CODEC, SIZE, one, nose)
    for (picture, keypoints, _), base in zip(drawn_views, one.keypoints):
        assert np.array_equal(keypoints, base.numpy() - [12, 16]) and colors_under(picture, keypoints).all()


def test_labels_follow_easy_and_hard_views(batch, drawn_views):
    recipe = make_recipe(hard_views=((), ()))
    drawn = browse.easy_hard_pictures(recipe, CODEC, persons_of(batch), batch, 1, THREE, {})
    assert len(drawn_views) == 3 * COUNT
    data = make_views(recipe, PairBatch(batch, batch.without_labels()), 1)
    for n, view in enumerate((data.easy, *data.hard)):
        images, points, shown = zip(*drawn_views[n * COUNT : (n + 1) * COUNT])
        assert np.array_equal(images, browse.view_pictures(view)), "not the views of training"
        assert np.all(shown) and all(map(follows, images, points, view.flipped))
    assert (data.easy.flipped != data.hard[0].flipped).any(), "no view is mirrored against its easy view"
    assert "true labels" in drawn[0].facts["points"]


def test_operations_hide_known_joints_only(batch, drawn_views):
    known = ALL.clone()
    known[0] = False
    known[1, 1] = False
    recipe = make_recipe(hard_views=(("joint_cutout",),))
    drawn = browse.easy_hard_pictures(recipe, CODEC, persons_of(batch, known), batch, 1, THREE, {})
    plain = browse.view_pictures(make_views(recipe, PairBatch(batch, batch.without_labels()), 1).hard[0])
    for i, (picture, keypoints, shown) in enumerate(drawn_views[COUNT:]):
        assert shown.sum() == known[i].sum()
        hidden = (picture != plain[i]).any(-1)
        under = keypoints[shown].round().astype(int)
        assert hidden[under[:, 1], under[:, 0]].all() and hidden.any() == known[i].any().item()
    assert drawn[0].facts["points"].startswith("none") and "true labels" in drawn[1].facts["points"]


class Oracle(nn.Module):
    """A teacher that knows three joints of the easy view, each with its peak."""

    def __init__(self, codec, points, peaks):
        super().__init__()
        self.codec = codec
        self.heatmaps = codec.encode(points, torch.ones(points.shape[:2]))[0] * torch.tensor(peaks)[:, None, None]

    def forward(self, images):
        return self.heatmaps


def test_pseudo_labels_with_scores_split_and_truth(batch, drawn_views, monkeypatch):
    lists = []
    monkeypatch.setattr(
        browse, "draw_scores", lambda *values: lists.append(values) or np.zeros((values[-1], 9, 3), np.uint8)
    )
    recipe, known = make_recipe(min_score=0.5), ALL.clone()
    known[:, 2] = False
    easy = make_views(recipe, PairBatch(batch, batch.without_labels()), 2).easy
    points = easy.from_base().points(batch.keypoints) + torch.tensor([4.0, 0.0])
    record = TeacherRecord(COUNT, 3)
    record.difficulty.refit(torch.cat([torch.full((20, 3), 0.1), torch.full((20, 3), 0.6)]) + 0.02 * torch.rand(40, 3))
    teachers = {
        "first": Teacher(Oracle(CODEC, points, [0.9, 0.7, 0.3]), record),
        "second": Teacher(Oracle(CODEC, points, [0.1, 0.1, 0.1]), TeacherRecord(COUNT, 3)),
    }
    drawn = browse.pseudo_pictures(recipe, CODEC, persons_of(batch, known), batch, 2, THREE, teachers)
    assert len(drawn) == COUNT and len(lists) == 2 * COUNT and len(drawn_views) == 4 * COUNT
    for i, (names, scores, kept, errors, _) in enumerate(lists[::2]):
        assert names == THREE.keypoints and kept.tolist() == [True, True, False]
        assert np.abs(scores - [0.9, 0.7, 0.3]).max() < 0.2
        hidden = 1 if easy.flipped[i] else 2
        assert np.isnan(errors[hidden]) and np.abs(np.delete(errors, hidden) - 4).max() < 0.5
    assert not any(kept.any() for _, _, kept, _, _ in lists[1::2])
    facts = drawn[0].facts
    assert facts["teacher first"].startswith("easy (probability") and "2 of 3 joints kept" in facts["teacher first"]
    assert facts["teacher second"].startswith("no easy/hard split") and "0 of 3" in facts["teacher second"]


def test_easy_hard_shows_what_teachers_say(batch, drawn_views):
    recipe = make_recipe(min_score=0.5)
    easy = make_views(recipe, PairBatch(batch, batch.without_labels()), 2).easy
    oracle = Oracle(CODEC, easy.from_base().points(batch.keypoints), [0.9, 0.7, 0.3])
    teachers = {"ema": Teacher(oracle, TeacherRecord(COUNT, 3))}
    persons = persons_of(batch, ~ALL)
    drawn = browse.easy_hard_pictures(recipe, CODEC, persons, batch, 2, THREE, teachers)
    for (picture, points, shown), flipped in zip(drawn_views[:COUNT], easy.flipped):
        assert shown.tolist() == [True, True, False] and follows(picture, points, flipped)
    assert all(shown.sum() == 2 for _, _, shown in drawn_views) and drawn[0].facts["points"] == "of the teachers: ema"


@pytest.mark.parametrize("mode", ["labeled", "easy-hard"])
def test_the_same_seed_draws_the_same_pictures(batch, mode):
    def draw(step):
        recipe = make_recipe(hard_views=(("joint_cutout",), ("cutmix", "rand_augment")))
        if mode == "labeled":
            return browse.labeled_pictures(recipe, CODEC, batch, step, THREE)
        return browse.easy_hard_pictures(recipe, CODEC, persons_of(batch), batch, step, THREE, {})

    first, again, other = ([d.picture for d in draw(step)] for step in (5, 5, 6))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_original_places_box_and_joints(tmp_path, batch):
    image = np.full((60, 100, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    persons = persons_of(batch, paths=[str(tmp_path / "a.png")] * COUNT)
    persons.keypoints[0] = [(20, 30, 1), (130, 50, 1), (35, 45, 0)]
    maps = torch.tensor([[[1.0, 0, -5], [0, 1.0, -5]]]).expand(COUNT, 2, 3)
    first = browse.original_pictures(persons, replace(batch, to_image=maps), SIZE, THREE)[0]
    assert first.facts == {"image": "100 x 60 px", "outside": "1 keypoints are not in the image"}
    assert max(first.picture.shape) == LONG_SIDE


def test_draw_in_image_scales_places_and_survives_wild_boxes():
    image, skeleton = np.full((60, 100, 3), 90, np.uint8), Skeleton("one", ("left_x",), (0.1,))
    keypoints, region = np.array([[20.0, 30.0, 1.0]]), np.array([(5, 5), (45, 5), (45, 55), (5, 55)], float)
    drawn = draw_in_image(image, keypoints, skeleton, np.array([10, 20, 30, 30]), region)
    # the window: the region with 2 pixels of room, from (3, 3) on, 55 pixels high
    assert drawn.shape[0] == LONG_SIDE
    joint, edge = (((np.array(spot) - 3 + 0.5) * LONG_SIDE / 55).astype(int) for spot in ((20, 30), (10, 40)))
    assert tuple(drawn[joint[1], joint[0]]) == SIDE_COLORS["left"]
    x, y = edge
    assert (drawn[y, x - 2 : x + 2] == BOX_COLOR).all(-1).any()
    away = np.array([500.0, 500.0, 10.0, 10.0])
    whole = draw_in_image(image, keypoints * 0, skeleton, away, away[:2] + np.zeros((4, 2)))
    assert whole.shape == (LONG_SIDE * 60 // 100, LONG_SIDE, 3) and (whole == 90).all()
    assert draw_in_image(image, keypoints * 0, skeleton, away * 1e30, region * np.nan).shape == whole.shape


def test_dropped_joints_are_crosses_and_scores_are_listed():
    picture = np.full((100, 120, 3), 90, np.uint8)
    points, kept = np.array([[30.0, 50.0], [80.0, 20.0], [60.0, 80.0]]), np.array([True, False, True])
    drawn = draw_view(picture, points, kept, THREE, np.ones(3), ~kept)
    cross = np.argwhere((drawn == DROPPED_COLOR).all(-1)).mean(0)
    assert drawn.shape == (400, 480, 3) and np.abs(cross - [82, 322]).max() < 1
    listed = draw_scores(THREE.keypoints, np.array([2.0, np.nan, 0.5]), kept, np.array([1.0, np.nan, 2.0]), 90)
    pink = (listed[..., 0].astype(int) - listed[..., 1] > 100).reshape(3, 30, -1)
    assert pink.any((1, 2)).tolist() == [False, True, False]
    assert draw_scores(["a"] * 50, np.zeros(50), np.ones(50, bool), None, 90).shape[0] > 700


def test_person_facts_name_what_is_set_only(batch):
    persons = persons_of(batch)
    assert browse.person_facts(persons, 1) == {
        "file": "1.png", "id": "2", "box": "10.0 20.0 30.0 40.0", "labelled": "3 of 3 keypoints",
    }  # fmt: skip
    persons.ids[0], persons.group_ids[0], persons.weights[0], persons.scores[0] = 10**15 + 1, 10**12 + 7, 2.5, 0.75
    assert browse.person_facts(persons, 0) == {
        "file": "0.png", "id": "1000000000000001", "box": "10.0 20.0 30.0 40.0", "labelled": "3 of 3 keypoints",
        "group id": "1000000000007", "weight": "2.5", "box score": "0.75",
    }  # fmt: skip


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_shows_all_and_escapes_all(tmp_path):
    evil = '<script src="http://x">\'"&\udcff'
    entries = [SheetEntry(f"{n}.png", (30, 40), {"file": evil, evil: "2 < 3"}) for n in range(3)]
    write_contact_sheet(tmp_path / "index.html", evil, evil, entries, [evil])
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert [found["src"] for tag, found in page.tags if tag == "img"] == ["0.png", "1.png", "2.png"]
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [value for _, found in page.tags for value in found.values() if value and "http" in value]
    assert page.text.count("2 < 3") == 3 and "".join(page.text).count('<script src="http://x">\'"&\\udcff') == 10
