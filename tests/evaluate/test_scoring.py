import itertools

import numpy as np
import pytest
import torch
from torch import nn

from dipbench.data import load_image, parse_task
from dipbench.errors import DipbenchError, MissingExtraError, ScoreError
from dipbench.evaluate import score
from dipbench.evaluate.fitting import Training
from dipbench.evaluate.protocol import get_protocol
from dipbench.evaluate.scores_network_probe import Probe
from dipbench.evaluate.scoring import score_models
from dipbench.evaluate.spectra import Spectra

NAMES = ["psd_db_strip_mse", "psd_99_per_bw"]
SMALL = {"size": 64, "initialisations": 2, "device": "cpu"}


def values(records):
    return {(r["model"], r["score"], r["initialisation"]): r["value"] for r in records}


def test_one_record_per_model_initialisation_and_score():
    records = list(score_models([0, 9], "camera", "denoising-25", NAMES, **SMALL))
    keys = [(r["model"], r["initialisation"], r["score"]) for r in records]
    models = list(dict.fromkeys(r["model"] for r in records))
    assert keys == list(itertools.product(models, range(2), NAMES))
    assert {r["image"] for r in records} == {"camera"}
    assert {r["task"] for r in records} == {"denoising-25"}
    assert {(r["how"], r["reason"]) for r in records} == {("search", "")}
    assert len(set(values(records).values())) == 8


def test_a_value_depends_on_no_other_model():
    both = values(score_models([0, 9], "camera", "denoising-25", NAMES, **SMALL))
    alone = values(score_models([9], "camera", "denoising-25", NAMES[1:], **SMALL))
    assert alone.items() <= both.items()


def test_another_seed_gives_other_values():
    first, other = (
        list(
            values(score_models([0], "camera", "denoising-25", NAMES, seed=seed, **SMALL)).values()
        )
        for seed in (0, 1)
    )
    assert not set(first) & set(other)


def test_models_are_taken_one_at_a_time():
    taken = []

    def models():
        for index in range(3):
            taken.append(index)
            yield index

    stream = score_models(models(), "camera", "denoising-25", NAMES, **SMALL)
    assert taken == []
    next(stream)
    assert taken == [0]


def test_threads_change_no_value_and_no_order():
    names = [*NAMES, "grad_norm"]
    alone = list(score_models([0, 9], "camera", "denoising-25", names, **SMALL))
    before = torch.get_num_threads()
    together = list(score_models([0, 9], "camera", "denoising-25", names, threads=3, **SMALL))
    assert together == alone
    assert torch.get_num_threads() == before


def test_a_stream_that_is_left_makes_no_more(own_score):
    made = []

    @own_score("counted", inputs="output")
    def counted(output):
        made.append(output)
        return 0.0

    settings = {**SMALL, "initialisations": 20}
    stream = score_models([0], "camera", "denoising-25", ["counted"], **settings)
    assert next(stream)["reason"] == ""
    stream.close()
    assert 1 <= len(made) <= 3


def seen_by(own_score, **settings):
    """The shapes of output and image that a score is called with."""
    shapes = []

    @own_score("looker", inputs="output+image")
    def looker(output, image):
        shapes.append((output.shape, image.shape))
        return 0.0

    task = settings.pop("task")
    list(score_models([0], "astronaut", task, ["looker"], **{**SMALL, **settings}))
    return set(shapes)


@pytest.mark.parametrize(
    ("how", "task", "expected"),
    [
        ("search", "denoising-25", {((3, 64, 64), (3, 64, 64))}),
        ("search", "inpainting-50", {((3, 64, 64), (3, 64, 64))}),
        ("search", "sr-4", {((3, 16, 16), (3, 16, 16))}),
        ("table", "denoising-25", {((1, 64, 64), (3, 64, 64))}),
        ("table", "sr-4", {((1, 16, 16), (3, 16, 16))}),
    ],
)
def test_how_outputs_are_made(own_score, how, task, expected):
    assert seen_by(own_score, how=how, task=task) == expected


def test_channels_can_be_set(own_score):
    settings = {"how": "table", "task": "denoising-25", "channels": 3}
    assert seen_by(own_score, **settings) == {((3, 64, 64), (3, 64, 64))}


