"""From keys to networks: what fits together, and what is refused by name."""

import pytest
import torch

from semipose import assemble
from semipose.config import load_config
from semipose.errors import ConfigError

CFG = "experiments/demo/cotrain.yaml"


def config(*pairs: str):
    return load_config(CFG, {"GPUS": "cpu"}, ["MODEL.IMAGE_SIZE", "[32,64]", *pairs])


@pytest.mark.parametrize("codec", ["regression", "rle", "simcc", "integral", "udp_offset"])
@pytest.mark.parametrize(
    ("key", "pairs"),
    [
        ("WEIGHT.LOSS_WORST", ["WEIGHT.LOSS_WORST", "0.5"]),
        ("PSEUDO.MULTIVIEW_PAIRS", ["PSEUDO.MULTIVIEW_PAIRS", "[[nose, left_eye]]"]),
        ("PSEUDO.TARGET heatmap", ["PSEUDO.TARGET", "heatmap"]),
    ],
)
def test_parts_that_need_maps_are_refused_by_name(codec, key, pairs):
    pairs = [*pairs, "PSEUDO.MIN_SCORE", "0", "MODEL.CODEC", codec]
    with pytest.raises(ConfigError, match=rf"{key}.*MODEL.CODEC is '{codec}'.*gaussian, msra, udp"):
        assemble.build_network(config(*pairs))
    assemble.build_network(config(*pairs, "ALGORITHM", "supervised"))  # none of these parts acts


@pytest.mark.parametrize(
    ("key", "pairs"),
    [
        ("PSEUDO.MIN_SCORE", ["PSEUDO.MIN_SCORE", "0.3"]), ("REWEIGHT", ["PSEUDO.MIN_SCORE", "0", "REWEIGHT", "true"]),
        ("LABELS.AGREEMENT", ["PSEUDO.MIN_SCORE", "0", "LABELS.AGREEMENT", "0.1"]),
    ],
)  # fmt: skip
def test_parts_that_need_scores_are_refused_by_name(key, pairs):
    with pytest.raises(ConfigError, match=rf"{key}.*MODEL.CODEC is 'regression'.*gaussian.*rle"):
        assemble.build_network(config(*pairs, "MODEL.CODEC", "regression"))
    assemble.build_network(config(*pairs, "MODEL.CODEC", "rle"))


def test_manifold_mix_needs_early_stages():
    pairs = ["WEIGHT.LOSS_MIX", "0.5", "MIX.WHERE", "manifold", "MODEL.BACKBONE", "timm/resnetv2_50"]
    with torch.device("meta"), pytest.raises(ConfigError, match="MIX.WHERE.*timm/resnetv2_50"):
        assemble.build_network(config(*pairs))


def test_a_heatmap_size_is_checked_where_it_is_given():
    assert assemble.build_network(config()).codec.size == (8, 16)
    assert assemble.build_network(config("MODEL.HEATMAP_SIZE", "[8,16]")).codec.size == (8, 16)
    with pytest.raises(ConfigError, match=r"MODEL.HEATMAP_SIZE.*\[8, 16\]"):
        assemble.build_network(config("MODEL.HEATMAP_SIZE", "[16,32]"))


def test_an_unknown_codec_lists_the_known_ones():
    with pytest.raises(ConfigError, match="MODEL.CODEC is 'simc'.*gaussian, msra, udp.*rle"):
        assemble.build_network(config("MODEL.CODEC", "simc"))


def test_the_second_network_differs_where_it_is_said_to():
    pairs = ["MODEL.SECOND.BACKBONE", "light_unet_deep", "MODEL.SECOND.INPUT_SIZE", "[64,128]"]
    algorithm = assemble.build_algorithm(config(*pairs))
    first, second = (student.network for student in algorithm.students.values())
    assert first.input_size is None and second.input_size == (64, 128)
    assert len(first.backbone.down) == 3 and len(second.backbone.down) == 4
    assert algorithm.teachers["second"].codec == second.codec != first.codec
    alike = [student.network for student in assemble.build_algorithm(config()).students.values()]
    assert alike[0].codec == alike[1].codec and alike[1].input_size is None


