"""Sources in a configuration: names, mappings and lists of them, each value checked by its key."""

import pytest
from refusals import refused

from semipose.config import load_config, to_yaml
from semipose.config.source_keys import convert_sources

MIXED = """DATASET:
  TRAIN_SET:
    - {name: coco, annotation: train2017, sample_ratio_factor: 0.5, group_id_weight: {1: 2}}
    - {format: aic, annotation: aic/train.json, keypoint_pairs: [[0, 6], [[left_hip, right_hip], pelvis]], one_based: 0}
    - {annotation: ap10k.json, categories: [king cheetah, 7], box_categories: 0}
  TRAIN_UNSUP_SET: [unlabeled2017, {annotation: some.mp4, every: 5}]
  TEST_SET: {annotation: val2017, metrics: [oks, pck], output_keypoint_indices: [0, 1]}
"""
COCO = {"name": "coco", "annotation": "train2017", "sample_ratio_factor": 0.5, "group_id_weight": {1: 2.0}}
AIC = {
    "format": "aic", "annotation": "aic/train.json", "one_based": False,
    "keypoint_pairs": [[0, 6], [["left_hip", "right_hip"], "pelvis"]],
}  # fmt: skip
AP10K = {"annotation": "ap10k.json", "categories": ["king cheetah", "7"], "box_categories": [0]}


@pytest.fixture
def load(tmp_path):
    def run(text: str, *pairs: str):
        file = tmp_path / "some.yaml"
        file.write_text(text)
        return load_config(file, pairs=list(pairs))

    return run


def test_mappings_have_typed_values_and_only_the_given_keys(load):
    data = load(MIXED).DATASET
    assert data.TRAIN_SET == [COCO, AIC, AP10K]
    assert data.TRAIN_UNSUP_SET == ["unlabeled2017", {"annotation": "some.mp4", "every": 5}]
    assert data.TEST_SET == [{"annotation": "val2017", "metrics": ["oks", "pck"], "output_keypoint_indices": [0, 1]}]


def test_written_configurations_are_read_back(load, tmp_path):
    config = load(MIXED)
    (tmp_path / "again.yaml").write_text(to_yaml(config))
    assert load_config(tmp_path / "again.yaml") == config


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("TEST_SET", "val", "val"),
        ("TEST_SET", "[val, b]", ["val", "b"]),
        ("TEST_SET", "{annotation: b.json}", [{"annotation": "b.json"}]),
        ("TRAIN_UNSUP_SET", "", []),
        ("TRAIN_UNSUP_SET", "pool", ["pool"]),
        ("TRAIN_UNSUP_SET", "{annotation: b}", [{"annotation": "b"}]),
    ],
)
def test_on_the_command_line(load, key, text, value):
    assert load("", f"DATASET.{key}", text).DATASET[key] == value


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"anotation": "a"}, "anotation"), ({"zzz": "a"}, "zzz"), ({"format": "aic"}, "annotation"),
        ({"annotation": "a", "length": "-1"}, "length: -1"), ({"annotation": "a", "length": "some"}, "length: 'some'"),
        ({"annotation": "a", "sample_ratio_factor": "0"}, "sample_ratio_factor: 0.0"),
        ({"annotation": "a", "keypoint_pairs": "0"}, "keypoint_pairs"),
        ({"annotation": "a", "box_categories": ["dog"]}, "box_categories"),
        ({"annotation": "a", "keypoint_pairs": [["0", "1", "2"]]}, "keypoint_pairs"),
        ({"annotation": "a", "keypoint_pairs": [["0.5", "1"]]}, "0.5"),
        ({"annotation": "a", "keypoint_pairs": [[["a", "b", "c"], "1"]]}, "keypoint_pairs"),
        ({"annotation": "a", "group_id_weight": "2"}, "group_id_weight: '2'"),
        ({"annotation": "a", "group_id_weight": {"1": "-2"}}, "group_id_weight: -2.0"),
        ({"annotation": "a", "group_id_weight": {"one": "2"}}, "group_id_weight: 'one'"),
        ({"annotation": "a", "output_keypoint_indices": ["x"]}, "output_keypoint_indices: 'x'"),
        (["a"], "['a']"),
    ],
)  # fmt: skip
def test_refusals_name_where_key_and_value(entry, key):
    message = refused(lambda: convert_sources([entry], "DATASET.TEST_SET", "here.yaml"), key)
    assert message.startswith("here.yaml: DATASET.TEST_SET")
