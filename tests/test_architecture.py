"""The shape of the house: imports point down, the configuration is read at the top only, files stay short."""

import ast
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import semipose

ROOT = Path(semipose.__file__).parent
LAYERS = (
    ("errors", "writable", "plain_yaml", "structures", "timing", "skeletons", "config"),
    ("geometry", "losses", "runtime"),
    ("views",),
    ("codecs",),
    ("data", "models", "pseudo_labels"),
    ("evaluation",),
    ("algorithms", "prepare"),
    ("visualize",),
    ("predict",),
    ("tracking",),
    ("engine",),
    ("assemble",),
    ("runs", "api"),
    ("cli",),
    ("jobs",),
    ("__main__",),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
# within a layer: who may import whom besides itself
NEIGHBOURS = {
    "writable": {"errors"},
    "plain_yaml": {"errors"},
    "skeletons": {"errors", "plain_yaml"},
    "config": {"errors", "plain_yaml"},
}
READS_CONFIG = {"config", "assemble", "runs", "cli", "jobs"}
MAX_LINES = 300


def module_name(path: Path) -> str:
    """`semipose.data.loaders` for a file of that module."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def part(module: str) -> str:
    """The package or module right below `semipose`."""
    return module.split(".")[1]


def imports(source: str, modules, top_only: bool = False) -> set[str]:
    """Full names of what a file imports; `from package import module` gives the module."""
    tree = ast.parse(source)
    found = set()
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in full}
    return found


def edges(modules: dict[str, str], top_only: bool = False) -> dict[str, set[str]]:
    """Imports of each module within semipose."""
    return {
        name: {other for other in imports(source, modules, top_only) if other.split(".")[0] == "semipose"} - {name}
        for name, source in modules.items()
    }


def wrong_imports(modules: dict[str, str]) -> list[str]:
    """Imports that do not point down."""
    wrong = []
    for name, others in edges(modules).items():
        if name == "semipose":
            wrong += [f"{name} imports {other}" for other in others]
            continue
        for other in others - {"semipose"}:
            own, used = part(name), part(other)
            down = LEVEL[used] < LEVEL[own]
            if not (down or used == own or used in NEIGHBOURS.get(own, ())):
                wrong.append(f"{name} imports {other}")
    return wrong


def config_readers(modules: dict[str, str]) -> set[str]:
    """Parts that import yacs or semipose.config."""
    return {
        part(name)
        for name, source in modules.items()
        for other in imports(source, modules)
        if name != "semipose" and (other.split(".")[0] == "yacs" or other.split(".")[:2] == ["semipose", "config"])
    }


def test_every_part_has_a_layer():
    parts = {
        path.stem if path.is_file() else path.name
        for path in ROOT.iterdir()
        if path.name not in ("__init__.py", "__pycache__")
    }
    assert parts == LEVEL.keys()


def test_imports_point_down():
    assert wrong_imports(MODULES) == []


def test_no_import_cycle():
    """Imports inside functions count too."""
    list(TopologicalSorter(edges(MODULES)).static_order())


def test_only_the_top_reads_the_configuration():
    assert config_readers(MODULES) == READS_CONFIG


def test_who_imports_yacs():
    users = {name for name, source in MODULES.items() if any(i.startswith("yacs") for i in imports(source, MODULES))}
    assert {part(name) for name in users} <= {"config", "assemble", "runs"}


@pytest.mark.parametrize("name", MODULES)
def test_files_are_short(name):
    assert len(MODULES[name].splitlines()) <= MAX_LINES


def forbidden(source: str) -> list[str]:
    """Calls of eval, exec and .cuda, and parts that are only announced."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            found.append(f"line {node.lineno}: {node.func.id}")
        if isinstance(node, ast.Attribute) and node.attr == "cuda" and ast.unparse(node.value) != "torch":
            found.append(f"line {node.lineno}: .cuda")
        if isinstance(node, ast.Raise) and node.exc and "NotImplementedError" in ast.unparse(node.exc):
            found.append(f"line {node.lineno}: NotImplementedError")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_nothing_forbidden(name):
    assert forbidden(MODULES[name]) == []


@pytest.mark.parametrize("name", MODULES)
def test_no_bare_except_and_no_star_import(name):
    for node in ast.walk(ast.parse(MODULES[name])):
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"line {node.lineno}: bare except"
        assert not (isinstance(node, ast.ImportFrom) and node.names[0].name == "*"), f"line {node.lineno}: import *"


@pytest.mark.parametrize("package", ["wandb", "tensorboard", "sklearn", "scipy", "torchvision", "matplotlib", "tqdm"])
def test_heavy_packages_are_imported_where_they_are_used(package):
    allowed = {"tqdm": {"semipose.prepare.drawn_people", "semipose.tracking.progress"}}.get(package, set())
    at_top = {
        name
        for name, source in MODULES.items()
        if any(other.split(".")[0] == package for other in imports(source, MODULES, top_only=True))
    }
    assert at_top <= allowed


# The checks above can fail


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("semipose.skeletons.catalog", "from semipose.geometry import affine"),
        ("semipose.losses.keypoint", "from semipose.codecs import HeatmapCodec"),
        ("semipose.views.view", "import semipose.codecs"),
        ("semipose.views.sampler", "from semipose.data.loaders import PairLoader"),
        ("semipose.models.ema", "def f():\n    from semipose.data import loaders"),
        ("semipose.algorithms.supervised", "from semipose.engine.stepper import Stepper"),
        ("semipose.engine.trainer", "from semipose import assemble"),
        ("semipose.assemble", "from semipose import cli"),
        ("semipose", "from semipose.errors import DataError"),
    ],
)
def test_a_wrong_import_is_found(module, line):
    found = wrong_imports({**MODULES, module: line})
    assert len(found) == 1 and found[0].startswith(f"{module} imports semipose.")


def test_a_cycle_is_found():
    modules = {
        **MODULES,
        "semipose.data.samplers": "from semipose.data import loaders",
        "semipose.data.loaders": "from semipose.data.samplers import PassSampler",
    }
    with pytest.raises(CycleError):
        list(TopologicalSorter(edges(modules)).static_order())


@pytest.mark.parametrize(
    "line", ["from yacs.config import CfgNode", "import yacs", "from semipose.config import load_config"]
)
def test_a_reader_of_the_configuration_is_found(line):
    assert config_readers({**MODULES, "semipose.engine.trainer": line}) == READS_CONFIG | {"engine"}


@pytest.mark.parametrize("line", ["x.cuda()", "f = net.cuda", "raise NotImplementedError", "eval('1')", "exec(code)"])
def test_forbidden_words_are_found(line):
    assert len(forbidden(line)) == 1
    assert forbidden("net.eval(); torch.cuda.is_available(); ast.literal_eval('1')") == []


def test_every_test_file_is_collected(request):
    """pytest passes over folders with some names, such as `build`, without a word."""
    tests = Path(__file__).parent
    skipped = {Path(pattern).name for pattern in request.config.getini("norecursedirs")}
    folders = {part for path in tests.rglob("test_*.py") for part in path.relative_to(tests).parts[:-1]}
    assert [name for name in folders if any(fnmatch(name, pattern) for pattern in skipped)] == []
    files = [path for path in tests.rglob("*.py") if path.name not in ("conftest.py", "__init__.py")]
    helpers = [path.name for path in files if not path.name.startswith("test_") and "def test_" in path.read_text()]
    assert helpers == [], "tests in a file whose name pytest does not look for"
