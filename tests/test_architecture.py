"""The shape of the house: imports point down, the configuration is read at the top only, files stay short."""

import ast
from fnmatch import fnmatch
from graphlib import TopologicalSorter
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
    ("lifting",),
    ("tracking",),
    ("engine",),
    ("assemble",),
    ("runs", "api", "report"),
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
READS_CONFIG = {"config", "assemble", "runs", "report", "cli", "jobs"}
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


def test_files_are_short():
    assert [name for name, source in MODULES.items() if len(source.splitlines()) > MAX_LINES] == []


def is_forbidden(node: ast.AST) -> bool:
    """eval, exec, .cuda, NotImplementedError, a bare except, import *"""
    return (
        (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"))
        or (isinstance(node, ast.Attribute) and node.attr == "cuda" and ast.unparse(node.value) != "torch")
        or (isinstance(node, ast.Raise) and node.exc is not None and "NotImplementedError" in ast.unparse(node.exc))
        or (isinstance(node, ast.ExceptHandler) and node.type is None)
        or (isinstance(node, ast.ImportFrom) and node.names[0].name == "*")
    )


def forbidden(source: str, name: str = "") -> list[str]:
    return [f"{name} line {node.lineno}" for node in ast.walk(ast.parse(source)) if is_forbidden(node)]


def test_nothing_forbidden():
    assert [place for name, source in MODULES.items() for place in forbidden(source, name)] == []


HEAVY = {"wandb", "tensorboard", "sklearn", "scipy", "torchvision", "timm", "matplotlib"}


def test_heavy_packages_are_imported_where_they_are_used():
    at_top = {name: imports(source, MODULES, top_only=True) for name, source in MODULES.items()}
    assert [name for name, others in at_top.items() if HEAVY & {other.split(".")[0] for other in others}] == []


# The checks above can fail


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("semipose.skeletons.catalog", "from semipose.geometry import affine"),
        ("semipose.views.view", "import semipose.codecs"),
        ("semipose.models.ema", "def f():\n    from semipose.data import loaders"),
        ("semipose.engine.trainer", "from semipose import assemble"),
        ("semipose", "from semipose.errors import DataError"),
    ],
)
def test_a_wrong_import_is_found(module, line):
    found = wrong_imports({**MODULES, module: line})
    assert len(found) == 1 and found[0].startswith(f"{module} imports semipose.")


@pytest.mark.parametrize(
    "line", ["from yacs.config import CfgNode", "import yacs", "from semipose.config import load_config"]
)
def test_a_reader_of_the_configuration_is_found(line):
    assert config_readers({**MODULES, "semipose.engine.trainer": line}) == READS_CONFIG | {"engine"}


@pytest.mark.parametrize("line", ["net.cuda()", "raise NotImplementedError", "exec(code)", "from a import *"])
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
