"""Every figure draws, keeps its text inside and apart, and is written whole."""

import sys
from collections import Counter
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

import dipbench
from dipbench.analysis import plots
from dipbench.analysis.attributes import attribute_effects
from dipbench.analysis.plots_files import write_figures
from dipbench.analysis.plots_style import style
from dipbench.analysis.plots_transfer import score_matrix
from dipbench.errors import QueryError, StoreError

SCORE = "psd_db_strip_mse"


@pytest.fixture
def rich(make_bench):
    return make_bench(models=80, images=("camera", "coins", "retina", "brick"))


def drawn_texts(figure):
    """Words and boxes, in pixels, of all the text that is drawn."""
    drawn = []
    draw = Text.draw
    with style(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Text, "draw", lambda self, renderer: (drawn.append(self), draw(self, renderer))
        )
        figure.canvas.draw()
    shown = [text for text in drawn if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


def check_legible(figure):
    width, height = figure.canvas.get_width_height()
    texts = drawn_texts(figure)
    assert texts
    for words, box in texts:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert inside, f"{words!r} is cut off"
    for (words, box), (others, other) in combinations(texts, 2):
        across = min(box.x1, other.x1) - max(box.x0, other.x0)
        down = min(box.y1, other.y1) - max(box.y0, other.y0)
        assert min(across, down) < 2, f"{words!r} and {others!r} overlap"


def draw(bench, name, **options):
    if name in plots.IMAGE_FIGURES:
        return plots.FIGURES[name](bench, "camera", "denoising", **options)
    return plots.FIGURES[name](bench, "denoising", **options)


@pytest.mark.parametrize("name", plots.FIGURES)
def test_every_figure_is_legible(rich, name):
    check_legible(draw(rich, name))


@pytest.mark.parametrize("name", plots.FIGURES)
def test_every_figure_of_two_images(bench, name):
    check_legible(draw(bench, name))


# Variance takes two seeds of every image.
@pytest.mark.parametrize("name", sorted(plots.FIGURES.keys() - {"variance"}))
def test_every_figure_of_the_shipped_benchmark(name):
    check_legible(draw(dipbench.load("pilot"), name))


def test_a_score_of_one_image_alone_leaves_the_taus_of_the_others(bench):
    rows = bench.score_rows
    bench.score_rows = rows[(rows["image"] != "coins") | (rows["score"] != "psd_db_mse")]
    [axes] = plots.FIGURES["tau per image"](bench, "denoising").axes
    assert len(axes.get_yticks()) == bench.score_rows["score"].nunique() + 1


def test_the_two_of_the_demo_are_legible(bench):
    models = [str(genotype) for genotype in bench.genotypes[:7]]
    check_legible(plots.curves(bench, "camera", "denoising", models, seed=0))
    check_legible(plots.scatter(bench, "camera", "denoising", SCORE, by="final_psnr"))
    check_legible(score_matrix(bench, "denoising", SCORE))


def test_the_matrix_is_of_the_best_score_unless_one_is_named(bench):
    assert SCORE in score_matrix(bench, "denoising").get_suptitle()
    named = score_matrix(bench, "denoising", "psd_99_per_bw")
    assert "psd_99_per_bw" in named.get_suptitle()


def test_figures_are_written_for_the_score_that_is_named(bench, tmp_path, monkeypatch):
    bench.pairs = [("camera", "denoising-25")]
    figures = {"score matrix": lambda bench, task, score: score_matrix(bench, task, score)}
    monkeypatch.setattr("dipbench.analysis.plots_files.IMAGE_FIGURES", {})
    monkeypatch.setattr("dipbench.analysis.plots_files.TASK_FIGURES", figures)
    [path], refused = write_figures(bench, tmp_path, ".svg", score="psd_99_per_bw")
    assert path.name == "score-matrix--denoising-25.svg"
    assert "psd_99_per_bw" in path.read_text(encoding="utf-8")
    assert refused == {}


def test_intervals_in_figures_are_of_the_resamples_asked_for(bench, tmp_path, monkeypatch):
    asked = []

    def effects(*arguments, resamples=1000):
        asked.append(resamples)
        return attribute_effects(*arguments, resamples=resamples)

    monkeypatch.setattr("dipbench.analysis.plots_models.attribute_effects", effects)
    bench.pairs = [("camera", "denoising-25")]
    name = "attributes"
    monkeypatch.setattr(
        "dipbench.analysis.plots_files.IMAGE_FIGURES", {name: plots.IMAGE_FIGURES[name]}
    )
    monkeypatch.setattr("dipbench.analysis.plots_files.TASK_FIGURES", {})
    write_figures(bench, tmp_path, ".svg", resamples=250)
    assert asked == [250]


def test_figures_of_another_measure_have_names_of_their_own(bench, tmp_path, monkeypatch):
    bench.pairs = [("camera", "denoising-25")]
    monkeypatch.setattr(
        "dipbench.analysis.plots_files.IMAGE_FIGURES",
        {"best": plots.IMAGE_FIGURES["psnr histogram"]},
    )
    monkeypatch.setattr("dipbench.analysis.plots_files.TASK_FIGURES", {})
    for by in ("best_psnr_smooth", "final_psnr"):
        assert write_figures(bench, tmp_path, ".svg", by, score=SCORE)[1] == {}
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "best--camera--denoising-25.svg",
        "best--camera--denoising-25--final_psnr.svg",
    }


