"""Configuration files and pairs: chains, strict keys, types, ranges; every refusal is one line that names all."""

from operator import attrgetter

import pytest

from semipose.config import default_config, flat_keys, load_config, source_keys, to_plain, to_yaml
from semipose.config.defaults import KEYS
from semipose.config.key import check_allowed
from semipose.errors import ConfigError
from semipose.skeletons import get_skeleton


@pytest.fixture
def load(tmp_path):
    """Write `text` to a YAML file and load it, with flags and pairs."""

    def run(text: str | bytes = "", *pairs: str, **flags):
        path = tmp_path / "exp.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path, flags, list(pairs))

    return run


@pytest.fixture
def refusal(load):
    """The message of the ConfigError, which must be one line."""

    def run(text: str | bytes = "", *pairs: str) -> str:
        with pytest.raises(ConfigError) as error:
            load(text, *pairs)
        message = str(error.value)
        assert message and len(message.splitlines()) == 1 and message.isprintable()
        assert ("command line" if pairs else "exp.yaml") in message
        return message

    return run


# Files that build on each other


def test_the_nearest_file_of_a_chain_wins_and_names_are_relative_to_the_file(tmp_path):
    (tmp_path / "bases").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "bases/root.yaml").write_text("SEED: 1\nNAME: root\nTRAIN: {LR: 0.1, WD: 0.2}")
    (tmp_path / "bases/middle.yaml").write_text("_BASE_: root.yaml\nNAME: middle\nTRAIN: {LR: 0.3}")
    (tmp_path / "runs/leaf.yaml").write_text("_BASE_: ../bases/middle.yaml\nTRAIN: {END_EPOCH: 7}")
    config = load_config(tmp_path / "runs/leaf.yaml")
    assert (config.SEED, config.NAME) == (1, "middle")
    assert (config.TRAIN.LR, config.TRAIN.WD, config.TRAIN.END_EPOCH) == (0.3, 0.2, 7)
    assert "_BASE_" not in config


@pytest.fixture
def joined(tmp_path):
    """Files that set SEED, NAME and WORKERS; `leaf` builds on a list of two of them."""
    files = {
        "one": "SEED: 1\nNAME: one\nWORKERS: 1\nTRAIN: {LR: 0.1, LR_STEP: [1, 2]}",
        "two": "NAME: two\nWORKERS: 2\nTRAIN: {WD: 0.2, LR_STEP: [3]}",
        "leaf": "_BASE_: [one.yaml, two.yaml]\nWORKERS: 3",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return lambda *names: load_config([tmp_path / f"{name}.yaml" for name in names])


def test_a_list_of_bases_is_joined_left_to_right_and_the_file_wins(joined):
    config = joined("leaf")
    assert (config.SEED, config.NAME, config.WORKERS) == (1, "two", 3)
    assert (config.TRAIN.LR, config.TRAIN.WD, config.TRAIN.LR_STEP) == (0.1, 0.2, [3])


def test_several_files_are_joined_as_their_list_of_bases_is(joined):
    assert joined("one", "two").NAME == "two" and joined("two", "one").NAME == "one"
    assert to_plain(joined("one", "two")) | {"WORKERS": 3} == to_plain(joined("leaf"))
    assert joined("leaf", "one").WORKERS == 1, "a file after a leaf wins over what the leaf sets"


def test_lists_of_lists_of_bases_end(load, tmp_path):
    """Ten files that each name the next one ten times would be 10 billion reads."""
    for level in range(10):
        (tmp_path / f"{level}.yaml").write_text(f"_BASE_: [{', '.join([f'{level + 1}.yaml'] * 10)}]")
    (tmp_path / "10.yaml").write_text("SEED: 1")
    with pytest.raises(ConfigError, match="10.yaml.*50"):
        load("_BASE_: 0.yaml")


def test_flags_beat_files_and_pairs_beat_flags(load):
    config = load("SEED: 1\nNAME: file\nTRAIN: {LR: 0.1}", "SEED", "3", SEED=2, NAME="flag")
    assert (config.SEED, config.NAME, config.TRAIN.LR) == (3, "flag", 0.1)


@pytest.mark.parametrize("base", ["exp.yaml", "other.yaml", "[plain.yaml, ../{folder}/other.yaml]"])
def test_a_circle_is_refused(refusal, tmp_path, base):
    (tmp_path / "other.yaml").write_text("_BASE_: [plain.yaml, exp.yaml]")
    (tmp_path / "plain.yaml").write_text("")
    assert "circle" in refusal(f"_BASE_: {base.replace('{folder}', tmp_path.name)}")


def test_a_fault_in_a_base_names_the_base(load, tmp_path):
    (tmp_path / "base.yaml").write_text("TRAIN: {LRR: 1}")
    with pytest.raises(ConfigError, match=r"base\.yaml.*TRAIN\.LRR"):
        load("_BASE_: base.yaml")


@pytest.mark.parametrize(
    "name", ["nowhere.yaml", "[base.yaml, nowhere.yaml]", '"a\\0.yaml"', "base.py", "folder.yaml", "x" * 5000 + ".yaml"]
)
def test_bases_that_cannot_be_read(load, tmp_path, name):
    (tmp_path / "base.py").write_text("raise SystemExit")
    (tmp_path / "base.yaml").write_text("")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError) as error:
        load(f"_BASE_: {name}")
    assert str(error.value).isprintable() and ("nowhere" not in name or "nowhere.yaml" in str(error.value))


