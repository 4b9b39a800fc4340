"""Validation: perfect heatmaps score 1, in image pixels, for any shape, with the flip test and for several networks."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_codecs import make_codec
from torch import nn

from semipose import assemble
from semipose.assemble.validator import best_metric, build_metric_options
from semipose.config import load_config
from semipose.config.source_keys import convert_sources
from semipose.data.loaders import Workers, evaluation_loader
from semipose.errors import ConfigError, DataError
from semipose.evaluation import KeypointPredictions, validation
from semipose.evaluation.dry_run import dry_run
from semipose.evaluation.network_outputs import points_in_image, predict_output
from semipose.geometry import affine
from semipose.models.pose_network import NetworkPlan, build_pose_network
from semipose.prepare.drawn_people import write_demo_data
from semipose.skeletons import get_skeleton
from semipose.structures import PoseBatch
from semipose.views.sampler import centred_view

PEOPLE = 10
CODEC = make_codec((64, 96), (16, 24), 1.0)


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
        self.codec = CODEC
        self.dataset = next(iter(validator.sets.values())).dataset

    def forward(self, images):
        people = len(self.dataset)
        start = self.calls * 4 % (4 * -(-people // 4))
        self.calls += 1
        batch = self.dataset.__getitems__(list(range(start, min(start + 4, people))))
        view = centred_view(batch, self.validator.size, self.validator.flip_order)
        points = affine.apply(affine.invert(view.to_base), batch.keypoints) + self.shift
        return self.codec.encode(points, batch.weights)[0]


def only(validator):
    (entry,) = validator.sets.values()
    return entry


def test_perfect_heatmaps_score_one(config):
    validator = assemble.build_validator(config, assemble.read_validation(config))
    metrics = validator({"student": Oracle(validator)}, ("student",))
    assert metrics["AP"] == metrics["AP_student"] == pytest.approx(1.0)
    assert metrics["PCK"] == pytest.approx(1.0) and "AP_ensemble" not in metrics


def test_errors_in_image_pixels_only_where_asked_for(config):
    """A shift of 12 view pixels in x and y, at about one image pixel each."""
    plain = assemble.build_validator(config, assemble.read_validation(config))
    assert not {"EPE", "PCK_px", "EPE_student"} & plain({"student": Oracle(plain)}, ("student",)).keys()
    config = config.clone()
    config.defrost()
    config.TEST.PIXELS = 2.0
    validator = assemble.build_validator(config, assemble.read_validation(config))
    predictors = {"first": Oracle(validator), "second": Oracle(validator, shift=12.0)}
    metrics = validator(predictors, ("first",))
    scale = np.sqrt(np.abs(np.linalg.det(only(validator).dataset.source.crops.to_image[:, :, :2].astype(float))))
    assert metrics["EPE"] == metrics["EPE_first"] < 0.5 and metrics["PCK_px"] == metrics["PCK_px_first"] == 1
    assert metrics["EPE_second"] == pytest.approx(12 * np.sqrt(2) * scale.mean(), rel=0.25)
    assert metrics["PCK_px_second"] < 0.2


def test_each_predictor_and_the_ensemble_are_scored(config):
    validator = assemble.build_validator(config, assemble.read_validation(config))
    predictors = {"first": Oracle(validator), "second": Oracle(validator, shift=30.0)}
    metrics = validator(predictors, ("first", "second"))
    assert metrics["AP_first"] == pytest.approx(1.0) and metrics["AP_second"] < 0.1
    assert metrics["AP"] == metrics["AP_ensemble"]


def test_predictions_are_in_image_pixels_and_in_the_order_of_the_people(config):
    persons = assemble.read_validation(config)
    validator = assemble.build_validator(config, persons)
    rows, people = validator.predict(only(validator), {"student": Oracle(validator)}, ("student",))["student"]
    assert rows.tolist() == list(range(PEOPLE))
    persons = persons["val"]
    assert np.abs(people.keypoints - persons.keypoints[..., :2]).max() < 0.5
    assert people.image_ids.tolist() == persons.image_ids[persons.image_index].tolist()


class LeftRight(nn.Module):
    """A network that marks left keypoints where an image is bright: mirrored images must be turned back."""

    codec = CODEC

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        bright = images.mean(1, keepdim=True)[..., ::4, ::4]
        return bright.expand(-1, 17, -1, -1) * torch.arange(17.0).view(1, 17, 1, 1)


def test_flip_test_averages_with_the_mirrored_image_turned_back(config):
    validator = assemble.build_validator(config, assemble.read_validation(config))
    images = torch.rand(2, 3, 96, 64)
    maps = torch.eye(2, 3).repeat(2, 1, 1)
    batch = PoseBatch((images * 255).byte(), torch.zeros(2, 17, 2), torch.zeros(2, 17), maps, torch.arange(2))
    view = centred_view(batch, (64, 96), validator.flip_order)
    plain, flipped = (predict_output(LeftRight(), view, flip) for flip in (False, True))
    turned = LeftRight()(view.images.flip(-1)).flip(-1)[:, validator.flip_order]
    torch.testing.assert_close(flipped, (plain + turned) / 2)
    assert not torch.allclose(flipped, plain)


def test_no_flip_test_where_left_and_right_are_not_clear(config):
    sets = assemble.build_validator(config, assemble.read_validation(config)).sets
    coco = get_skeleton("coco")
    for skeleton, used in ((coco, True), (replace(coco, swaps=(), mirrors=False), False)):
        assert validation.Validator(sets, skeleton, (64, 96), flip_test=True).flip_test == used


def one_after_another(validator, predictors, main) -> dict:
    """Metrics of one set, fetched batch by batch and scored network by network."""
    entry, scores, rows = only(validator), {}, []
    found = {name: [] for name in (*predictors, "ensemble")}
    for batch in entry.loader:
        view = centred_view(batch, validator.size, validator.flip_order)
        maps = {n: predict_output(net, view, validator.flip_test).cpu() for n, net in predictors.items()}
        maps["ensemble"] = torch.stack([maps[name] for name in main]).mean(0)
        rows += batch.index.tolist()
        for name, pieces in found.items():
            points, peaks = CODEC.decode(maps[name])
            pieces.append([points_in_image(points, view, batch).cpu(), peaks.cpu()])
    for name, pieces in found.items():
        points, peaks = (torch.cat(column).double().numpy() for column in zip(*pieces))
        persons = entry.dataset.persons.take(rows)
        areas = np.abs(np.linalg.det(entry.dataset.source.crops.to_image[rows, :, :2].astype(float)))
        people = KeypointPredictions(
            persons.image_ids[persons.image_index], points, peaks, persons.scores.astype(float), areas * 64 * 96
        )
        scores[name] = validator.score(entry, np.array(rows), people)
    return {f"{key}_{who}": each[key] for who, each in scores.items() for key in ("AP", "PCK")} | scores["ensemble"]


@pytest.mark.parametrize("workers", [0, 1])
def test_metrics_are_those_of_batches_fetched_one_after_another(config, workers):
    config = on_sets(config, "val", FLIP_TEST=True)
    config.WORKERS = workers
    validator = assemble.build_validator(config, assemble.read_validation(config))
    torch.manual_seed(1)
    main = ("first", "second")
    predictors = {name: build_pose_network(NetworkPlan("light_unet", 17, (64, 96), sigma=1.0)) for name in main}
    for network in predictors.values():
        network.head.final.weight.data.normal_()
    expected = one_after_another(validator, predictors, main)
    assert validator(predictors, main) == expected
    assert expected["PCK_first"] != expected["PCK_second"]


def test_nothing_is_fetched_before_the_last_batch_is_predicted(config, monkeypatch):
    events, fetch = [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: events.append("fetch") or fetch(tensor))
    validator = assemble.build_validator(config, assemble.read_validation(config), poll=lambda: events.append("batch"))
    validator.predict(only(validator), {"student": LeftRight()}, ("student",))
    assert events == 3 * ["batch"] + 6 * ["fetch"]


def test_no_open_file_of_a_worker_is_kept(config, monkeypatch):
    """A set of many batches would run out of them."""
    config, kept = config.clone(), []
    config.defrost()
    config.WORKERS = 1
    validator = assemble.build_validator(config, assemble.read_validation(config))
    monkeypatch.setattr(validation, "gather", lambda pieces: kept.extend(pieces) or [pieces])
    validator.predict(only(validator), {"student": LeftRight()}, ("student",))
    assert len(kept) == 3 and not any(value.is_shared() for _, *values in kept for value in values)


def test_an_interrupt_leaves_nothing_behind(config):
    """No thread, and a validator that gives the same as before."""

    class Stop(Exception):
        pass

    def stop_at_the_second():
        looks.append(1)
        if len(looks) == 2:
            raise Stop

    looks, threads = [], set(threading.enumerate())
    validator = assemble.build_validator(config, assemble.read_validation(config), poll=stop_at_the_second)
    with pytest.raises(Stop):
        validator({"student": LeftRight()}, ("student",))
    # one that another test has left may end meanwhile
    assert set(threading.enumerate()) <= threads and len(looks) == 2
    whole = assemble.build_validator(config, assemble.read_validation(config))
    assert validator({"student": LeftRight()}, ("student",)) == whole({"student": LeftRight()}, ("student",))


def test_faults_are_reported_batch_by_batch_and_their_persons_left_out(config, tmp_path):
    shutil.copytree(config.DATASET.ROOT, tmp_path / "people")
    config = config.clone()
    config.defrost()
    config.DATASET.ROOT = str(tmp_path / "people")
    persons, reports = assemble.read_validation(config), []
    broken = persons["val"].path(5)
    Path(broken).write_bytes(b"no picture")
    validator = assemble.build_validator(config, persons, on_faults=reports.append)
    rows, people = validator.predict(only(validator), {"student": LeftRight()}, ("student",))["student"]
    missing = [row for row in range(PEOPLE) if persons["val"].path(row) == broken]
    assert rows.tolist() == [row for row in range(PEOPLE) if row not in missing] and 5 in missing
    assert len(people) == len(rows) and validator.score(only(validator), rows, people)["PCK"] >= 0
    assert [len(lines) for lines in reports] == [len([r for r in missing if r // 4 == turn]) for turn in range(3)]


def test_parts_of_two_ranks_are_joined_in_order(config, monkeypatch):
    """Batches of 4, 4 and 2 persons: the second rank has one, and an empty one."""
    persons, parts = assemble.read_validation(config), []
    whole = assemble.build_validator(config, persons)
    expected = whole({"student": LeftRight()}, ("student",))
    for rank in (1, 0):
        validator = assemble.build_validator(config, persons)
        entry = only(validator)
        loader = evaluation_loader(entry.dataset, 4, Workers(rank=rank, ranks=2))
        validator.sets = {"val": replace(entry, loader=loader)}
        for name, answer in {"rank": rank, "ranks": 2}.items():
            monkeypatch.setattr(validation, name, lambda answer=answer: answer)
        monkeypatch.setattr(validation, "gather", lambda part: parts.append(part) or parts[::-1])
        found = validator.predict(only(validator), {"student": LeftRight()}, ("student",))
    monkeypatch.undo()
    rows, people = found["student"]
    assert rows.tolist() == list(range(PEOPLE))
    assert validator.score(only(validator), rows, people).items() <= expected.items()


def test_areas_for_suppression_are_those_of_the_crops(config):
    persons = assemble.read_validation(config)
    validator = assemble.build_validator(config, persons)
    _, people = validator.predict(only(validator), {"student": Oracle(validator)}, ("student",))["student"]
    persons = persons["val"]
    width = np.maximum(persons.boxes[:, 2], persons.boxes[:, 3] * 64 / 96) * 1.25
    np.testing.assert_allclose(people.areas, width * width * 96 / 64, rtol=1e-5)


ARMS = ("left_elbow", "right_elbow", "left_wrist", "right_wrist")


@pytest.fixture(scope="module")
def arms(config):
    """A second set beside the first: the same people with four keypoints in an order of their own, in two groups."""
    coco, root = get_skeleton("coco"), Path(config.DATASET.ROOT)
    document = json.loads((root / "annotations/person_keypoints_val.json").read_text())
    for number, person in enumerate(document["annotations"]):
        rows = np.array(person["keypoints"]).reshape(17, 3)[[coco.index(name) for name in ARMS]]
        person |= {"keypoints": rows.ravel().tolist(), "num_keypoints": int((rows[:, 2] > 0).sum())}
        person["group_id"] = number % 2
    document["categories"][0]["keypoints"] = list(ARMS)
    (root / "annotations/arms.json").write_text(json.dumps(document))
    (root / "arms.yaml").write_text(f"name: arms\nkeypoints: [{', '.join(ARMS)}]\nsigmas: 0.07\n")
    return f"name: arms, annotation: annotations/arms.json, images: images/val, skeleton: {root}/arms.yaml"


def on_sets(config, *sets, **test):
    config = config.clone()
    config.defrost()
    config.DATASET.TEST_SET = convert_sources(f"[{', '.join(sets)}]", "DATASET.TEST_SET", "test")
    for key, value in test.items():
        config.TEST[key] = value
    return config


def metrics_of(config):
    validator = assemble.build_validator(config, assemble.read_validation(config))
    return validator({"student": Oracle(validator)}, ("student",))


def test_several_sets_are_each_scored_in_their_own_keypoints(config, arms):
    metrics = metrics_of(on_sets(config, "val", f"{{{arms}}}"))
    for name in ("AP", "PCK", "val/AP", "val/PCK", "arms/AP", "arms/PCK", "arms/AP_group_0", "arms/AP_group_1"):
        assert metrics[name] == pytest.approx(1.0), name
    assert "val/AP_group_0" not in metrics


def test_two_sets_of_one_name_are_refused(config):
    with pytest.raises(ConfigError, match="'val'"):
        metrics_of(on_sets(config, "val", "val"))


def test_output_keypoint_indices_choose_the_outputs(config, arms):
    right = [get_skeleton("coco").index(name) for name in ARMS]
    for indices, score in ((right, 1.0), (right[::-1], 0.0)):
        metrics = metrics_of(on_sets(config, "val", f"{{{arms}, output_keypoint_indices: {indices}}}"))
        assert metrics["arms/AP"] == pytest.approx(score, abs=0.05)
    with pytest.raises(ConfigError, match="output_keypoint_indices.*2.*'arms'.*4"):
        metrics_of(on_sets(config, "val", f"{{{arms}, output_keypoint_indices: [1, 2]}}"))


def test_labels_converted_to_the_network_count_with_the_keypoints_they_have(config, arms):
    pairs = [[number, name] for number, name in enumerate(ARMS)]
    metrics = metrics_of(on_sets(config, "val", f"{{{arms}, keypoint_pairs: {json.dumps(pairs)}}}"))
    assert metrics["arms/AP"] == pytest.approx(1.0)
    wrong = [[3 - number, name] for number, name in enumerate(ARMS)]
    metrics = metrics_of(on_sets(config, "val", f"{{{arms}, keypoint_pairs: {json.dumps(wrong)}}}"))
    assert metrics["arms/AP"] < 0.1


def test_keypoints_that_the_network_lacks_do_not_count(config, arms):
    """The other way round: a network of four keypoints on people with seventeen."""
    skeleton = arms.rpartition(" ")[2]
    config = on_sets(config, f"{{{arms}}}", "{annotation: val, skeleton: coco}")
    config.DATASET.SKELETON = skeleton
    metrics = metrics_of(config)
    assert metrics["AP"] == pytest.approx(1.0) and metrics["val/AP"] == pytest.approx(1.0)
    assert metrics["val/PCK"] == pytest.approx(1.0)


def test_best_metric(config, arms):
    both = on_sets(config, "val", f"{{{arms}, metrics: [pck]}}")
    for name, expected in (("", "AP"), ("arms/PCK", "arms/PCK"), ("AR", "AR")):
        both.TEST.BEST = name
        validator = assemble.build_validator(both, assemble.read_validation(both))
        assert best_metric(both, validator) == expected
    both.TEST.BEST = "arms/AP"
    with pytest.raises(ConfigError, match="TEST.BEST.*'arms/AP'"):
        best_metric(both, validator)
    epe_first = on_sets(config, "{annotation: val, metrics: [epe, pck]}")
    validator = assemble.build_validator(epe_first, assemble.read_validation(epe_first))
    assert best_metric(epe_first, validator) == "EPE"


def test_metrics_that_a_set_names_must_be_possible(config):
    with pytest.raises(ConfigError, match="'val'.*'pckh'"):
        metrics_of(on_sets(config, "{annotation: val, metrics: [pckh]}"))
    with pytest.raises(ConfigError, match="'pkc'"):
        metrics_of(on_sets(config, "val", METRICS=["pkc"]))


def test_keypoints_that_the_network_lacks_do_not_make_persons_alike(config, arms):
    """For OKS-NMS: two persons far from each other, of whom a network of four keypoints cannot know thirteen."""
    config = on_sets(config, f"{{{arms}}}", "{annotation: val, skeleton: coco}")
    config.DATASET.SKELETON = arms.rpartition(" ")[2]
    validator = assemble.build_validator(config, assemble.read_validation(config))
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 20, (1, 4, 2)) + np.array([0, 400])[:, None, None]
    people = KeypointPredictions(np.array([1, 1]), points, np.ones((2, 4)), np.ones(2), np.full(2, 900.0))
    assert len(validator.selected(validator.sets["val"], people)) == 2


@pytest.mark.parametrize("part", ["", ", length: 3"])
def test_crowdpose_levels_also_of_a_part(config, part):
    root = Path(config.DATASET.ROOT)
    document = json.loads((root / "annotations/person_keypoints_val.json").read_text())
    for image in document["images"]:
        image["crowdIndex"] = 0.9
    (root / "annotations/crowd.json").write_text(json.dumps(document))
    source = f"annotation: annotations/crowd.json, images: images/val, format: crowdpose, skeleton: coco{part}"
    metrics = metrics_of(on_sets(config, f"{{name: crowd, {source}}}"))
    assert metrics["AP"] == metrics["AP_H"] == pytest.approx(1.0) and metrics["AP_E"] == -1


def boxes_of(config, document: dict, category: int = 1) -> str:
    boxes = [{"image_id": a["image_id"], "category_id": category, "bbox": a["bbox"], "score": 0.9} for a in document]
    Path(config.DATASET.ROOT, "boxes.json").write_text(json.dumps(boxes))
    return "boxes: boxes.json"


def test_detector_boxes_are_scored_against_the_labels_with_their_groups(config, arms):
    root = Path(config.DATASET.ROOT)
    people = json.loads((root / "annotations/person_keypoints_val.json").read_text())["annotations"]
    (root / "groups.json").write_text(json.dumps({str(a["id"]): a["id"] % 2 for a in people}))
    source = f"{{name: det, annotation: val, group_id_mapping_file: groups.json, {boxes_of(config, people)}}}"
    metrics = metrics_of(on_sets(config, "val", source))
    assert metrics["det/AP"] == metrics["det/AP_group_0"] == metrics["det/AP_group_1"] == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="start and length choose labelled persons"):
        metrics_of(on_sets(config, "{annotation: val, length: 2, boxes: boxes.json}"))
    with pytest.raises(ConfigError, match="'boxes'"):
        metrics_of(on_sets(config, "val", f"{{{arms}}}", USE_GT_BBOX=False, COCO_BBOX_FILE="boxes.json"))


def test_best_may_be_a_group_but_not_what_is_not_reported(config, arms):
    both = on_sets(config, f"{{{arms}}}", BEST="AP_group_1")
    assert best_metric(both, assemble.build_validator(both, assemble.read_validation(both))) == "AP_group_1"
    both.TEST.METRICS, both.TEST.BEST = ["epe"], "PCK_px"
    with pytest.raises(ConfigError, match="EPE"):
        best_metric(both, assemble.build_validator(both, assemble.read_validation(both)))


def test_empty_sets_are_refused(config):
    root = Path(config.DATASET.ROOT)
    document = json.loads((root / "annotations/person_keypoints_val.json").read_text())
    for person in document["annotations"]:
        person["iscrowd"] = 1
    (root / "annotations/crowds.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="'crowds'"):
        metrics_of(on_sets(config, "{name: crowds, annotation: annotations/crowds.json, images: images/val}"))


def test_a_norm_may_be_two_keypoints(config):
    """All predictions are perfect, so only that the norm is taken shows: with one that nobody has, nothing counts."""
    by_name = {"METRICS": ["nme", "pck"], "NME_NORM": "left_shoulder right_hip", "PCK_NORM": "left_shoulder right_hip"}
    options = build_metric_options(on_sets(config, "val", **by_name))
    assert options.nme_norm == options.pck_norm == ("left_shoulder", "right_hip")
    metrics = metrics_of(on_sets(config, "val", **by_name))
    assert metrics["PCK"] == pytest.approx(1.0) and 0 <= metrics["NME"] < 0.05
    with pytest.raises(ConfigError, match="NME_NORM.*'left_shoulder foot'.*head_size"):
        metrics_of(on_sets(config, "val", METRICS=["nme"], NME_NORM="left_shoulder foot"))


def edited(config, name: str, edit) -> str:
    """A copy of the validation set, edited, as a source."""
    root = Path(config.DATASET.ROOT)
    document = json.loads((root / "annotations/person_keypoints_val.json").read_text())
    for number, person in enumerate(document["annotations"]):
        edit(number, person)
    document["categories"] = [dict(document["categories"][0], id=n, name=f"sort {n}") for n in (1, 2)]
    (root / f"{name}.json").write_text(json.dumps(document))
    return f"name: {name}, annotation: {name}.json, images: images/val"


def test_ap_of_each_category(config):
    source = edited(config, "sorts", lambda number, person: person.update(category_id=1 + number % 2))
    metrics = metrics_of(on_sets(config, f"{{{source}}}", CATEGORY_AP=True, BEST="AP_category_sort_2"))
    assert metrics["AP_category_sort_1"] == metrics["AP_category_sort_2"] == metrics["AP"] == pytest.approx(1.0)
    config = on_sets(config, f"{{{source}, categories: [sort 2], length: 3}}", CATEGORY_AP=True)
    assert len(assemble.read_validation(config)["sorts"]) == 3
    metrics = metrics_of(config)
    assert metrics["AP_category_sort_2"] == pytest.approx(1.0) and "AP_category_sort_1" not in metrics


def test_persons_without_a_box_are_predicted_and_scored(config):
    def take_box(number, person):
        person |= {"area": 0, "bbox": [5, 5, 0, 9]} if number % 2 else {}

    config = on_sets(config, f"{{{edited(config, 'boxless', take_box)}}}")
    validator = assemble.build_validator(config, assemble.read_validation(config))
    labels = only(validator).labels
    assert len(labels.persons) == PEOPLE
    assert dry_run(labels, validator.options).scores["AP"] == pytest.approx(1.0)
    assert all(a["area"] > 0 for a in labels.ground_truth.dataset["annotations"])


def test_persons_without_labels_stay_ignored_where_a_picture_is_left_out(config):
    """Detections on them are no mistakes, whatever other pictures are taken."""

    def hide(number, person):
        person |= {"keypoints": [0] * 51, "num_keypoints": 0} if number in (2, 3) else {}

    source = edited(config, "hidden", hide)
    document = json.loads(Path(config.DATASET.ROOT, "hidden.json").read_text())
    files = {image["id"]: image["file_name"] for image in document["images"]}
    first, third, last = (files[document["annotations"][number]["image_id"]] for number in (0, 3, 9))
    for choice, ignored in (("", 2), (f", exclude: [{first}]", 2), (f", only: [{third}, {last}]", 1)):
        own = on_sets(config, f"{{{source}{choice}}}")
        truth = only(assemble.build_validator(own, assemble.read_validation(own))).labels.ground_truth
        assert sum(a["num_keypoints"] == 0 for a in truth.dataset["annotations"]) == ignored


def test_detections_of_other_categories_are_asked_for(config):
    people = json.loads(Path(config.DATASET.ROOT, "annotations/person_keypoints_val.json").read_text())["annotations"]
    boxes_of(config, people, category=0)
    asked = {"USE_GT_BBOX": False, "COCO_BBOX_FILE": "boxes.json"}
    with pytest.raises(DataError, match=r"boxes.json.*category 1.*0 \("):
        assemble.read_validation(on_sets(config, "val", **asked))
    found = assemble.read_validation(on_sets(config, "val", BBOX_CATEGORIES=["0"], **asked))
    assert len(found["val"]) == len(people)
    with pytest.raises(ConfigError, match="BBOX_CATEGORIES"):
        assemble.read_validation(on_sets(config, "val", BBOX_CATEGORIES=["dog"], **asked))
