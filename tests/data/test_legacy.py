import csv
import io
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dipbench.data.legacy import locate, read_run, stop_reason
from dipbench.data.legacyfiles import (
    SCORE_NAMES,
    read_array,
    read_number,
    read_picture,
    read_scores,
)
from dipbench.data.refusal import RefusedError

TREE = Path(__file__).parent / "legacy_tree"
RUNS = sorted(TREE.rglob("htr.pkl"))
MODEL = "0_4_iteration_4000_sigma_25_skip_" + "01" * 12 + "0"


def record(**changes: object) -> dict[str, object]:
    out = np.zeros((1, 64, 64), np.float32)
    plain = {
        "loss": [0.2, 0.1],
        "psnr_gt": [10.0, 20.0],
        "psnr_gt_sm": [10.0, 11.0],
        "best_psnr_gt": 20.0,
        "best_psnr_gt_sm": 11.0,
        "best_iter": 1,
        "best_iter_sm": 1,
        **dict.fromkeys(("best_out", "best_out_sm", "last_out", "last_out_sm"), out),
        "outs": {},
        "outs_sm": {},
    }
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("path", "role", "task"),
    [
        (f"benchmark/denoising/25/a/data/{MODEL}/htr.pkl", "run", "denoising-25"),
        (f"x/y/inpainting/50/a/data/{MODEL}/img_noisy.npy", "observation", "inpainting-50"),
        (f"sr/4/a/data/{MODEL}/input_noise.npy", "input", "sr-4"),
        (f"sr/4/a/data/{MODEL}/psnr_noisy.pkl", "observed_psnr", "sr-4"),
        ("denoising/25/a/similarity_metrics_noisy_img.csv", "scores", "denoising-25"),
        ("z/benchmark/lowpass_metrics.csv", "lowpass", None),
        ("random_outputs/4_01/random_output.npy", "random_output", None),
        ("images/sr/true/a.png", "truth", "sr"),
        ("images/denoising/noisy/25/a.png", "noisy_picture", "denoising-25"),
        ("images/inpainting/noise/50/a.npy", "degradation", "inpainting-50"),
    ],
)
def test_files_are_known_by_their_place_at_any_depth(
    path: str, role: str, task: str | None
) -> None:
    place = locate(path)
    assert place is not None
    assert (place.role, place.task) == (role, task)


@pytest.mark.parametrize(
    "path",
    ["README.md", "denoising/25/a/htr.pkl", f"denoising/x/a/data/{MODEL}/htr.pkl",
     f"deblurring/2/a/data/{MODEL}/htr.pkl", "denoising/999/a/data/m/htr.pkl",
     "notdenoising/25/a/data/m/htr.pkl", "htr.pkl"],
)  # fmt: skip
def test_other_files_are_not_understood(path: str) -> None:
    assert locate(path) is None


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_published_runs_are_read_unchanged(path: Path) -> None:
    theirs, ours = pickle.loads(path.read_bytes()), read_run(path.read_bytes())
    for kind, name in {"loss": "loss", "psnr": "psnr_gt", "psnr_smooth": "psnr_gt_sm"}.items():
        np.testing.assert_array_equal(ours.curves[kind], np.float32(theirs[name]))
    assert ours.best == {
        "best_psnr": theirs["best_psnr_gt"],
        "best_psnr_iteration": theirs["best_iter"],
        "best_psnr_smooth": theirs["best_psnr_gt_sm"],
        "best_psnr_smooth_iteration": theirs["best_iter_sm"],
    }
    np.testing.assert_array_equal(ours.output, theirs["last_out_sm"])
    assert ours.stopped == ""


