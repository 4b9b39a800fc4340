import pytest
import torch
from torch import nn

from semipose.models.worst_head import WorstHead


@pytest.mark.parametrize("channels, expected", [(8, 8), (100, 64)])
def test_layers_and_size(channels, expected):
    head = WorstHead(channels, 5)
    assert head(torch.rand(2, channels, 6, 4)).shape == (2, 5, 6, 4)
    assert [m.kernel_size for m in head.modules() if isinstance(m, nn.Conv2d)] == [(3, 3), (1, 1)]
    assert [m.num_features for m in head.modules() if isinstance(m, nn.BatchNorm2d)] == [expected]


def test_every_parameter_counts_in_a_softmax_over_pixels():
    torch.manual_seed(0)
    head = WorstHead(8, 5).double()
    features = torch.rand(2, 8, 6, 4, dtype=torch.float64)
    head(features).flatten(2).log_softmax(-1)[..., 3].sum().backward()
    assert all(p.grad.abs().max() > 1e-8 for p in head.parameters())
