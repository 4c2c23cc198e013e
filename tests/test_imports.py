"""Who may import whom: the rules that keep the package's rooms apart and its import cheap."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# An upper layer imports from the layers below it, and never from its own layer's other rooms.
LAYERS = (
    ("cli",),
    ("analysis",),
    ("benchmark",),
    ("evaluate",),
    ("genotypes", "data"),
    ("files", "seeds"),
    ("errors", "scalars"),
)
HEIGHT = {room: -depth for depth, rooms in enumerate(LAYERS) for room in rooms}
FACE = ("__init__", "__main__")

HEAVY_PLACES = {
    "torch": (
        "genotypes/network*.py",
        "genotypes/blocks.py",
        "genotypes/decoders.py",
        "genotypes/hourglass.py",
        "genotypes/initialisation.py",
        "genotypes/processor.py",
        "genotypes/reference.py",
        "evaluate/baselines.py",
        "evaluate/compression.py",
        "evaluate/devices.py",
        "evaluate/fitting.py",
        "evaluate/gpus.py",
        "evaluate/graphs.py",
        "evaluate/inputs.py",
        "evaluate/models.py",
        "evaluate/operators.py",
        "evaluate/optimising.py",
        "evaluate/perceptual.py",
        "evaluate/scores_network*.py",
        "evaluate/scoring.py",
        "evaluate/screening.py",
        "evaluate/tracking.py",
        "evaluate/vision.py",
        "benchmark/costs.py",
    ),
    "matplotlib": ("analysis/plots*",),
    "ray": ("benchmark/executors/ray*.py",),
}

# What `import dipbench` must not load, and what a core install does not have.
LAZY = ("torch", "matplotlib", "pandas", "skimage", "ray")
EXTRAS = ("torch", "skimage", "zenodo_get", "ray")


def package_folders() -> list[Path]:
    found = [ROOT]
    for folder in found:
        found += [inner for inner in sorted(folder.iterdir()) if (inner / "__init__.py").exists()]
    return found


def package_files() -> list[str]:
    files = (file for folder in package_folders() for file in folder.glob("*.py"))
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


FILES = package_files()


def parse(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


def for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    )


def imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that can run, inside functions too; not those under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and for_type_checkers(child):
            for statement in child.orelse:
                yield from imports(statement)
        else:
            yield from imports(child)


def imported_inside(path: str) -> Iterator[tuple[int, str]]:
    """The line and the full name, without `dipbench`, of each import from the package itself."""
    folder = Path(path).parent.parts
    for node in imports(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder[: len(folder) - node.level + 1]
            module = (*base, *(node.module or "").split(".")) if node.module else base
            for alias in node.names:
                yield node.lineno, ".".join((*module, alias.name))


def imported_outside(path: str) -> Iterator[tuple[int, str]]:
    """The line and the top-level name of each import that is not relative."""
    for node in imports(parse(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")[0]
        elif not node.level and node.module:
            yield node.lineno, node.module.split(".")[0]


def room_of(path: str) -> str:
    return Path(path).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES)
def test_imports_run_one_way(path: str) -> None:
    room = room_of(path)
    if room in FACE:
        return
    assert room in HEIGHT, f"{path}: a new room; say in LAYERS where it stands"
    for line, name in imported_inside(path):
        other = name.split(".")[0]
        assert other == room or (other in HEIGHT and HEIGHT[other] < HEIGHT[room]), (
            f"{path}:{line}: {room} may not import {name}"
        )


@pytest.mark.parametrize("path", FILES)
def test_the_package_imports_itself_relatively(path: str) -> None:
    lines = [line for line, name in imported_outside(path) if name == "dipbench"]
    assert not lines, f"{path}, lines {lines}: write the import as a relative one"


@pytest.mark.parametrize("path", FILES)
def test_heavy_packages_stay_in_their_places(path: str) -> None:
    for line, name in imported_outside(path):
        places = HEAVY_PLACES.get(name)
        assert places is None or any(fnmatch(path, place) for place in places), (
            f"{path}:{line}: {name} is imported only in {', '.join(places or ())}"
        )


def test_importing_dipbench_is_cheap() -> None:
    code = f"import sys, dipbench; print(*sorted(set({LAZY!r}) & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


@pytest.mark.parametrize("folder", package_folders(), ids=lambda path: path.name)
def test_every_room_loads_on_a_core_install(folder: Path) -> None:
    name = ".".join(("dipbench", *folder.relative_to(ROOT).parts))
    code = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r})); import {name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", package_folders(), ids=lambda path: path.name)
def test_no_module_bears_the_name_of_a_public_function_beside_it(folder: Path) -> None:
    modules = {path.stem for path in folder.glob("*.py")} - set(FACE)
    modules |= {path.name for path in package_folders() if path.parent == folder}
    public = set()
    for file in folder.glob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                public.add(node.name)
            elif file.name == "__init__.py" and isinstance(node, ast.ImportFrom) and node.module:
                public |= {alias.asname or alias.name for alias in node.names}
    public = {name for name in public if not name.startswith("_")}
    assert not modules & public, f"{folder.name}: {sorted(modules & public)} name two things"