def test_the_masked_image_is_compared_with_the_unmasked_output(own_score):
    pairs = []
    own_score("looker")(lambda output, image: pairs.append((output, image)) or 0.0)
    list(score_models([0], "camera", "inpainting-50", ["looker"], **SMALL))
    observation = parse_task("inpainting-50").observe(load_image("camera", size=64), 0)
    for output, image in pairs:
        np.testing.assert_array_equal(image, observation.observed)
        assert (np.asarray(output)[:, ~observation.mask] > 0).all()


def test_values_are_those_of_score(own_score):
    pairs = []
    own_score("looker")(lambda output, image: pairs.append((output, image)) or 0.0)
    names = ["looker", *NAMES]
    records = list(score_models([0], "camera", "denoising-25", names, **SMALL))
    for index, (output, image) in enumerate(pairs):
        expected = score(np.array(output), np.array(image), NAMES)
        found = {r["score"]: r["value"] for r in records if r["initialisation"] == index}
        assert {name: found[name] for name in NAMES} == expected


def test_published_spelling_and_repeats_are_accepted():
    names = ["psd 99_per_bw", "psd_99_per_bw"]
    records = list(score_models([0], "camera", "denoising-25", names[:1], **SMALL))
    assert {r["score"] for r in records} == {"psd_99_per_bw"}
    assert len(list(score_models([0], "camera", "denoising-25", names, **SMALL))) == 2


def test_undefined_scores_are_kept_as_missing_with_the_reason():
    records = score_models([0], "astronaut", "denoising-25", NAMES, how="table", **SMALL)
    by_score = {record["score"]: record for record in records}
    assert by_score["psd_db_strip_mse"]["value"] is None
    assert "1 against 3 channels" in by_score["psd_db_strip_mse"]["reason"]
    assert by_score["psd_99_per_bw"]["value"] > 0


@pytest.mark.parametrize(
    ("returned", "reason"),
    [(lambda: 1 / 0, "ZeroDivisionError"), (lambda: np.nan, "nan"), (lambda: "high", "str")],
)
def test_a_bad_score_ends_no_stream(own_score, returned, reason):
    own_score("bad", inputs="output")(lambda output: returned())
    own_score("bad_network", inputs="network")(lambda probe: returned())
    names = ["bad", "bad_network", "psd_99_per_bw"]
    records = list(score_models([0], "camera", "denoising-25", names, **SMALL))
    assert len(records) == 6
    for record in records:
        missing = record["score"].startswith("bad")
        assert (record["value"] is None) == missing
        assert (reason in record["reason"]) == missing
        assert record["model"].startswith("nearest-sep_conv")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("CUDA out of memory."),
            "little memory on cpu for bad of nearest.*: choose",
        ),
        (MissingExtraError("train", "training"), "packages that are not installed"),
    ],
)
def test_what_would_end_every_score_ends_the_stream(own_score, error, message):
    @own_score("bad", inputs="output")
    def bad(output):
        raise error

    with pytest.raises(DipbenchError, match=message):
        list(score_models([0], "camera", "denoising-25", ["bad"], **SMALL))


def test_an_output_that_is_not_finite_leaves_its_scores_missing(monkeypatch):
    from dipbench.evaluate.scores_network_probe import Probe

    monkeypatch.setattr(Probe, "output", lambda *_: torch.full((1, 1, 64, 64), torch.nan))
    records = list(score_models([0], "camera", "denoising-25", NAMES, **SMALL))
    assert all(r["value"] is None and "NaN" in r["reason"] for r in records)


def test_initialisations_follow_the_cost():
    names = ["psd_99_per_bw", "epsilon", "grad_norm", "parameters_used"]
    settings = {**SMALL, "initialisations": 3, "costly_initialisations": 2}
    records = list(score_models([0], "camera", "denoising-25", names, **settings))
    counts = {name: sum(r["score"] == name for r in records) for name in names}
    assert counts == {"psd_99_per_bw": 3, "epsilon": 3, "grad_norm": 2, "parameters_used": 1}
    settings = {**settings, "initialisations": 1}
    records = list(score_models([0], "camera", "denoising-25", names, **settings))
    assert {(r["score"], r["initialisation"]) for r in records} == {(name, 0) for name in names}