@pytest.mark.parametrize("base", ["[[a.yaml]]", "{a: b}", "[a.yaml, '']", "''"])
def test_a_base_that_is_no_name(refusal, base):
    assert "_BASE_" in refusal(f"_BASE_: {base}")


# Keys


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("TRAIN: {LRR: 1}", "TRAIN.LRR", "TRAIN.LR?"),
        ("DATASETS: {ROOT: x}", "DATASETS", "DATASET?"),
        ("AUGMENT: {HARD: {COLOUR: 1}}", "AUGMENT.HARD.COLOUR", "AUGMENT.HARD.COLOR?"),
        ("train: {lr: 1}", "train", "TRAIN?"),
        ("MODEL: {zzz: 1}", "MODEL.zzz", "BACKBONE, CHANNELS_LAST"),
        ("TRAIN.LR: 0.1", "TRAIN.LR", "TRAIN: {LR: ...}"),
        ('"a\\nb": 1', "a\\nb", "ALGORITHM"),
        ("DATASET: {_BASE_: x.yaml}", "DATASET._BASE_", "ROOT"),
    ],
)
def test_unknown_keys_in_a_file(refusal, text, key, near):
    message = refusal(text)
    assert key in message and near in message


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("TRAIN.LRR", "TRAIN.LR?"),
        ("train.lr", "TRAIN.LR?"),
        ("LR", "TRAIN.LR?"),
        ("TRAIN.LR.X", "TRAIN.LR?"),
        ("NOWHERE.AT.ALL", "ALGORITHM"),
        ("", "ALGORITHM"),
    ],
)
def test_unknown_keys_on_the_command_line(refusal, key, near):
    message = refusal("", key, "1")
    assert key in message and near in message


@pytest.mark.parametrize(
    ("text", "pairs", "key"),
    [
        ("", ["SEED", "1", "TRAIN.LR"], "TRAIN.LR"), ("", ["MODEL", "resnet18"], "MODEL"),
        ("TRAIN: {LR: {A: 1}}", [], "TRAIN.LR"), ("MODEL: 3", [], "MODEL"), ("MODEL:", [], "MODEL"),
        ("MODEL: [1]", [], "MODEL"), ("AUGMENT: {EASY: strong}", [], "AUGMENT.EASY"),
    ],
)  # fmt: skip
def test_a_key_needs_a_value_and_a_section_is_none(refusal, text, pairs, key):
    assert key in refusal(text, *pairs)


# Values: the same words mean the same in a file and on the command line


