"""Validation: perfect heatmaps score 1, in image pixels, for any shape, with the flip test and for several networks."""

import numpy as np
import pytest
import torch
from torch import nn

from semipose import build
from semipose.augment.views import centred_view
from semipose.config import load_config
from semipose.data.drawn_people import write_demo_data
from semipose.geometry import affine
from semipose.inference.predictor import predict_heatmaps
from semipose.structures import PoseBatch

PEOPLE = 10


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=2, unlabeled=2, val=PEOPLE, size=80, seed=0)
    # non-square, so that a mix-up of x and y shows
    pairs = ["DATASET.ROOT", str(root), "MODEL.IMAGE_SIZE", "[64,96]", "MODEL.HEATMAP_SIZE", "[16,24]"]
    return load_config("experiments/demo/cotrain.yaml", {}, [*pairs, "TEST.BATCH_SIZE", "4"])


class Oracle(nn.Module):
    """Answers the validation batches, in order, with the heatmaps of their labels (plus `shift` in view pixels)."""

    def __init__(self, validator, shift: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.validator, self.shift, self.calls = validator, shift, 0

    def forward(self, images):
        rows = range(self.calls * 4, min(self.calls * 4 + 4, PEOPLE))
        self.calls += 1
        batch = self.validator.loader.dataset.__getitems__(list(rows))
        view = centred_view(batch, self.validator.size, self.validator.flip_order)
        points = affine.apply(affine.invert(view.to_base), batch.keypoints) + self.shift
        return self.validator.codec.encode(points, batch.weights)[0]


def test_perfect_heatmaps_score_one(config):
    validator = build.build_validator(config, build.read_validation(config))
    metrics = validator({"student": Oracle(validator)}, ("student",))
    assert metrics["AP"] == metrics["AP_student"] == pytest.approx(1.0)
    assert metrics["PCK"] == pytest.approx(1.0) and "AP_ensemble" not in metrics


def test_errors_in_image_pixels_only_where_asked_for(config):
    """A shift of 12 view pixels in x and y, at about one image pixel each."""
    plain = build.build_validator(config, build.read_validation(config))
    assert not {"EPE", "PCK_px", "EPE_student"} & plain({"student": Oracle(plain)}, ("student",)).keys()
    config = config.clone()
    config.defrost()
    config.TEST.PIXELS = 2.0
    validator = build.build_validator(config, build.read_validation(config))
    predictors = {"first": Oracle(validator), "second": Oracle(validator, shift=12.0)}
    metrics = validator(predictors, ("first",))
    scale = np.sqrt(np.abs(np.linalg.det(validator.loader.dataset.source.crops.to_image[:, :, :2].astype(float))))
    assert metrics["EPE"] == metrics["EPE_first"] < 0.5 and metrics["PCK_px"] == metrics["PCK_px_first"] == 1
    assert metrics["EPE_second"] == pytest.approx(12 * np.sqrt(2) * scale.mean(), rel=0.25)
    assert metrics["PCK_px_second"] < 0.2


def test_each_predictor_and_the_ensemble_are_scored(config):
    validator = build.build_validator(config, build.read_validation(config))
    predictors = {"first": Oracle(validator), "second": Oracle(validator, shift=30.0)}
    metrics = validator(predictors, ("first", "second"))
    assert metrics["AP_first"] == pytest.approx(1.0) and metrics["AP_second"] < 0.1
    assert metrics["AP"] == metrics["AP_ensemble"]


def test_predictions_are_in_image_pixels_and_in_the_order_of_the_people(config):
    persons = build.read_validation(config)
    validator = build.build_validator(config, persons)
    rows, people = validator.predict({"student": Oracle(validator)}, ("student",))["student"]
    assert rows.tolist() == list(range(PEOPLE))
    assert np.abs(people.keypoints - persons.keypoints[..., :2]).max() < 0.5
    assert people.image_ids.tolist() == persons.image_ids[persons.image_index].tolist()


class LeftRight(nn.Module):
    """A network that marks left keypoints where an image is bright: mirrored images must be turned back."""

    def forward(self, images):
        bright = images.mean(1, keepdim=True)[..., ::4, ::4]
        return bright.expand(-1, 17, -1, -1) * torch.arange(17.0).view(1, 17, 1, 1)


def test_flip_test_averages_with_the_mirrored_image_turned_back(config):
    validator = build.build_validator(config, build.read_validation(config))
    images = torch.rand(2, 3, 96, 64)
    batch = PoseBatch(
        (images * 255).byte(),
        torch.zeros(2, 17, 2),
        torch.zeros(2, 17),
        torch.eye(2, 3).repeat(2, 1, 1),
        torch.arange(2),
    )
    view = centred_view(batch, (64, 96), validator.flip_order)
    plain, flipped = (predict_heatmaps(LeftRight(), view, validator.codec, flip) for flip in (False, True))
    turned = LeftRight()(view.images.flip(-1)).flip(-1)[:, validator.flip_order]
    torch.testing.assert_close(flipped, (plain + turned) / 2)
    assert not torch.allclose(flipped, plain)


def test_interrupts_are_polled_between_batches(config):
    looks = []
    validator = build.build_validator(config, build.read_validation(config), poll=lambda: looks.append(1))
    validator({"student": Oracle(validator)}, ("student",))
    assert len(looks) == 3


def test_areas_for_suppression_are_those_of_the_crops(config):
    persons = build.read_validation(config)
    validator = build.build_validator(config, persons)
    _, people = validator.predict({"student": Oracle(validator)}, ("student",))["student"]
    width = np.maximum(persons.boxes[:, 2], persons.boxes[:, 3] * 64 / 96) * 1.25
    np.testing.assert_allclose(people.areas, width * width * 96 / 64, rtol=1e-5)
