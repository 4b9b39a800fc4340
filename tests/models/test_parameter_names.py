import pytest

from semipose.errors import ConfigError
from semipose.models.parameter_names import check_patterns, matches

NAMES = ["backbone.conv1.weight", "backbone.layer1.0.bn1.bias", "backbone.layer10.weight", "head.final.weight"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("backbone", [0, 1, 2]),
        ("backbone.layer1", [1]),  # a whole name: not layer10
        ("backbone.layer*", [1, 2]),
        ("*.bn[12]", [1]),
        ("*.bias", [1]),
        ("head.final.weight", [3]),
        ("conv1", []),
        ("backbone.conv", []),
        ("", []),
    ],
)
def test_a_pattern_names_a_module_with_all_in_it(pattern, found):
    assert [n for n, name in enumerate(NAMES) if matches(name, pattern)] == found


def test_a_pattern_without_a_match_is_refused_with_close_names():
    check_patterns(["backbone", "*.bias"], NAMES, "MODEL.FREEZE")
    with pytest.raises(ConfigError, match="MODEL.FREEZE: 'backbone.layr1'.*backbone.layer1"):
        check_patterns(["backbone", "backbone.layr1"], NAMES, "MODEL.FREEZE")
    with pytest.raises(ConfigError, match="'xyz'.*backbone, head"):
        check_patterns(["xyz"], NAMES, "MODEL.FREEZE")