BROKEN = {
    "curves of unequal length": (record(loss=[0.1]), "unequal lengths"),
    "a NaN in a curve": (record(psnr_gt=[1.0, float("nan")]), "from iteration 1 on"),
    "an infinite loss": (record(loss=[float("inf"), 1.0]), "NaN or infinite"),
    "a loss too large for a curve": (record(loss=[1e39, 1.0]), "infinite from iteration 0 on"),
    "an empty curve": (record(loss=[], psnr_gt=[], psnr_gt_sm=[]), "is empty"),
    "text in a curve": (record(loss=["a", "b"]), "list of numbers"),
    "an iteration outside": (record(best_iter=2), "outside its 2 iterations"),
    "half an iteration": (record(best_iter=0.5), "outside"),
    "a best that is NaN": (record(best_psnr_gt=float("nan")), "finite number"),
    "a flat output": (record(last_out=np.zeros((64, 64), "f4")), "shape"),
    "outputs of two shapes": (record(last_out=np.zeros((3, 64, 64), "f4")), "unequal shapes"),
    "an output of whole numbers": (record(last_out=np.zeros((1, 64, 64), "i4")), "floats"),
    "no output": (record(best_out=None), "no array 'best_out'"),
    "a list": ([1.0], "no dict"),
    "a missing curve": ({"loss": [0.1]}, "psnr_gt"),
    "a NaN in an output": (record(last_out_sm=np.full((1, 64, 64), np.nan, "f4")), "NaN"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_runs_are_refused(case: str) -> None:
    content, reason = BROKEN[case]
    with pytest.raises(RefusedError, match=reason):
        read_run(pickle.dumps(content))


def test_a_run_is_stopped_only_from_iteration_500_on_and_3_db_under_its_best() -> None:
    assert stop_reason(np.array([20.0] * 500 + [16.9])) != ""
    assert stop_reason(np.array([20.0] * 499 + [16.9])) == ""
    assert stop_reason(np.array([20.0] * 500 + [17.0])) == ""


@pytest.mark.parametrize("path", sorted(TREE.rglob("*.npy")), ids=lambda path: path.parent.name)
def test_published_arrays_are_read_unchanged(path: Path) -> None:
    np.testing.assert_array_equal(read_array(path.read_bytes()), np.load(path))


def test_no_flipped_bit_of_an_array_is_more_than_refused() -> None:
    file = io.BytesIO()
    np.save(file, np.eye(2))
    content = file.getvalue()
    for place in range(6, 80):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            with suppress(RefusedError):
                read_array(bytes(damaged))


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(np.array([{}], object)), "only numbers"),
        (saved(np.zeros(3, "f4,i4")), "only numbers"),
        (saved(np.array([np.nan])), "NaN"),
        (saved(np.zeros(9))[:-1], "do not fit"),
        (saved(np.zeros(9)).replace(b"(9,), ", b"(99,),"), "do not fit"),
        (saved(np.zeros((2, 3))).replace(b"(2, 3)", b"(-2,-3)"), "damaged|do not fit"),
        (saved(np.zeros(9)).replace(b"(9,), }" + b" " * 9, b"(9999999999,), }"), "at most"),
        (b"no array", "no .npy"),
        (b"", "no .npy"),
        (saved(np.zeros(9)).replace(b"'descr'", b"'other'"), "no .npy"),
    ],
)
def test_broken_arrays_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        read_array(data)


@pytest.mark.parametrize("path", sorted(TREE.rglob("*.csv")), ids=lambda path: path.parent.name)
def test_published_tables_are_read_unchanged(path: Path) -> None:
    with path.open(newline="") as file:
        theirs = list(csv.DictReader(file))
    ours = read_scores(path.read_bytes())
    assert [row.model for row in ours] == [row["model name"] for row in theirs]
    for own, row in zip(ours, theirs, strict=True):
        expected = {name: float(row[name]) for name in SCORE_NAMES if name in row}
        assert own.scores == {name.replace(" ", "_"): v for name, v in expected.items()}
        if "best psnr smooth" in row:
            assert own.best["best_psnr_smooth"] == float(row["best psnr smooth"])
            assert own.best["best_psnr_iteration"] == float(row["best iteration"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"model name,psd db mse\n4_01,nan\n", "line 2, psd db mse: 'nan'"),
        (b"model name,psd db mse\n4_01,1\n4_10,x\n", "line 3"),
        (b"model name,psd db mse\n4_01,1,2\n", "another number of values"),
        (b"model name,psd db mse\n4_01\n", "another number of values"),
        (b"name,psd db mse\n4_01,1\n", "no 'model name'"),
        (b"\xff\xfe", "no table"),
        (b"x" * (5 * 2**20), "at most"),
    ],
)
def test_broken_tables_are_refused(text: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        read_scores(text)


def test_pictures_are_read_channels_first() -> None:
    grey = (TREE / "images" / "denoising" / "true" / "camera_64.png").read_bytes()
    colour = (TREE / "images" / "denoising" / "true" / "chelsea_64_rgb.png").read_bytes()
    assert read_picture(grey).shape == (1, 64, 64)
    assert read_picture(colour).shape == (3, 64, 64)
    with pytest.raises(RefusedError, match="no PNG"):
        read_picture(grey[:100])
    with pytest.raises(RefusedError, match="no PNG"):
        read_picture(b"GIF89a")


def test_a_lone_number_is_read() -> None:
    assert read_number(pickle.dumps(20.5)) == 20.5
    for value in ([1.0], float("nan"), "x", None, True):
        with pytest.raises(RefusedError):
            read_number(pickle.dumps(value))
