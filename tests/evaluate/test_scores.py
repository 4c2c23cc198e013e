import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dipbench.errors import ScoreError
from dipbench.evaluate import SCORES, score
from dipbench.evaluate.scores import PUBLISHED, Spectra

TESTS = Path(__file__).parents[1]
CASES = json.loads((TESTS / "reference/scores.json").read_text())
LOOSE = {"nodc_psd_db_mse", "nodc_psd_db_hist_emd", "nodc_psd_db_50_db_bw"}
"""They see the logarithm of a DC term that is only rounding noise."""


@pytest.fixture(scope="module")
def pictures():
    return np.load(TESTS / "reference/scores.npz")


@pytest.mark.parametrize("published", CASES[0]["metrics"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"case{case['case']}")
def test_published_scores_agree_with_the_reference_figures(case, published, pictures):
    output, image = (pictures[f"{kind}_{case['case']}"] for kind in ("output", "image"))
    ((name, value),) = score(output, image, [published]).items()
    assert name == published.replace(" ", "_")
    assert value == pytest.approx(case["metrics"][published], rel=1e-3 if name in LOOSE else 1e-6)


def test_the_thirteen_are_those_of_the_reference():
    assert {name.replace(" ", "_") for name in CASES[0]["metrics"]} == set(PUBLISHED)
    assert len(PUBLISHED) == 13
    assert all(SCORES[name].direction == "lower" for name in PUBLISHED)


@pytest.mark.parametrize("shape", [(1, 65, 90), (3, 64, 81), (1, 81, 67), (2, 96, 64)])
def test_published_scores_agree_with_plain_formulas_at_any_size(shape):
    straightforward = runpy.run_path(str(TESTS / "performance/scores.py"))["straightforward"]
    rng = np.random.default_rng(1)
    output, image = rng.random((2, *shape))
    found = score(output, image, PUBLISHED)
    for name in PUBLISHED:
        expected = straightforward(name, output, image)
        assert found[name] == pytest.approx(expected, rel=1e-3 if name in LOOSE else 1e-6), name


def test_an_image_made_ready_once_gives_the_same_scores():
    output, image = np.random.default_rng(2).random((2, 1, 64, 64))
    assert score(output, Spectra(image)) == score(output, image)
    assert score(Spectra(output), image) == score(output, image)


def test_one_transform_serves_all_scores_of_an_output(monkeypatch):
    transforms = []
    real = np.fft.fft
    monkeypatch.setattr(np.fft, "fft", lambda *a, **k: transforms.append(1) or real(*a, **k))
    output, image = np.random.default_rng(3).random((2, 1, 64, 64))
    ready = Spectra(image)
    score(output, ready, PUBLISHED)
    once = len(transforms)
    score(output, ready, [PUBLISHED[0]])
    both_pictures, output_alone = once, len(transforms) - once
    assert both_pictures == 2 * output_alone


def test_single_precision_agrees_with_double():
    output, image = np.random.default_rng(4).random((2, 1, 64, 64)).astype(np.float32)
    assert score(output, image) == score(output.astype(float), image.astype(float))


def test_without_an_image_only_output_scores_are_taken():
    output = np.random.default_rng(5).random((1, 64, 64))
    taken = score(output)
    assert {"psd_99_per_bw", "psd_70_per_bw"} <= set(taken)
    assert all(SCORES[name].inputs == "output" for name in taken)


def test_a_lone_channel_against_colour_is_compared_but_for_the_strip():
    rng = np.random.default_rng(6)
    output, image = rng.random((1, 64, 64)), rng.random((3, 64, 64))
    whole = [name for name in PUBLISHED if "strip" not in name]
    repeated = np.repeat(output, 3, axis=0)
    name = "psd_db_mse"
    assert score(output, image, whole)[name] == pytest.approx(score(repeated, image)[name])
    for strip in set(PUBLISHED) - set(whole):
        with pytest.raises(ScoreError, match="1 against 3 channels"):
            score(output, image, strip)


def test_a_vanished_dc_term_has_a_logarithm():
    output = np.zeros((1, 64, 64))
    output[:, ::2] = 1
    output += np.random.default_rng(7).integers(0, 2, (1, 64, 64)) / 4
    assert np.isfinite(list(score(output, output[:, ::-1]).values())).all()


def test_inputs_that_no_score_can_take_are_refused():
    good = np.random.default_rng(8).random((1, 64, 64))
    with pytest.raises(ScoreError, match="NaN"):
        score(np.full_like(good, np.nan))
    with pytest.raises(ScoreError, match="infinite"):
        score(good, np.where(good > 0.5, np.inf, good))
    with pytest.raises(ScoreError, match=r"\(64, 64\)"):
        score(good[0])
    with pytest.raises(ScoreError, match=r"\(1, 64, 64\), image \(1, 32, 64\)"):
        score(good, good[:, :32])
    with pytest.raises(ScoreError, match="2 channels against 3"):
        score(np.repeat(good, 2, axis=0), np.repeat(good, 3, axis=0), ["psd_db_mse"])
    with pytest.raises(ScoreError, match="give it too"):
        score(good, names=["psd_db_mse"])
    with pytest.raises(ScoreError, match="constant"):
        score(np.zeros((1, 64, 64)), names=["nodc_psd_75_per_bw"])
    with pytest.raises(ScoreError, match="ring"):
        score(good[:, :4, :4], good[:, :4, :4], names=["psd_db_strip_mse"])


def test_an_unknown_score_lists_what_there_is():
    with pytest.raises(ScoreError, match=r"did you mean 'psd_db_mse'\?.*psd_70_per_bw"):
        score(np.zeros((1, 64, 64)), names=["psd_db_msee"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": " "}, "without a name"),
        ({"cost": (-1, 0)}, "give .forward, backward. passes"),
        ({"cost": (1,)}, "give .forward, backward. passes"),
    ],
)
def test_registering_unusable_settings_is_refused(own_score, settings, message):
    with pytest.raises(ScoreError, match=message):
        own_score(**{"name": "mine", **settings})


def test_registering_what_is_no_function_is_refused(own_score):
    with pytest.raises(ScoreError, match="score 'mine' is 3: give a function"):
        own_score("mine")(3)


def test_registering_a_name_twice_is_refused(own_score):
    own_score("mine", direction="higher", inputs="output")(lambda output: 1.0)
    with pytest.raises(ScoreError, match="'mine' is registered already"):
        own_score("mine")(lambda output, image: 2.0)
    with pytest.raises(ScoreError, match="'psd_db_mse' is registered already"):
        own_score("psd db mse")(lambda output, image: 0.0)
    assert SCORES["mine"].sign == 1


def test_a_cell_that_registers_a_score_can_be_run_again(own_score):
    def mine(output):
        return 1.0

    def again(output):
        return 2.0

    mine.__module__ = again.__module__ = "__main__"
    for function in (mine, again):
        own_score("mine", inputs="output")(function)
    assert score(np.zeros((1, 64, 64)), names=["mine"]) == {"mine": 2.0}


def test_settings_outside_the_known_ones_are_refused(own_score):
    with pytest.raises(ScoreError, match="direction 'up'"):
        own_score("mine", direction="up")
    with pytest.raises(ScoreError, match="inputs 'outputs'"):
        own_score("mine", inputs="outputs")


@pytest.mark.parametrize(
    ("returned", "message"),
    [(np.nan, "nan"), (np.inf, "inf"), ("1", "str"), (None, "NoneType"), (True, "bool")],
)
def test_what_a_score_may_not_return(own_score, returned, message):
    own_score("mine", inputs="output")(lambda output: returned)
    with pytest.raises(ScoreError, match=f"score mine .*{message}"):
        score(np.zeros((1, 64, 64)), names="mine")


def test_a_copy_may_be_written_to_and_a_part_is_checked_like_any_array():
    picture = Spectra(np.random.default_rng(0).random((1, 64, 64)))
    changed = picture.copy()
    before = score(changed, names="psd_99_per_bw")
    changed[0, :8] = 1.0
    assert score(changed, names="psd_99_per_bw") != before
    assert score(picture, names="psd_99_per_bw") == before
    with pytest.raises(ScoreError, match=r"has shape \(64, 64\)"):
        score(picture[0], names="psd_99_per_bw")


def test_a_users_score_is_called_with_plain_arrays_and_may_use_their_spectra(own_score):
    @own_score("mine", inputs="output+image")
    def mine(output, image):
        assert isinstance(output, np.ndarray)
        assert output.dtype == np.float64
        assert not output.flags.writeable
        return np.mean((output - image) ** 2) + output.psd.sum()

    a, b = np.random.default_rng(9).random((2, 1, 64, 64)).astype(np.float32)
    assert score(a, b, "mine")["mine"] > 0


def test_scores_from_arrays_need_no_torch():
    code = (
        "import sys, dipbench.evaluate.scores;"
        "print([name for name in ('torch', 'pandas', 'skimage') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
