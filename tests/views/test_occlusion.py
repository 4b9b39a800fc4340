import pytest

from semipose.errors import ConfigError
from semipose.views.box_cutout import CutMixPolicy
from semipose.views.occlusion import EASY_MASKS, OcclusionPolicies


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"easy_mask": "none"}, "easy_mask: 'none'; allowed: fixed, adaptive"),
        ({"mask_joints": (5, 4)}, "mask_joints: [5, 4]"),
        ({"cutmix": CutMixPolicy((0.3, 0.1))}, "cutmix area: [0.3, 0.1]"),
    ],
)
def test_impossible_values_are_named(values, message):
    with pytest.raises(ConfigError) as error:
        OcclusionPolicies(**values)
    assert message in str(error.value)


def test_possible_values_pass():
    for name in EASY_MASKS:
        OcclusionPolicies(easy_mask=name, mask_joints=(3, 3), cutmix=CutMixPolicy((0.2, 0.2)))