def test_a_scatter_shows_every_model_that_has_both(bench):
    bench.runs.loc[bench.runs["model"] == str(bench.genotypes[0]), "status"] = "failed"
    figure = plots.scatter(bench, "camera", "denoising", SCORE)
    kinds = {drawn.get_label(): drawn.get_offsets() for drawn in figure.axes[0].collections}
    points = np.concatenate([np.ma.filled(one, np.nan) for one in kinds.values()])
    assert np.isfinite(points).all(axis=1).sum() == 39
    primitives = [genotype.primitive for genotype in bench.genotypes]
    assert {kind: len(one) for kind, one in kinds.items()} == Counter(primitives)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(kinds)
    assert "39, 1 missing" in figure.get_suptitle()
    assert "lower is better" in figure.axes[0].get_xlabel()


def test_curves_are_named_from_top_to_bottom(bench):
    models = [str(genotype) for genotype in bench.genotypes[:4]]
    figure = plots.curves(bench, "camera", "denoising", models)
    peaks = [float(text.get_text().split()[0]) for text in figure.legends[0].get_texts()]
    assert peaks == sorted(peaks, reverse=True)
    best = bench.query(models[0], "camera", "denoising-25").psnr
    assert any(peak == pytest.approx(best, abs=0.006) for peak in peaks)


def test_the_dot_of_a_curve_is_its_best_though_a_compact_benchmark_leaves_it_out():
    mini = dipbench.load("mini")
    figure = plots.curves(mini, "camera", "denoising", [292], seed=0)
    best = mini.query(292, "camera", "denoising", seed=0)
    assert best.iteration not in mini.curve_iterations(292, "camera", "denoising")
    (dot,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (best.iteration, best.psnr)


def test_the_histogram_needs_no_scores(bench, monkeypatch):
    def without():
        raise StoreError("the benchmark holds no scores")

    monkeypatch.setattr(bench, "scores", without)
    check_legible(plots.FIGURES["psnr histogram"](bench, "camera", "denoising"))


def test_a_figure_that_cannot_be_written_is_one_line(bench, tmp_path):
    figure = plots.scatter(bench, "camera", "denoising", SCORE)
    with pytest.raises(QueryError, match=r"cannot write .*no_folder/a\.png: No such file"):
        plots.save(figure, tmp_path / "no_folder" / "a.png")


@pytest.mark.parametrize("count", [0, 8])
def test_curves_that_cannot_be_told_apart_are_refused(bench, count):
    with pytest.raises(QueryError, match="choose 1 to 7"):
        plots.curves(bench, "camera", "denoising", [str(g) for g in bench.genotypes[:count]])


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_a_figure_is_written_whole_and_the_same_twice(bench, tmp_path, ending, start):
    figure = plots.scatter(bench, "camera", "denoising", SCORE)
    first, second = (plots.save(figure, tmp_path / f"{name}.{ending}") for name in "ab")
    assert first.read_bytes().startswith(start)
    assert first.read_bytes() == second.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_effects_of_too_few_models_are_refused(make_bench):
    with pytest.raises(QueryError, match="train more models"):
        plots.FIGURES["attributes"](make_bench(models=6), "camera", "denoising")


def test_another_ending_is_refused(bench, tmp_path):
    figure = plots.scatter(bench, "camera", "denoising", SCORE)
    with pytest.raises(QueryError, match=r"\.png, \.svg"):
        plots.save(figure, tmp_path / "figure.bmp")


def test_the_readers_settings_and_windows_are_left_alone(bench):
    before = dict(matplotlib.rcParams)
    plots.scatter(bench, "camera", "denoising", SCORE)
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules


def test_figures_by_what_is_no_summary_are_not_begun(bench, tmp_path):
    with pytest.raises(QueryError, match="unknown summary 'nonsense'"):
        write_figures(bench, tmp_path / "figures", by="nonsense")
    assert not (tmp_path / "figures").exists()


def test_curves_of_one_iteration_are_drawn(bench):
    for curves in bench.curves.values():
        curves.update({key: curve[:1] for key, curve in curves.items()})
    bench.curve_iterations = lambda *place, seed: np.arange(1)
    check_legible(plots.curves(bench, "camera", "denoising", [str(bench.genotypes[0])]))


def test_figures_say_what_a_run_is_worth(bench):
    for name in ("attributes", "tau per image", "truth over images", "variance"):
        figure = draw(bench, name, by="final_psnr_smooth")
        words = [figure.get_suptitle()]
        words += [axes.get_xlabel() for axes in figure.axes]
        assert any("final smoothed PSNR" in word for word in words), name


def test_the_matrix_is_of_the_score_with_the_highest_mean(make_bench):
    bench = make_bench(images=("camera", "coins", "page", "moon", "brick"))
    rows = bench.score_rows
    known = rows["image"].isin(["camera", "coins"]) | (rows["score"] != SCORE)
    bench.score_rows = rows[known]
    assert SCORE in score_matrix(bench, "denoising").get_suptitle()


def test_figures_in_no_format_or_no_folder_are_not_begun(bench, tmp_path):
    with pytest.raises(QueryError, match=r"end it in \.png"):
        write_figures(bench, tmp_path / "figures", ".gif")
    assert not (tmp_path / "figures").exists()
    (tmp_path / "file").touch()
    with pytest.raises(QueryError, match="file/figures is no folder"):
        write_figures(bench, tmp_path / "file" / "figures")


def test_a_further_average_is_named_on_its_axis():
    mini = dipbench.load("mini")
    for kind, label in (
        ("psnr", "PSNR (dB)"),
        ("psnr_smooth", "smoothed PSNR (dB)"),
        ("psnr_smooth_0.99", "PSNR smoothed with 0.99 (dB)"),
    ):
        figure = plots.curves(mini, "camera", "denoising", mini.models[:1], kind=kind)
        assert figure.axes[0].get_ylabel() == label
