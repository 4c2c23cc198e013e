"""Pictures of restorations: what is drawn is what was recorded."""

from dataclasses import replace

import numpy as np
import pytest

from dipbench.analysis.plots_restoration import (
    Tile,
    comparison_sheet,
    contact_sheet,
    dynamics,
    search_course,
)
from dipbench.analysis.search.isnas import Candidate, SearchResult
from dipbench.data import load_image, parse_task
from dipbench.errors import QueryError
from dipbench.evaluate.comparing import Row
from dipbench.evaluate.restoring import restore
from dipbench.genotypes import ISNAS522

TASK = parse_task("denoising-25")
CAMERA = load_image("camera", size=64)
NOISY = TASK.observe(CAMERA, 0)


@pytest.fixture(scope="module")
def restored():
    return restore(NOISY, TASK, "dip-jpeg", truth=CAMERA, iterations=60, threads=1)


def test_dynamics_show_the_curves_and_mark_what_was_kept(restored):
    upper, middle, _ = dynamics(restored).axes
    assert np.array_equal(upper.lines[0].get_ydata(), restored.fit.loss)
    assert np.array_equal(middle.lines[1].get_ydata(), restored.fit.psnr_smooth)
    assert upper.lines[-1].get_xdata()[0] == restored.iteration
    assert "PSNR (dB)" in middle.get_ylabel()


def test_the_longest_name_and_the_legend_lie_within_the_figure(restored):
    longest = max(map(str, ISNAS522), key=len)
    figure = dynamics(replace(restored, model=longest, kept="discrepancy"))
    figure.draw_without_rendering()
    upper, middle, lower = figure.axes
    edge = figure.bbox.x1
    assert upper._left_title.get_window_extent().x1 <= edge
    legend = middle.get_legend().get_window_extent()
    assert middle.bbox.y1 <= legend.y0
    assert legend.x1 <= edge
    assert all(tick == round(tick) for tick in lower.get_xticks())


def test_a_sheet_of_no_pictures_is_refused():
    with pytest.raises(QueryError, match="no pictures"):
        contact_sheet([])


def test_dynamics_without_a_truth():
    made = restore(NOISY, TASK, "dip-jpeg", iterations=2, threads=1)
    labels = [text.get_text() for text in dynamics(made).axes[1].get_legend().get_texts()]
    assert labels == ["against observation"]


def test_a_sheet_has_a_tile_for_each_picture():
    quality = {"psnr": 30.0, "ssim": 0.9}
    row = Row("dip", CAMERA.array, "last", None, "finished", "", quality, None, 1, 1.0, 1)
    sheet = comparison_sheet([row] * 4, NOISY, CAMERA, "camera")
    titles = [axes.get_title() for axes in sheet.axes]
    assert titles == ["truth", "observation", "dip", "dip", "dip", "dip"]
    assert sheet.axes[2].get_xlabel() == "30.00 dB, 0.900 SSIM"
    colour = load_image("astronaut", size=64)
    assert len(contact_sheet([Tile("a", colour.array)] * 7).axes) == 7


@pytest.mark.parametrize(
    ("selection", "label"),
    [
        ("average", "distance from average"),
        ("discrepancy", "discrepancy from noise"),
        ("discrepancy_variance", "variance at the noise"),
    ],
)
def test_the_course_of_a_search(restored, selection, label):
    never = None if selection == "discrepancy_variance" else 0.02
    candidates = (Candidate("a", 1.0, 0.1, 1.0, 0.01), Candidate("b", 2.0, 0.1, 1.0, never))
    scores = {"a": 1.0, "b": 2.0, "c": 7.0}
    seconds = (1.0, 2.0, 1.0)
    score = "psd_db_strip_mse"
    rules = {"selection": "discrepancy_variance", "selected_by": selection}
    found = SearchResult(restored, "a", candidates, scores, score, **rules, seconds=seconds)
    upper, lower = search_course(found).axes
    assert [line.get_xdata()[0] for line in upper.lines] == [1.0, 2.0]
    assert len(lower.collections[0].get_offsets()) == 2
    assert lower.get_ylabel() == label
