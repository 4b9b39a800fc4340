"""Compiled networks: the same tensors, names and results, a graph for each batch size, and evaluation as written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch._dynamo
from small_codecs import make_codec
from torch import nn

from semipose.errors import ConfigError
from semipose.evaluation.network_outputs import predict_output
from semipose.models import compiling
from semipose.models.compiling import check_compiler, compile_networks
from semipose.models.ema import EmaTeacher
from semipose.models.freezing import freeze
from semipose.models.manifold_mix import mixed_inside
from semipose.models.pose_network import PoseNetwork

ROOT = Path(__file__).resolve().parents[2]


class TinyBackbone(nn.Module):
    """Quick to trace; with BatchNorm and an early stage."""

    mean, std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.last = nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4))

    @property
    def early_stages(self):
        return (self.stem,)

    def forward(self, images):
        return self.last(self.stem(images))


class TinyNeck(nn.Module):
    """Not an nn.Sequential: torch does not compile modules whose `forward` is its own."""

    out_channels, stride = 4, 2

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, features):
        return self.conv(features).relu()


class Graphs(list):
    """A backend that runs graphs as they are, and keeps them."""

    def __call__(self, graph, inputs):
        self.append(graph)
        return graph.forward

    def new(self, function) -> int:
        """How many graphs a call makes."""
        before = len(self)
        function()
        return len(self) - before


class Holder(nn.Module):
    """A student and its EMA, as algorithms hold them."""

    def __init__(self, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.student = PoseNetwork(TinyBackbone(), TinyNeck(), make_codec((6, 8), (3, 4), joints=5))
        self.teacher = EmaTeacher(self.student, 0.9)


@pytest.fixture(autouse=True)
def fresh_dynamo():
    with torch._dynamo.config.patch(recompile_limit=2):
        torch._dynamo.reset()
        yield
        torch._dynamo.reset()


@pytest.fixture
def graphs():
    return Graphs()


@pytest.fixture
def pair(graphs):
    """The same networks twice: as they are, and compiled."""
    plain, compiled = Holder(), Holder()
    compile_networks(compiled, graphs)
    return plain, compiled


def images(count: int = 3):
    return torch.rand(count, 3, 8, 6, generator=torch.Generator().manual_seed(count))


def learn(network, x):
    """Gradients of one pass in train mode."""
    network.zero_grad()
    network(x).square().sum().backward()
    return [parameter.grad for parameter in network.parameters()]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_checkpoints_of_compiled_and_other_runs_are_interchangeable(pair):
    plain, compiled = pair
    compiled.student(images())
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    other = Holder(seed=1)
    for source, target in ((other, compiled), (compiled, plain)):
        target.load_state_dict(source.state_dict())
        assert_same([target.eval().student(images())], [other.eval().student(images())])


def test_students_and_teachers_learn_and_teach_as_before(pair, graphs):
    plain, compiled = pair
    for step in range(2):
        gradients = [learn(holder.student, images()) for holder in pair]
        assert_same(*gradients)
        for holder in pair:
            holder.teacher.update(holder.student)
        assert_same([plain.teacher(images())], [compiled.teacher(images())])
        assert len(graphs) == 6, step  # backbone, neck and head, for learning and for teaching
    assert_same(plain.state_dict().values(), compiled.state_dict().values())  # BatchNorm statistics too


def test_networks_that_are_built_alike_share_graphs(graphs):
    holders = nn.ModuleList([Holder(0), Holder(1)])
    compile_networks(holders, graphs)
    assert [graphs.new(lambda holder=holder: holder.student(images())) for holder in holders] == [3, 0]


def test_a_graph_for_each_batch_size_and_no_more(pair, graphs):
    """Also for more sizes than torch would allow by itself (the fixture says 2), and for sizes that come again."""
    _, compiled = pair
    made = [graphs.new(lambda count=count: compiled.student(images(count))) for count in (4, 1, 2, 3, 2, 1, 4)]
    assert made == [3, 3, 3, 3, 0, 0, 0]


def test_evaluation_runs_the_networks_as_written(pair, graphs):
    class View:
        images = images()

    plain, compiled = pair
    for holder in pair:
        learn(holder.student, images())
    count = len(graphs)
    for name in ("student", "teacher"):
        found = [predict_output(getattr(holder, name), View) for holder in pair]
        assert torch.equal(*found)
    assert len(graphs) == count
    assert graphs.new(lambda: compiled.student(images())) == 0 and compiled.student.training


@pytest.mark.parametrize("first", [None, torch.bfloat16])
def test_the_number_type_is_that_of_the_call(pair, first):
    for dtype in (first, None, torch.bfloat16, None):
        for holder in pair:
            holder.student.autocast_dtype = dtype
        found = [holder.student(images()) for holder in pair]
        torch.testing.assert_close(*found, rtol=0, atol=0)


def test_frozen_parts_stay_as_they_are(graphs):
    holder = Holder()
    freeze(holder.student, ["backbone.stem"])
    compile_networks(holder, graphs)
    before = {name: tensor.clone() for name, tensor in holder.student.backbone.stem.state_dict().items()}
    learn(holder.student.train(), images())
    assert all(torch.equal(tensor, before[name]) for name, tensor in holder.student.backbone.stem.state_dict().items())
    assert (
        holder.student.backbone.stem[0].weight.grad is None and holder.student.backbone.last[0].weight.grad is not None
    )


@pytest.mark.parametrize("compiled_first", [False, True])
def test_mixing_inside_works_before_and_after_compilation(pair, graphs, compiled_first):
    permutation = torch.tensor([1, 2, 0])
    if compiled_first:
        for holder in pair:
            holder.student(images())
    found = []
    for holder in pair:
        with mixed_inside(holder.student, 0, permutation, 0.3):
            found.append(holder.student.features(images()))
    assert torch.equal(*found)
    plain = [holder.student.features(images()) for holder in pair]
    torch.testing.assert_close(*plain)
    assert not torch.allclose(plain[0], found[0])
    assert len(graphs) == (3 if compiled_first else 2)


def test_a_compiler_that_does_not_work_is_one_clear_line(monkeypatch):
    def missing(*_, **__):
        raise RuntimeError("backend='inductor' raised:\nInvalidCxxCompiler: No working C++ compiler\n\nset TORCH_LOGS")

    monkeypatch.setattr(compiling.torch, "compile", missing)
    with pytest.raises(ConfigError, match="TRAIN.COMPILE .* No working C.. compiler") as told:
        check_compiler(torch.device("cpu"))
    assert "\n" not in str(told.value) and "TORCH_LOGS" not in str(told.value)


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "says"), [("", "works"), ("/nonexistent", "No working C++ compiler found")])
def test_the_compiler_is_tried(tmp_path, compiler, says):
    code = "import torch; from semipose.models.compiling import check_compiler; check_compiler(torch.device('cpu'))"
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT / "lib")}
    environment |= {"CXX": compiler} if compiler else {}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('works')"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert says in (done.stdout if not compiler else done.stderr.splitlines()[-1])


@pytest.mark.slow
def test_the_compiler_computes_what_the_networks_compute():
    plain, compiled = Holder(), Holder()
    compile_networks(compiled)
    assert_same(learn(plain.student, images()), learn(compiled.student, images()))
    assert_same([plain.teacher(images())], [compiled.teacher(images())])
