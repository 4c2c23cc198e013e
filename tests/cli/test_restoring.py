"""restore, search, compress, decompress and compare as a shell calls them."""

import errno
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from dipbench.cli.degraded import read_degraded
from dipbench.data import load_image, parse_task, save_image
from dipbench.errors import ImageError
from dipbench.evaluate import fitting
from dipbench.evaluate.baselines import BASELINES, BaselineResult
from dipbench.evaluate.quality import psnr
from dipbench.evaluate.restoring import restore as restore_picture

CAMERA = load_image("camera", size=64)
FAST = ("--model", "dip-jpeg", "--iterations", 3, "--threads", 1)


@pytest.fixture
def files(tmp_path):
    save_image(tmp_path / "truth.png", CAMERA.array)
    save_image(tmp_path / "noisy.png", parse_task("denoising-25").observe(CAMERA, 0).observed)
    return tmp_path


def restore(dipbench, files, *more, task="denoising-25", image="noisy.png", out="clean.png"):
    arguments = ("restore", files / image, "--task", task, "--out", files / out, *FAST, *more)
    return dipbench(*arguments)


def test_restore_writes_picture_gif_and_plot_and_tells_the_quality(dipbench, files):
    answer = restore(
        dipbench, files, "--truth", files / "truth.png", "--gif", files / "a.gif",
        "--plot", files / "d.png", "--bits", "16", "--return", "last", "--json",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    facts = json.loads(answer.out)
    assert facts["model"] == "dip-jpeg"
    assert (facts["kept"], facts["iteration"], facts["fired"]) == ("last", 2, None)
    assert (facts["status"], facts["reason"]) == ("finished", "")
    assert facts["psnr"] <= facts["best_psnr"] + 1e-5  # which is recorded in float32
    assert {"ssim", "best_psnr_smooth_iteration"} <= set(facts)
    degraded = load_image(files / "noisy.png").array
    assert facts["degraded_psnr"] == pytest.approx(psnr(degraded, CAMERA.array), abs=0.01)
    assert load_image(files / "clean.png").shape == CAMERA.shape
    with Pillow.open(files / "a.gif") as gif:
        # The last output is the picture kept, and one frame.
        assert gif.n_frames == 2
        assert gif.size == (64, 64)
    assert (files / "d.png").read_bytes()[1:4] == b"PNG"


def test_restore_without_a_truth_says_which_output_was_kept(dipbench, files):
    answer = restore(dipbench, files)
    assert answer.status == 0, answer.err
    assert "discrepancy, iteration 2 (the criterion never fired)" in answer.out
    assert "PSNR" not in answer.out


def test_restore_colour_of_16_bits_and_super_resolution(dipbench, files):
    small = parse_task("sr-4").observe(load_image("astronaut", size=64), 0).observed
    save_image(files / "small.tif", small, bits=16)
    answer = restore(dipbench, files, task="sr-4", image="small.tif", out="large.tif")
    assert answer.status == 0, answer.err
    assert load_image(files / "large.tif").shape == (3, 64, 64)


def test_restore_by_a_mask_file_and_by_alpha(dipbench, files):
    mask = np.ones((64, 64), np.uint8) * 255
    mask[20:30] = 0
    Pillow.fromarray(mask).save(files / "mask.png")
    answer = restore(dipbench, files, "--mask", files / "mask.png", task="inpainting")
    assert answer.status == 0, answer.err
    pixels = np.dstack([np.full((64, 64, 3), 99, np.uint8), mask])
    Pillow.fromarray(pixels).save(files / "alpha.png")
    assert restore(dipbench, files, task="inpainting", image="alpha.png").status == 0


def test_a_packaged_name_is_no_degraded_picture(dipbench, files):
    answer = dipbench("restore", "camera", "--task", "denoising-25", "--out", files / "c.png")
    assert answer.status == 2
    assert "`dipbench compare camera` degrades it" in answer.err


def test_a_degraded_file_goes_before_a_packaged_image_of_its_name(files, monkeypatch):
    shutil.copy(files / "noisy.png", files / "coins")
    (files / "camera").mkdir()
    monkeypatch.chdir(files)
    observation, _ = read_degraded("coins", "denoising", None)
    assert observation.observed.shape == CAMERA.shape
    with pytest.raises(ImageError, match="camera is a folder"):
        read_degraded("camera", "denoising", None)


@pytest.mark.filterwarnings("ignore:large has greys")
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--truth", "large.png"), "the truth has shape"),
        (("--mask", "white.png", "--task", "inpainting"), "the mask white.png is all white"),
        (("--task", "inpainting"), "give a mask, or mark it by alpha 0"),
        (("--task", "inpainting-mask"), "needs its mask: --mask FILE"),
        (("--plot", "./clean.png"), "--plot clean.png is --out too"),
        (("--out", "noisy.png"), "--out noisy.png is the degraded picture too"),
        (("--truth", "truth.png", "--out", "truth.png"), "is --truth too"),
        (("--mask", "white.png", "--task", "inpainting", "--out", "white.png"), "is --mask too"),
        (("--mask", "black.png", "--task", "inpainting"), "hides every pixel"),
        (("--mask", "checkerboard", "--task", "inpainting"), "no such image file: checkerboard"),
        (("--mask", "large.png", "--task", "inpainting"), "must be of one size"),
        (("--mask", "white.png"), "takes no mask"),
        (("--out", "nowhere/clean.png"), "there is no folder"),
        (("--out", "clean.jpeg"), "must end in .png"),
        (("--gif", "a.png"), "must end in .gif"),
        (("--plot", "d.bmp"), "must end in"),
        (("--task", "denoise"), "unknown task"),
        (("--model", "dipp"), "did you mean 'dip'?"),
        (("--model", "dip-pixel-shuffle"), "cannot make an image"),
        (("--device", "cuda:99"), "cuda:99"),
        (("--precision", "half"), "'half' is no precision"),
        (("--threads", "99999"), "invalid value for '--threads'"),
        (("--return", "best"), "invalid value for '--return': 'best' is not one of 'stopped'"),
        (("--input-noise", "inf"), "0 or more, finite"),
        (("--input-noise", "-1"), "input_noise is -1.0"),
        (("--input-noise-decay", "1.5"), "in (0, 1]"),
        (("--input-noise", "0", "--input-noise-decay", "0.9"), "nothing to act on"),
    ],
)
def test_mistakes_take_one_line_and_write_nothing(dipbench, files, monkeypatch, more, message):
    monkeypatch.chdir(files)
    for name, value in (("white", 255), ("black", 0)):
        Pillow.fromarray(np.full((64, 64), value, np.uint8)).save(f"{name}.png")
    save_image("large.png", load_image("camera", size=96).array)
    before = sorted(path.name for path in files.iterdir())
    arguments = ["restore", "noisy.png", "--task", "denoising-25", "--out", "clean.png", *FAST]
    answer = dipbench(*arguments, *more)
    assert answer.status == 2
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert sorted(path.name for path in files.iterdir()) == before