@pytest.fixture(params=["file", "pair"])
def value_of(request, load):
    """The value of `key` after it was set to the words `text`, in a file or by a pair."""

    def run(key: str, text: str):
        in_file = f"{key.replace('.', ': {')}: {text}{'}' * key.count('.')}"
        config = load(in_file) if request.param == "file" else load("", key, text)
        return attrgetter(key)(config)

    return run


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("TRAIN.LR", {"1e-3": 0.001, "5E-4": 0.0005, "1": 1.0, "0": 0.0, ".5": 0.5, "2.": 2.0}),
        ("WORKERS", {"4": 4, "0": 0, "3.0": 3, "1e2": 100, "1_000": 1000}),
        ("USE_EMA", {"true": True, "True": True, "TRUE": True, "1": True, "false": False, "0": False}),
        ("TRAIN.LR_STEP", {"[20, 25]": [20, 25], "[20,25]": [20, 25], "[1, 2, 3]": [1, 2, 3], "[]": [], "5": [5]}),
        ("AUGMENT.CUTOUT.HALF_SIZE", {"[5, 1e1]": [5.0, 10.0]}),
        (
            "DATASET.TRAIN_UNSUP_SET",
            {"pool": ["pool"], "['a', \"b\"]": ["a", "b"], "[2017, 007]": ["2017", "007"], "[]": []},
        ),
    ],
)
def test_values_are_converted_to_the_type_of_the_key(value_of, key, expected):
    for text, wanted in expected.items():
        value = value_of(key, text)
        assert repr(value) == repr(wanted), text


@pytest.mark.parametrize(
    "text", ["0", "007", "1e3", "1.50", "0x10", "1_000", "true", "off", "null", "2020-01-01", "12:30", "None", "a b"]
)
def test_text_keys_keep_their_text(value_of, text):
    """A run named 1e3 is not named 1000.0, and GPU 0 is "0"."""
    assert value_of("NAME", text) == text
    assert value_of("GPUS", text) == text


def test_an_empty_list_in_a_base_does_not_forget_what_the_items_are(load, tmp_path):
    (tmp_path / "base.yaml").write_text("TRAIN: {LR_STEP: []}\nDATASET: {TRAIN_UNSUP_SET: [a]}")
    config = load("_BASE_: base.yaml\nTRAIN: {LR_STEP: [5]}\nDATASET: {TRAIN_UNSUP_SET: []}")
    assert config.TRAIN.LR_STEP == [5] and config.DATASET.TRAIN_UNSUP_SET == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_flags_are_checked_like_pairs(load, value):
    with pytest.raises(ConfigError, match=r"WEIGHT\.LOSS_POSE"):
        load(**{"WEIGHT.LOSS_POSE": value})


@pytest.mark.parametrize(
    ("key", "texts", "wanted"),
    [
        ("TRAIN.LR", ["fast", "true", "[0.1]", "", "nan", "inf", "1e999", "1" + "0" * 400], "a number"),
        ("TRAIN.LR", ["1+1", "__import__('os')", "(" * 300], "a number"),
        ("WORKERS", ["1" + "0" * 400, "2.5", "two", "false", "9" * 5000], "a whole number"),
        ("USE_EMA", ["2", "yes"], "true or false"),
        ("MODEL.IMAGE_SIZE", ["[64]", "[64, 64, 3]", "64"], "2 numbers"),
        ("MODEL.HEATMAP_SIZE", ["[16, wide]", "[16, 16.5]"], "a whole number"),
        ("AUGMENT.CUTOUT.HALF_SIZE", ["[1.0]"], "2 numbers"),
        ("TRAIN.LR_STEP", ["[1, [2]]", "[1, true]"], "a whole number"),
        ("DATASET.TRAIN_UNSUP_SET", ["[[a]]"], "text"),
        ("DATASET.TRAIN_UNSUP_SET", ["[{a: b}]"], "'a'"),
    ],
)
def test_wrong_types_on_the_command_line(refusal, key, texts, wanted):
    for text in texts:
        message = refusal("", key, text)
        assert f"{key}: " in message and wanted in message, text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TRAIN: {LR: fast}", "TRAIN.LR: 'fast'"),
        ("TRAIN: {LR: .inf}", "TRAIN.LR: '.inf'"),
        ("TRAIN: {LR: }", "TRAIN.LR: ''"),
        ("SEED: 2001-01-01", "SEED: '2001-01-01'"),
        ("NAME: {a: b}", "NAME: {'a': 'b'}"),
        ("USE_EMA: on", "USE_EMA: 'on'"),
        ("WORKERS: 010", "WORKERS: '010'"),
        ("MODEL: {IMAGE_SIZE: {w: 1}}", "MODEL.IMAGE_SIZE: {'w': '1'}"),
    ],
)
def test_wrong_types_in_a_file(refusal, text, found):
    assert found in refusal(text)


