"""The notebooks run, and print what is kept of them for those who read and do not run them."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
NEEDS_TORCH = "correlating-a-new-score.ipynb"


def test_the_notebooks_are_there():
    assert NOTEBOOKS == [
        "correlating-a-new-score.ipynb",
        "quick-start.ipynb",
        "the-papers-analysis.ipynb",
    ]


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
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_and_prints_what_is_kept(name, tmp_path, monkeypatch):
    if name == NEEDS_TORCH:
        pytest.importorskip("torch")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(FOLDER / name, as_version=4)
    nbformat.validate(notebook)
    client = nbclient.NotebookClient(
        notebook, timeout=280, resources={"metadata": {"path": tmp_path}}
    )
    kept = texts(notebook)
    client.execute()
    assert texts(notebook) == kept
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    drawn = [output for output in outputs if "image/png" in output.get("data", {})]
    assert drawn, "every notebook shows a figure"
