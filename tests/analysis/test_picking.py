"""The models that a score picks against its sorted values, and ties."""

from dipbench.analysis.picking import picked_models

SCORE = "psd_db_strip_mse"


def test_picked_models_are_the_ends_of_the_score(bench):
    scores = bench.score_rows
    mine = scores[(scores["image"] == "camera") & (scores["score"] == SCORE)]
    order = mine.groupby("model")["value"].mean().sort_values().index
    frame = picked_models(bench, "camera", "denoising", SCORE)
    assert set(frame.loc[frame["k"] == 5, "model"]) == set(order[:5])
    assert set(frame["model"]) == set(order[:15])
    assert frame["psnr"].is_monotonic_decreasing


def test_a_pick_that_a_tie_decides_is_left_out(bench):
    scores = bench.score_rows
    mine = (scores["image"] == "camera") & (scores["score"] == SCORE)
    models = [str(genotype) for genotype in bench.genotypes]
    scores.loc[mine, "value"] = scores["model"].map({m: max(i, 4) for i, m in enumerate(models)})
    scores.loc[mine & (scores["model"] == models[5]), "value"] = 4
    frame = picked_models(bench, "camera", "denoising", SCORE)
    assert set(frame.loc[frame["k"] == 15, "model"]) == set(models[:15])
    assert not (frame["k"] == 5).any()


def test_the_published_spelling_is_read(bench):
    frame = picked_models(bench, "camera", "denoising", "psd db strip mse")
    assert frame.equals(picked_models(bench, "camera", "denoising", SCORE))