def test_what_writes_a_tiff_is_missed_before_the_training(dipbench, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    monkeypatch.setattr("dipbench.evaluate.restoring.fit", None)
    answer = restore(dipbench, files, "--out", files / "clean.tif")
    assert answer.status == 2
    assert "TIFF files needs packages that are not installed; run: pip install" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_a_picture_too_small_is_refused(dipbench, files):
    Pillow.fromarray(np.zeros((30, 64), np.uint8)).save(files / "tiny.png")
    answer = restore(dipbench, files, image="tiny.png")
    assert answer.status == 2
    assert "64 or more" in answer.err
    assert not (files / "clean.png").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("search", "noisy.png", "--task", "denoising-25", "--out", "link.png"),
        ("search", "noisy.png", "--task", "denoising-25", "--trace", ".", "--out", "search.png"),
        ("compress", "a.dd", "--out", "a.dd"),
        ("decompress", "noisy.png", "--out", "noisy.png"),
        ("compare", "noisy.png", "--sheet", "noisy.png"),
    ],
)
def test_no_command_writes_over_what_it_reads_or_writes(dipbench, files, monkeypatch, command):
    monkeypatch.chdir(files)
    (files / "link.png").symlink_to("noisy.png")
    answer = dipbench(*command)
    assert answer.status == 2
    assert "which would be overwritten: choose another name" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_a_tilde_behind_the_sign_of_an_option_is_the_home(dipbench, files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    task = ("--task", "denoising-25")
    answer = dipbench("restore", files / "noisy.png", *task, "--out=~/clean.png", *FAST)
    assert answer.status == 0, answer.err
    assert (files / "clean.png").exists()


@pytest.mark.parametrize("keep", ["last", "smooth"])
def test_an_interrupted_restoration_says_what_is_written(dipbench, files, monkeypatch, keep):
    def interrupted(curves):
        raise KeyboardInterrupt

    monkeypatch.setattr("dipbench.cli.restoring._state", interrupted)
    answer = restore(dipbench, files, "--return", keep)
    assert answer.status == 130
    told = f"interrupted after 3 iterations: {files / 'clean.png'} holds what --return {keep} gives"
    assert answer.err.startswith(told)
    assert (files / "clean.png").exists()


@pytest.mark.filterwarnings("default")
def test_remarks_take_one_line_without_their_source(dipbench, files):
    pixels = (CAMERA.array[0] * 255).round().astype(np.uint8)
    Pillow.fromarray(np.dstack([pixels] * 3 + [pixels])).save(files / "rgba.png")
    answer = restore(dipbench, files, image="rgba.png")
    assert (answer.status, answer.err) == (0, "note: rgba: the alpha channel was dropped\n")


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_takes_one_line(dipbench, files, monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    answer = restore(dipbench, files, "--plot", files / "d.png")
    assert (answer.status, len(answer.err.splitlines())) == (1, 1)
    assert "d.png: No space left on device" in answer.err
    assert (files / "clean.png").exists()
    monkeypatch.setattr(Path, "write_bytes", full)
    small = ("--iterations", 1, "--bits", 8, "--threads", 1)
    answer = dipbench("compress", files / "truth.png", "--out", files / "a.dd", *small)
    assert (answer.status, len(answer.err.splitlines())) == (1, 1)
    assert "a.dd: No space left on device" in answer.err
    assert not (files / "a.dd").exists()


def test_a_picture_that_a_codec_keeps_exactly_has_a_psnr_of_null(dipbench, files):
    save_image(files / "flat.png", np.full((1, 64, 64), 128 / 255))
    answer = dipbench(
        "compress", files / "flat.png", "--out", files / "a.dd", "--iterations", 1, "--bits", 8,
        "--threads", 1, "--json",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    record = json.loads(answer.out)
    assert None in [coded["psnr"] for coded in record["codecs"]]
    assert record["bytes"] == (files / "a.dd").stat().st_size
    assert record["psnr_unquantised"] > 0


def test_compress_and_decompress(dipbench, files):
    packed, out = files / "a.dd", files / "a.png"
    answer = dipbench(
        "compress", files / "truth.png", "--out", packed, "--iterations", 5, "--threads", 1
    )
    assert answer.status == 0, answer.err
    for word in ("deep-decoder", "JPEG", "bits per pixel", "parameter ratio"):
        assert word in answer.out
    answer = dipbench("decompress", packed, "--out", out, "--threads", 1)
    assert (answer.status, answer.err) == (0, "")
    assert load_image(out).shape == CAMERA.shape
    answer = dipbench("decompress", packed, "--out", out, "--threads", 1, "--json")
    assert json.loads(answer.out) == {"exact": True, "shape": [1, 64, 64], "written": str(out)}


@pytest.mark.parametrize(("ending", "status"), [("diverged", 1), ("interrupted", 130)])
def test_a_compression_that_ends_early_says_how(dipbench, files, monkeypatch, ending, status):
    def step(training):
        if training.done == 3 and ending == "interrupted":
            raise KeyboardInterrupt
        if training.done == 3:
            with torch.no_grad():
                for parameter in training.network.parameters():
                    parameter.fill_(float("nan"))
        return whole(training)

    whole = fitting.Training._iterate
    monkeypatch.setattr(fitting.Training, "_iterate", step)
    monkeypatch.setattr(fitting, "CHUNK", 1)
    packed = files / "a.dd"
    answer = dipbench(
        "compress", files / "truth.png", "--out", packed, "--iterations", 9, "--threads", 1
    )
    assert answer.status == status
    assert f"{ending} after 3 iterations: {packed} holds the best so far" in answer.err
    assert packed.exists()


def test_decompress_refuses_what_is_no_such_file(dipbench, files):
    for name in ("truth.png", "missing.dd"):
        answer = dipbench("decompress", files / name, "--out", files / "b.png")
        assert answer.status == 2
        assert len(answer.err.strip().splitlines()) == 1
    assert not (files / "b.png").exists()


def test_compare_draws_a_table_and_a_sheet(dipbench, files):
    answer = dipbench(
        "compare", files / "truth.png", "--models", "dip-jpeg,deep-decoder", "--iterations", 2,
        "--sheet", files / "sheet.png", "--threads", 1,
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert "dip-jpeg" in answer.out
    assert "PSNR dB" in answer.out
    assert re.search(r"\nthe degraded picture itself: 20\.\d\d dB\n", answer.out)
    assert (files / "sheet.png").read_bytes()[1:4] == b"PNG"


GENOTYPE = "bilinear-split_stack_sum-1x1-leaky_relu/1101010000100100001100001"


def test_a_comparison_with_genotypes_fits_a_terminal(dipbench, files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    judged = {"psnr": 20.0, "ssim": 0.5, "lpips": 0.5}
    monkeypatch.setattr("dipbench.evaluate.restoring.judge", lambda *_: judged)
    answer = dipbench(
        "compare", files / "truth.png", "--models", f"dip-jpeg,{GENOTYPE}", "--iterations", 2,
        "--threads", 1,
    )  # fmt: skip
    assert answer.status == 0, answer.err
    table = answer.out.split("kept:")[0].splitlines()[1:]
    assert max(map(len, table)) <= 80
    assert "LPIPS" in answer.out
    assert "\nbest smoothed: " in answer.out


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (("--return", "last"), "kept: last\n"),
        (("--return", "stopped"), "kept: stopped (the criterion never fired)\n"),
        (("--seconds", 0), "kept: discrepancy (the criterion never fired)\n"),
        (("--task", "denoising-150"), "kept: discrepancy\n"),
    ],
)
def test_a_comparison_tells_where_no_criterion_fired(dipbench, files, how, told):
    answer = dipbench(
        "compare", files / "truth.png", "--models", "dip-jpeg", "--iterations", 40, "--threads", 1,
        *how,
    )  # fmt: skip
    assert told in answer.out


def test_a_comparison_tells_whose_output_is_which(dipbench, files, monkeypatch):
    method = BaselineResult(CAMERA.array, 0.1, 0, "")
    monkeypatch.setitem(BASELINES, "bm3d", lambda *_, **__: method)
    monkeypatch.setattr("dipbench.evaluate.comparing.check_baseline", lambda *_: None)
    answer = dipbench(
        "compare", files / "truth.png", "--models", "dip-jpeg,bm3d", "--iterations", 2,
        "--threads", 1,
    )  # fmt: skip
    assert "kept of dip-jpeg: discrepancy (the criterion never fired)\n" in answer.out
    assert "kept of bm3d: result\n" in answer.out


def test_for_a_program_stands_whether_the_criterion_fired(dipbench, files):
    answer = dipbench(
        "compare", files / "truth.png", "--models", "dip-jpeg", "--iterations", 2, "--threads", 1,
        "--json",
    )  # fmt: skip
    assert [row["fired"] for row in json.loads(answer.out)] == [False]


def test_help_of_compare_is_legible_on_a_narrow_terminal(dipbench, monkeypatch):
    for columns in ("80", "60"):
        monkeypatch.setenv("COLUMNS", columns)
        told = dipbench("compare", "--help").out
        assert "…" not in told
        assert "conv-decoder" in re.sub(r"-\n\s+", "-", told)  # a line may end in a hyphen


def test_an_interrupted_comparison_keeps_its_rows(dipbench, files, monkeypatch):
    def interrupted(observation, task, model, **settings):
        if model == "deep-decoder":
            settings["progress"] = interrupt
        return restore_picture(observation, task, model, **settings)

    def interrupt(done, training):
        raise KeyboardInterrupt

    monkeypatch.setattr("dipbench.evaluate.comparing.restore", interrupted)
    answer = dipbench(
        "compare", files / "truth.png", "--models", "dip-jpeg,deep-decoder,conv-decoder",
        "--iterations", 2, "--sheet", files / "sheet.png", "--threads", 1,
    )  # fmt: skip
    assert answer.status == 130
    assert "dip-jpeg" in answer.out
    assert "interrupted in deep-decoder; not run: conv-decoder" in answer.err
    assert (files / "sheet.png").exists()


def test_compare_a_picture_whose_truth_is_not_known(dipbench, files):
    answer = dipbench(
        "compare", files / "noisy.png", "--degraded", "--models", "dip-jpeg", "--iterations", 2,
        "--json", "--threads", 1, "--task", "denoising-25",
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert json.loads(answer.out)[0]["quality"] == {}


def test_compare_inpaints_by_a_mask_file_with_and_without_the_degraded_picture(dipbench, files):
    mask = np.ones((64, 64), np.uint8) * 255
    mask[20:30] = 0
    Pillow.fromarray(mask).save(files / "mask.png")
    pixels = (CAMERA.array[0] * 255).round().astype(np.uint8)
    Pillow.fromarray(np.dstack([pixels, mask])).save(files / "holed.png")
    shared = ("--models", "dip-jpeg", "--iterations", 2, "--json", "--threads", 1,
              "--return", "last", "--task", "inpainting")  # fmt: skip
    truth = ("--truth", files / "truth.png")
    by_mask = dipbench("compare", files / "truth.png", "--mask", files / "mask.png", *shared)
    by_both = dipbench(
        "compare", files / "truth.png", "--degraded", "--mask", files / "mask.png", *truth, *shared
    )
    by_alpha = dipbench("compare", files / "holed.png", "--degraded", *truth, *shared)
    for answer in (by_mask, by_both, by_alpha):
        assert answer.status == 0, answer.err
    first, second, third = (
        json.loads(answer.out)[0]["quality"] for answer in (by_mask, by_both, by_alpha)
    )
    assert set(first) >= {"psnr", "ssim"}
    # The mask's name is a part of the first one's seed; the observations are the same.
    assert second == third


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--truth", "truth.png"), "--truth needs --degraded"),
        (("--degraded", "--size", 64), "--size is for a true picture"),
        (("--mask", "white.png"), "takes no mask"),
        (("--mask", "white.png", "--task", "inpainting"), "hides nothing"),
        (("--degraded", "--mask", "white.png", "--task", "inpainting"), "no pixel of"),
        (("--degraded",), "--degraded needs --task"),
        (("--degraded", "--task", "sr-4", "--truth", "large.png"), "the truth has shape"),
        (("--models", ""), "no model"),
    ],
)
def test_mistakes_of_compare_take_one_line(dipbench, files, monkeypatch, more, message):
    monkeypatch.chdir(files)
    Pillow.fromarray(np.full((64, 64), 255, np.uint8)).save("white.png")
    save_image("large.png", load_image("camera", size=96).array)
    answer = dipbench("compare", "noisy.png", "--iterations", 1, "--sheet", "sheet.png", *more)
    assert answer.status == 2
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert not (files / "sheet.png").exists()


@pytest.mark.parametrize("select", ["average", "discrepancy", "discrepancy_variance"])
def test_search_leaves_its_trace_and_its_picture(dipbench, files, select):
    answer = dipbench(
        "search", files / "noisy.png", "--task", "denoising-25", "--models", 2, "--keep", 1,
        "--iterations", 1, "--trace", files / "trace", "--out", files / "found.png",
        "--threads", 1, "--select", select,
    )  # fmt: skip
    assert answer.status == 0, answer.err
    assert "selected" in answer.out
    assert ("discrepancy" in answer.out) == (select != "average")  # so too by variance, after one
    names = {path.name for path in (files / "trace").iterdir()}
    assert {"search.json", "scores.jsonl", "trained.jsonl", "search.png"} <= names
    assert load_image(files / "found.png").shape == CAMERA.shape


def test_a_search_fits_a_terminal_and_refuses_the_trace_of_another(dipbench, files, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    settings = (
        "search", files / "noisy.png", "--task", "denoising-25", "--keep", 2, "--iterations", 1,
        "--trace", files / "trace", "--out", files / "found.png", "--threads", 1,
        "--select", "discrepancy_variance",
    )  # fmt: skip
    answer = dipbench(*settings, "--models", 3, "--score", "psd_decibel_strip_value_emd")
    assert answer.status == 0, answer.err
    table = answer.out.split("selected")[0]
    assert table.startswith("best 2 of 3 by psd_decibel_strip_value_emd\n")
    assert max(map(len, table.splitlines())) <= 80
    answer = dipbench(*settings, "--models", 4)
    assert answer.status == 2
    assert "a search with another number of models, score: " in answer.err
    answer = dipbench(*settings, "--models", 3, "--iterations", 2)
    assert "another score, protocol (iterations): " in answer.err


def test_search_for_a_program_gives_numbers(dipbench, files):
    answer = dipbench(
        "search", files / "noisy.png", "--task", "denoising-25", "--models", 2, "--keep", 1,
        "--iterations", 1, "--out", files / "found.png", "--threads", 1, "--json",
    )  # fmt: skip
    record = json.loads(answer.out)
    assert set(record["stage_seconds"]) == {"scoring", "candidates", "selected model"}
    assert record["candidates"][0]["model"] == record["selected"] == record["model"]
    assert (record["scored"], record["trained"], record["effective_sigma"]) == (2, 1, None)


def test_a_divergence_is_no_success(dipbench, files, diverge):
    diverge("dip-jpeg", 2)
    answer = restore(dipbench, files, "--return", "last")
    assert answer.status == 1
    assert "diverged, the loss is no finite number at iteration 2: " in answer.err
    assert load_image(files / "clean.png").shape == CAMERA.shape


@pytest.mark.parametrize(
    ("trace", "remark"), [((), "with --trace FOLDER"), (("--trace", "steps"), "steps holds")]
)
def test_an_interrupted_search_says_how_to_go_on(dipbench, files, monkeypatch, trace, remark):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dipbench.analysis.search.isnas.search", interrupted)
    out = files / "found.png"
    answer = dipbench("search", files / "noisy.png", "--task", "denoising-25", "--out", out, *trace)
    assert answer.status == 130
    assert remark in answer.err
    assert not out.exists()


def test_a_marked_picture_is_inpainted_by_its_own_mask(dipbench, files):
    mask = np.full((64, 64), 255, np.uint8)
    mask[:, :16] = 0
    Pillow.fromarray(np.dstack([np.full((64, 64), 99, np.uint8), mask])).save(files / "a.png")
    answer = restore(dipbench, files, "--json", task="inpainting", image="a.png")
    facts = json.loads(answer.out)
    assert facts["missing"] == 0.25
    assert facts["task"] == str(parse_task("inpainting-mask", mask))


def test_what_is_in_the_way_of_a_trace_is_told_before_the_search(dipbench, files, monkeypatch):
    monkeypatch.setattr(
        "dipbench.analysis.search.isnas.search", lambda *_, **__: pytest.fail("searched")
    )
    (files / "steps" / "search.png").mkdir(parents=True)
    shared = ("search", files / "noisy.png", "--task", "denoising-25", "--out", files / "f.png")
    for trace, said in (
        ("steps", "search.png is a folder: name a file"),
        ("noisy.png", "is a file; name a folder"),
    ):
        answer = dipbench(*shared, "--trace", files / trace)
        assert (answer.status, answer.err.count("\n")) == (2, 1), answer.err
        assert said in answer.err


def test_a_search_says_where_another_rule_selects(dipbench, files):
    command = [
        "search", files / "noisy.png", "--task", "denoising-25", "--models", 2, "--keep", 2,
        "--iterations", 1, "--out", files / "f.png", "--threads", 1,
    ]  # fmt: skip
    answer = dipbench(*command, "--select", "discrepancy_variance")
    assert "no candidate came as near to the picture as its noise: the nearest is" in answer.err
    for select, by in (("discrepancy_variance", "discrepancy"), ("average", "average")):
        record = json.loads(dipbench(*command, "--select", select, "--json").out)
        assert record["selected_by"] == by


def test_a_comparison_that_gives_nothing_is_no_success(dipbench, files, diverge):
    diverge("dip-jpeg", 0)
    shared = ("compare", files / "truth.png", "--iterations", 2, "--threads", 1, "--models")
    assert dipbench(*shared, "dip-jpeg").status == 1
    assert dipbench(*shared, "dip-jpeg,deep-decoder").status == 0


def test_names_of_pictures_may_have_commas_where_they_name_nothing(dipbench, files):
    save_image(files / "a,b.png", CAMERA.array)
    assert restore(dipbench, files, "--truth", files / "a,b.png").status == 0