@pytest.mark.parametrize(
    ("key", "text", "allowed"),
    [
        ("WORKERS", "-1", "at least 0"),
        ("SEED", "-1", "from 0 to 4294967295"),
        ("TRAIN.BATCH_SIZE", "0", "at least 1"),
        ("TEST.BATCH_SIZE", "0", "at least 1"),
        ("TRAIN.END_EPOCH", "4611686018427387904", "at most 1000000000"),
        ("MODEL.HIDDEN", "1000000", "from -1 to 4096"),
        ("DATASET.TRAIN_LEN", "-3", "at least 0"),
        ("DATASET.CROP_MARGIN", "0.5", "at least 1"),
        ("MODEL.IMAGE_SIZE", "[64, 0]", "at least 1"),
        ("AUGMENT.HARD.FLIP", "1.5", "from 0 to 1"),
        ("EMA_DECAY", "-0.1", "from 0 to 1"),
        ("TRAIN.SCHEDULE", "poly", "step, cosine, constant"),
        ("TRACKING.WANDB", "maybe", "auto, online, offline, off"),
    ],
)
def test_values_out_of_range(refusal, key, text, allowed):
    message = refusal("", key, text)
    assert f"command line: {key}: " in message and allowed in message


@pytest.mark.parametrize("table", [KEYS, source_keys.KEYS])
def test_every_number_has_a_range_and_every_default_is_allowed(table):
    for name, key in table.items():
        items = key.default if isinstance(key.default, list) else [key.default]
        assert key.low is not None or not any(type(item) in (int, float) for item in items), name
        check_allowed(key, key.default, name, "defaults")


# Hostile and broken files


@pytest.mark.parametrize(
    "text",
    [
        "NAME: !!python/object/apply:os.system ['touch {marker}']",
        "!!python/object/apply:os.system ['touch {marker}']",
        "NAME: !!python/name:os.system",
        "NAME: !!python/object/new:os.system ['touch {marker}']",
    ],
)
@pytest.mark.promise("R13")
def test_python_tags_are_refused_without_running(refusal, tmp_path, text):
    marker = tmp_path / "marker"
    assert "tag" in refusal(text.replace("{marker}", str(marker)))
    assert not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        "NAME: !!bool maybe",
        "WORKERS: !!int ''",
        "TRAIN: {LR: !!float ''}",
        "NAME: !!timestamp foo",
        "NAME: !!map [1, 2]",
        "NAME: !!binary aGk=",
        "NAME: !mine x",
        "? []\n: 1\n? []\n: 2\n",
        "? {a: b}\n: 1\n",
        "NAME: a\nNAME: b",
        "TRAIN: {LR: 1, LR: 2}",
        "A: &x [1]\nB: *x",
        "<<: {NAME: a}",
        "{",
        "NAME: a: b",
        "\tNAME: a",
        "[" * 5000,
        "[1, 2]",
        "3",
        "NAME",
        "NAME: a\n---\nNAME: b",
        b"\xff\xfe\x00",
        b"NAME: \x00",
        b"NAME: \xe9",
    ],
)
@pytest.mark.promise("R13")
def test_files_that_are_no_configuration(refusal, text):
    refusal(text)