def test_scoring_can_begin_with_a_later_initialisation():
    settings = {**SMALL, "initialisations": 3}
    whole = list(score_models([0, 1], "camera", "denoising-25", NAMES, **settings))
    later = list(score_models([0, 1], "camera", "denoising-25", NAMES, first=1, **settings))
    assert later == [record for record in whole if record["initialisation"] >= 1]


def test_network_scores_are_made_on_the_images_own_channels():
    records = score_models([0], "astronaut", "denoising-25", ["grad_norm"], how="table", **SMALL)
    assert {r["how"] for r in records} == {"search"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ["psd_100_per_bw"]}, "unknown score"),
        ({"task": "sharpening"}, "unknown task"),
        ({"image": "camra"}, "camra"),
        ({"how": "tables"}, "unknown way"),
        ({"names": "psd_99_per_bw"}, r"list of scores: \['psd_99_per_bw'\]"),
        ({"initialisations": 0}, "initialisations must be a whole number from 1, got 0"),
        ({"threads": None}, "threads must be a whole number"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_model(change, message):
    settings = {"image": "camera", "task": "denoising-25", "names": NAMES, **SMALL, **change}
    with pytest.raises(DipbenchError, match=message):
        score_models([0], **settings)


def test_a_named_network_is_scored_on_the_sides_that_it_is_trained_on():
    shapes = {}
    for model, size, side in (("dip-pixel-shuffle", 160, 192), ("conv-decoder", 100, 100)):
        task = parse_task("inpainting-50" if model.startswith("dip") else "denoising-25")
        observation = task.observe(load_image("camera", size=size), 0)
        protocol, cpu = get_protocol("quick"), torch.device("cpu")
        probe = Probe(model, "camera", task, observation, protocol, 0, cpu)
        training = Training(model, observation, None, protocol, 1, cpu, probe.seed_parts)
        with torch.no_grad():
            shapes[model] = probe.network()(probe.z).shape[-2:]
            output = training.network(training.input)[..., training._area[0], training._area[1]]
        assert shapes[model] == (side, side)
        assert torch.equal(probe.output(1), output)


def test_a_model_that_cannot_be_built_ends_no_stream():
    names = ["psd_99_per_bw", "grad_norm"]
    models = ["dip-pixel-shuffle", "deep-decoder"]
    records = list(score_models(models, "camera", "inpainting-50", names, **SMALL))
    assert {r["model"] for r in records} == set(models)
    for record in records:
        unbuilt = record["model"] == "dip-pixel-shuffle"
        assert (record["value"] is None) == unbuilt
        assert ("cannot make an image" in record["reason"]) == unbuilt


def test_models_that_cannot_be_initialised_are_refused():
    with pytest.raises(ScoreError, match="weights of its own"):
        next(score_models([nn.Conv2d(1, 1, 1)], "camera", "denoising-25", NAMES, **SMALL))
    with pytest.raises(DipbenchError):
        next(score_models(["600"], "camera", "denoising-25", NAMES, **SMALL))
    with pytest.raises(DipbenchError, match=r"give a list of models: \['12'\]"):
        score_models("12", "camera", "denoising-25", NAMES, **SMALL)


def test_scoring_leaves_torch_its_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        list(score_models([0], "camera", "denoising-25", NAMES[:1], **SMALL, threads=2))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_picture_too_small_for_a_ring_has_no_score_of_it():
    small = np.random.default_rng(0).random((1, 8, 8))
    for name in ("psd_strip_hist_emd", "psd_db_strip_mse", "psd_strip_value_emd"):
        with pytest.raises(ScoreError, match="no frequency lies in the ring"):
            score(small, small[:, ::-1], names=[name])


def test_a_score_is_of_the_picture_as_it_was():
    picture = np.random.default_rng(0).random((1, 64, 64))
    seen = Spectra(picture)
    before = seen.mean()
    picture *= 0.5
    assert seen.mean() == before
    with pytest.raises(ScoreError, match="no whole number"):
        list(score_models([0], "camera", "denoising-25", NAMES, seed=1.0, **SMALL))
