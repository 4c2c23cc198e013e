"""What is installed is what is in the repository, and what users need is in it."""

import configparser
import json
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
NOT_PACKAGES = {"tests", "notebooks", "build", "dist"}
METADATA = configparser.ConfigParser()
METADATA.read(ROOT / "setup.cfg", encoding="utf-8")


def lines(section: str, option: str) -> list[str]:
    return METADATA.get(section, option).split("\n")[1:]


def requirement_name(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def pins() -> dict[str, str]:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pairs = (line.split("==") for line in text.splitlines() if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_every_package_folder_is_listed_and_nothing_else() -> None:
    folders = [
        init.parent.relative_to(ROOT).parts
        for pattern in ("__init__.py", "[!.]*/**/__init__.py")
        for init in ROOT.glob(pattern)
    ]
    folders = [parts for parts in folders if not NOT_PACKAGES & set(parts[:1])]
    present = {".".join(("dipbench", *parts)) for parts in folders}
    assert set(lines("options", "packages")) == present


def test_no_package_lies_among_the_tests() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_the_extra_all_is_what_users_need_together() -> None:
    section = "options.extras_require"
    parts = {line for extra in ("train", "download", "cluster") for line in lines(section, extra)}
    assert lines(section, "all") == sorted(parts)


def test_every_requirement_is_pinned_in_the_constraints() -> None:
    wanted = set(map(requirement_name, lines("options", "install_requires")))
    for extra in METADATA.options("options.extras_require"):
        wanted |= set(map(requirement_name, lines("options.extras_require", extra)))
    assert wanted - set(pins()) == set()
    assert pins()["torch"] == "2.13.0"


def test_the_core_needs_no_torch() -> None:
    core = set(map(requirement_name, lines("options", "install_requires")))
    assert core.isdisjoint({"torch", "scikit-image", "ray", "zenodo-get"})


def test_every_pattern_of_package_data_matches_something() -> None:
    for package in METADATA.options("options.package_data"):
        folder = ROOT.joinpath(*package.split(".")[1:])
        for pattern in METADATA.get("options.package_data", package).split(","):
            assert list(folder.glob(pattern.strip())), (package, pattern)


def test_the_licence_is_that_of_the_code_and_of_what_is_shipped() -> None:
    manifests = ROOT.glob("benchmark/shipped/*/benchmark.json")
    shipped = {json.loads(path.read_text(encoding="utf-8"))["licence"] for path in manifests}
    stated = METADATA.get("metadata", "license_expression")
    assert stated.split(" AND ") == ["Apache-2.0", *sorted(shipped)]


def copy_of_checkout(to: Path) -> Path:
    """The files under version control, in a folder whose name is no identifier."""
    clone = to / "a-b"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = clone / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod((ROOT / name).stat().st_mode)
    return clone


def ship_one(clone: Path, folder: Path) -> None:
    """Put a benchmark of two models under `shipped`, as the real one lies there, and some kept."""
    from dipbench.benchmark.building import finish
    from dipbench.benchmark.compacting import compact
    from dipbench.benchmark.keeping import keep
    from dipbench.benchmark.parts import write_part
    from dipbench.benchmark.pictures import read_observation
    from dipbench.benchmark.plan import PLAN_PICTURES, freeze_plan, make_plan
    from dipbench.benchmark.schema import Run
    from dipbench.data import load_image
    from dipbench.evaluate.protocol import get_protocol

    images, task = [load_image("camera", size=64)], "denoising-25"
    protocol = get_protocol("quick").with_iterations(8)
    plan = make_plan("tiny", ["0", "1"], images, [task], [0], protocol)
    freeze_plan(folder, plan, images)
    sha256 = read_observation(folder / PLAN_PICTURES, ("camera", task)).sha256
    psnr = np.linspace(20, 25, 8, dtype=np.float32)
    curves = {"psnr": psnr, "psnr_smooth": psnr, "loss": 1 / psnr}
    runs = [
        Run(key, "finished", "", curves, {"observation_sha256": sha256}) for key in plan.run_keys()
    ]
    write_part(folder / "parts", runs)
    kept = clone / "benchmark" / "mini" / "kept"
    shutil.rmtree(kept, ignore_errors=True)  # of another protocol
    keep(folder, kept)
    finish(folder)
    (clone / "benchmark" / "shipped").mkdir(exist_ok=True)
    compact(folder, clone / "benchmark" / "shipped" / "tiny", licence="CC-BY-4.0")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    made = copy_of_checkout(tmp_path_factory.mktemp("clone"))
    ship_one(made, tmp_path_factory.mktemp("store"))
    return made


@pytest.fixture(scope="module")
def built(clone: Path) -> Path:
    """The folder with the sdist, and the wheel that is built from it."""
    subprocess.run(
        [sys.executable, "-P", "-m", "build", "--outdir", "out", "."], cwd=clone, check=True
    )
    return clone / "out"


def package_sources(folder: Path) -> set[str]:
    """The modules and data files that an installed dipbench consists of, as paths within it."""
    listed = {name.removeprefix("dipbench").lstrip(".") for name in lines("options", "packages")}
    rooms = [folder.joinpath(*filter(None, name.split("."))) for name in listed]
    return {file.relative_to(folder).as_posix() for room in rooms for file in room.glob("*.py")}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_holds_the_package_and_nothing_else(built: Path, clone: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (about,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(about).decode()
    assert "\nLicense-Expression: Apache-2.0 AND CC-BY-4.0\n" in metadata
    assert {name.split("/")[0] for name in names} == {"dipbench"}
    inside = {name.removeprefix("dipbench/") for name in names}
    assert {name for name in inside if name.endswith(".py")} == package_sources(clone)
    assert {"py.typed", "benchmark/shipped/tiny/README.md"} <= inside
    assert not [name for name in inside if name.startswith("benchmark/mini")]
    assert not [name for name in inside if name.split("/")[0] in {"tests", ".venv", "build"}]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_wheel_holds_every_data_file_of_the_rooms(built: Path, clone: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.removeprefix("dipbench/") for name in archive.namelist()}
    rooms = {path.split("/")[0] for path in package_sources(clone) if "/" in path}
    data = {
        file.relative_to(clone).as_posix()
        for room in rooms
        for file in (clone / room).rglob("*")
        if file.is_file() and file.suffix not in {".py", ".pyc"}
    }
    # What the shipped benchmark is built with and from, and pages beside the code.
    data -= {name for name in data if name.startswith("benchmark/mini/")}
    data -= {name for name in data if name.endswith(".md") and "/shipped/" not in name}
    assert data - inside == set(), "name these in setup.cfg under options.package_data"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sdist_holds_what_a_build_and_the_tests_need(built: Path, clone: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert package_sources(clone) <= names
    assert {"LICENSE", "README.md", "constraints.txt", "Makefile", "tests/pytest.ini"} <= names
    links = re.findall(r"\]\(([^):#]+)[)#]", (clone / "README.md").read_text(encoding="utf-8"))
    assert {"CITATION.cff", "benchmark/mini/PILOT.md"} <= {*links}
    assert {*links} <= names, "name these in MANIFEST.in"
    assert {"benchmark/shipped/tiny/benchmark.json", "benchmark/mini/build.py"} <= names
    assert not [name for name in names if name.startswith("benchmark/mini/kept/")]
    assert not [name for name in names if name.split("/")[0] in {".venv", ".git", "build", "out"}]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_core_installs_and_answers_without_torch(clone: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "core", with_pip=True)
    python = tmp_path / "core" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", "constraints.txt", "."], cwd=clone, check=True)
    code = "import importlib.util as u, dipbench; print(dipbench.__file__, u.find_spec('torch'))"
    answer = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    place, torch = answer.stdout.split()
    assert Path(place).is_relative_to(tmp_path / "core")
    assert torch == "None"
    code = (
        "import dipbench; bench = dipbench.load('tiny'); print(bench.best('camera', 'denoising'))"
    )
    answer = subprocess.run(
        [python, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert "psnr=25.0" in answer.stdout
    shown = subprocess.run(
        [tmp_path / "core" / "bin" / "dipbench", "--help"], cwd=tmp_path, capture_output=True
    )
    assert shown.returncode == 0, shown.stderr.decode()


def test_the_ci_script_is_sound() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "not executable"
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_ci_script_passes_shellcheck() -> None:
    done = subprocess.run(["shellcheck", ROOT / ".ci" / "run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