@pytest.mark.promise("R13")
def test_an_alias_bomb_costs_nothing(refusal):
    lines = ["A0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"A{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    assert "aliases" in refusal("\n".join(lines))


@pytest.mark.promise("R13")
def test_a_megabyte_is_the_limit(load, refusal):
    assert load(b"#" * 1_000_000).SEED == 0
    assert "1000000 bytes" in refusal(b"#" * 1_000_001)


@pytest.mark.parametrize("name", ["exp.py", "exp.yaml.py", "exp", "exp.json"])
@pytest.mark.promise("R13")
def test_only_yaml_files(tmp_path, name):
    (tmp_path / name).write_text("raise SystemExit")
    with pytest.raises(ConfigError, match="yaml"):
        load_config(tmp_path / name)


# What comes out


def test_an_empty_file_gives_the_defaults_and_loading_does_not_change_them(load):
    before = to_plain(default_config())
    load("SEED: 9\nDATASET: {TRAIN_UNSUP_SET: [a]}", "MODEL.IMAGE_SIZE", "[64, 64]")
    assert to_plain(load()) == to_plain(load("# nothing\n")) == to_plain(default_config()) == before


def test_the_merged_configuration_can_be_saved_and_loaded_again(load, tmp_path):
    names = ["1e3", "007", "true", "off", "null", "~", "2020-01-01", "'", '"', "a: b", "#", "ünï", "[x", ""]
    for name in names:
        config = load("TRAIN: {LR: 1e-5, LR_STEP: []}\nUSE_EMA: false\nMODEL: {SIGMA: 1.7}", "NAME", name)
        saved = tmp_path / "saved.yaml"
        saved.write_text(to_yaml(config), encoding="utf-8")
        again = load_config(saved)
        assert to_plain(again) == to_plain(config) and to_yaml(again) == to_yaml(config)
        assert [type(v) for _, v in flat_keys(to_plain(again)).items()] == [
            type(v) for _, v in flat_keys(to_plain(config)).items()
        ]


def test_the_configuration_is_frozen(load):
    config = load()
    with pytest.raises(AttributeError):
        config.SEED = 3
    with pytest.raises(AttributeError):
        config.AUGMENT.HARD.FLIP = 0.1


def test_home_and_variables_in_paths(load, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data")
    text = """
OUTPUT_DIR: ~/runs
DATASET:
  ROOT: $HOME/mine
  TRAIN_SET: [~/a.json, {name: $DATA, annotation: "${DATA}/b.json", images: ~/images, exclude: [$DATA/val.txt]}]
  TEST_SET: $DATA/c.json
  LINKS: [~/store]
  SKELETON: ~/mine.yaml
MODEL: {PRETRAINED: ~/w.pth, SECOND: {PRETRAINED: $DATA/w.pth}}
"""
    config = load(text, "DATASET.CACHE_DIR", "$DATA/cache", "DATASET.TRAIN_UNSUP_SET", "[~/day.mp4]")
    data = config.DATASET
    assert (config.OUTPUT_DIR, data.ROOT, data.CACHE_DIR) == ("/home/me/runs", "/home/me/mine", "/data/cache")
    assert data.TRAIN_SET == [
        "/home/me/a.json",
        {"name": "$DATA", "annotation": "/data/b.json", "images": "/home/me/images", "exclude": ["/data/val.txt"]},
    ]
    assert (data.TRAIN_UNSUP_SET, data.TEST_SET, data.LINKS) == (
        ["/home/me/day.mp4"],
        "/data/c.json",
        ["/home/me/store"],
    )
    assert data.SKELETON == "/home/me/mine.yaml"
    assert (config.MODEL.PRETRAINED, config.MODEL.SECOND.PRETRAINED) == ("/home/me/w.pth", "/data/w.pth")


@pytest.mark.parametrize("text", ["DATASET: {ROOT: $NOT_SET/x}", "DATASET: {TEST_SET: {annotation: '${NOT_SET}'}}"])
def test_a_variable_that_is_not_set(load, monkeypatch, text):
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigError, match=r"DATASET\.[A-Z._]+(annotation)?: .*NOT_SET"):
        load(text)


def test_a_skeleton_can_stand_in_the_configuration(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("DATASET: {SKELETON: {keypoints: [nose, left_ear, right_ear], sigmas: 0.07}}")
    config = load_config(file)
    skeleton = get_skeleton(config.DATASET.SKELETON)
    assert skeleton.keypoints == ("nose", "left_ear", "right_ear") and skeleton.sigmas == (0.07,) * 3
    assert skeleton.swaps == (("left_ear", "right_ear"),)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(config))
    assert load_config(again) == config


@pytest.mark.parametrize("wrong", ["{keypoints: [a]}", "{keypoints: [a, a], sigmas: 1}", "{names: [a], sigmas: 1}"])
def test_a_wrong_skeleton_in_the_configuration_names_its_key(wrong):
    config = load_config([], pairs=["DATASET.SKELETON", wrong])
    with pytest.raises(ConfigError, match="DATASET.SKELETON"):
        get_skeleton(config.DATASET.SKELETON)
