"""The notebooks run, and print what is kept of the one that newcomers read."""

import runpy
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).parents[2] / "notebooks"
SHOWN = "quick-start.ipynb"
"""Kept with what it prints of the shipped benchmark, for those who read it and do not run it."""
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
ASKING_ANY = [name for name in NOTEBOOKS if name != SHOWN]
"""Of the benchmark that `DIPBENCH_STORE` names."""


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Twenty models on two images, curves and scores made up, as for the tests of the report."""
    made = runpy.run_path(str(FOLDER.parent / "tests/analysis/reporting/conftest.py"))
    folder = tmp_path_factory.mktemp("notebooks") / "store"
    return made["make_store"](folder, tasks=("denoising-25",)).folder


def test_the_notebooks_are_there():
    assert NOTEBOOKS == [
        "correlating-a-new-score.ipynb",
        "quick-start.ipynb",
        "the-papers-analysis.ipynb",
    ]


@pytest.mark.parametrize("name", ASKING_ANY)
def test_outputs_are_stripped(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def texts(notebook):
    """What each cell printed, and the pictures among it by their kind alone."""
    return [
        [
            (output.output_type, output.get("text", output.get("data", {}).get("text/plain")))
            for output in cell.outputs
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


# The kernel's client leaves sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("name", "where"),
    [
        *((name, "shipped") for name in NOTEBOOKS),
        *(pytest.param(name, "two images", marks=pytest.mark.slow) for name in ASKING_ANY),
    ],
)
def test_it_runs(name, where, store, tmp_path, monkeypatch):
    if name == "correlating-a-new-score.ipynb":
        pytest.importorskip("torch")
    if where == "shipped":
        monkeypatch.delenv("DIPBENCH_STORE", raising=False)
    else:
        monkeypatch.setenv("DIPBENCH_STORE", str(store))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(FOLDER / name, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=280, resources={"metadata": {"path": tmp_path}}
    )
    shown = texts(notebook)
    client.execute()
    if name == SHOWN:
        assert texts(notebook) == shown
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    drawn = [output for output in outputs if "image/png" in output.get("data", {})]
    assert drawn, "every notebook shows a figure"