def test_the_second_network_may_start_from_other_weights(tmp_path):
    torch.manual_seed(5)
    source = assemble.build_network(config())
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    algorithm = assemble.build_algorithm(config("MODEL.SECOND.PRETRAINED", str(tmp_path / "weights.pth")))
    first, second = (student.network.backbone for student in algorithm.students.values())
    same = [torch.equal(a, b) for a, b in zip(source.backbone.parameters(), second.parameters())]
    assert all(same) and not torch.equal(next(first.parameters()), next(second.parameters()))
    pairs = ["MODEL.PRETRAINED", str(tmp_path / "weights.pth"), "MODEL.SECOND.PRETRAINED", "none"]
    first, second = (s.network.backbone for s in assemble.build_algorithm(config(*pairs)).students.values())
    starts = [torch.equal(next(source.backbone.parameters()), next(net.parameters())) for net in (first, second)]
    assert starts == [True, False]


UNLIKE = ["MODEL.SECOND.BACKBONE", "light_unet_deep", "MODEL.SECOND.INPUT_SIZE"]


def test_a_size_that_does_not_fit_is_named_by_the_key_that_gave_it():
    with pytest.raises(ConfigError, match=r"^MODEL.SECOND.INPUT_SIZE 40x80: .*multiples of 32.*nearest: 32x64"):
        assemble.build_algorithm(config(*UNLIKE, "[40,80]"))
    with pytest.raises(ConfigError, match=r"^MODEL.SECOND.INPUT_SIZE 64x64: .*MODEL.IMAGE_SIZE 32x64"):
        assemble.build_algorithm(config(*UNLIKE, "[64,64]"))
    with pytest.raises(ConfigError, match=r"^MODEL.IMAGE_SIZE 40x64: "):
        assemble.build_algorithm(config(*UNLIKE, "[64,128]", "MODEL.IMAGE_SIZE", "[40,64]"))


def test_what_the_second_network_cannot_do_is_said_of_its_backbone():
    pairs = ["MODEL.SECOND.BACKBONE", "timm/resnetv2_50", "WEIGHT.LOSS_MIX", "0.5", "MIX.WHERE", "manifold"]
    with torch.device("meta"), pytest.raises(ConfigError, match="MIX.WHERE.*timm/resnetv2_50"):
        assemble.build_network(config(*pairs), second=True)


def test_heatmaps_of_two_sizes_cannot_be_warped_into_each_other():
    pairs = [*UNLIKE, "[64,128]", "PSEUDO.TARGET", "heatmap"]
    with pytest.raises(ConfigError, match="PSEUDO.TARGET.*MODEL.SECOND.*8x16 and 16x32.*redrawn"):
        assemble.build_algorithm(config(*pairs))


def test_a_frozen_part_may_be_in_one_of_two_unlike_networks():
    pairs = ["MODEL.SECOND.BACKBONE", "timm/test_vit", "MODEL.FREEZE", "['backbone.stem', 'backbone.net.patch_embed']"]
    algorithm = assemble.build_algorithm(config(*pairs, "MODEL.FREEZE_BN", "true"))
    first, second = (student.network for student in algorithm.students.values())
    assert "backbone.stem" in first.frozen and second.frozen == ("backbone.net.patch_embed",)
    with pytest.raises(ConfigError, match="MODEL.FREEZE: 'backbone.stam'.*backbone.stem"):
        assemble.build_algorithm(config(*pairs[:2], "MODEL.FREEZE", "['backbone.stam']"))


@pytest.mark.parametrize(
    "pairs", [["MODEL.SECOND.BACKBONE", "light_unet_deep"], ["MODEL.SECOND.INPUT_SIZE", "[64,128]"]]
)
def test_a_second_network_that_is_not_used_is_warned_of(pairs, caplog):
    assemble.build_algorithm(config("ALGORITHM", "mean_teacher"))
    assert not caplog.records
    assemble.build_algorithm(config("ALGORITHM", "mean_teacher", *pairs))
    assert "MODEL.SECOND" in caplog.text and "mean_teacher" in caplog.text
