"""The Deep Decoder as a code: exact round trips, and a reader that hostile files cannot hurt."""

import lzma
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dipbench.data import Image, load_image
from dipbench.errors import (
    DeviceError,
    DipbenchError,
    GenotypeError,
    ImageError,
    MissingExtraError,
)
from dipbench.evaluate import compression, fit, fitting, psnr
from dipbench.evaluate.codecs import standard_codecs
from dipbench.evaluate.compressed import (
    _FILTERS,
    _HEADER,
    Code,
    quantise_tensor,
    read_code,
    tensor_sizes,
    write_code,
)
from dipbench.evaluate.compression import compress, decompress, parameter_ratio
from dipbench.genotypes.network import count_parameters
from dipbench.genotypes.reference import build_reference

PICTURE = load_image("astronaut", size=64)


@pytest.fixture(scope="module")
def made():
    return compress(PICTURE, iterations=60, threads=1)


def code(bits=8, **changes):
    rng = np.random.default_rng(0)
    tensors = tuple(quantise_tensor(rng.normal(size=size), bits) for size in tensor_sizes(1))
    fields = {"channels": 1, "height": 64, "width": 80, "bits": bits, "seed": 3}
    return Code(**{**fields, "picture_sha256": bytes(32), "tensors": tensors} | changes)


def sealed(data):
    return data + struct.pack("<I", zlib.crc32(data))


def forged(payload, **fields):
    head = {"channels": 1, "bits": 8, "height": 64, "width": 64} | fields
    packed = _HEADER.pack(
        b"\x89DIPDD\r\n", 1, head["channels"], head["bits"], head["height"], head["width"], 0,
        len(payload), bytes(32),
    )  # fmt: skip
    return sealed(packed + payload)


def test_the_file_decodes_to_the_same_bits(made):
    picture, exact = decompress(made.data, threads=1)
    assert exact
    assert np.array_equal(picture, made.image)
    assert made.psnr == pytest.approx(psnr(picture, PICTURE.array))


def test_figures_are_those_of_the_file(made):
    assert made.bits_per_pixel == 8 * len(made.data) / 64**2
    assert [entry.bits for entry in made.tried] == [6, 7, 8, 10, 12]
    assert next(entry.bytes for entry in made.tried if entry.bits == made.bits) == len(made.data)
    assert all(coded.bytes <= len(made.data) for coded in made.codecs)


def test_the_published_ratio():
    assert parameter_ratio(3, 512, 512) == 786_432 / 86_528
    parameters = count_parameters(build_reference("deep-decoder", (3, 512, 512)))
    assert sum(tensor_sizes(3)) == parameters


def test_a_finer_code_is_nearer_to_the_network(made):
    errors = {entry.bits: abs(entry.psnr - made.psnr_unquantised) for entry in made.tried}
    assert errors[12] < 0.05


@pytest.mark.parametrize("bits", [4, 8, 9, 16])
def test_levels_survive_the_file(bits):
    written = code(bits)
    read = read_code(write_code(written))
    assert (read.seed, read.width, read.bits) == (3, 80, bits)
    for (scale, levels), (scale_read, levels_read) in zip(
        written.tensors, read.tensors, strict=True
    ):
        assert scale == scale_read
        assert np.array_equal(levels, levels_read)


def test_every_truncation_is_refused():
    data = write_code(code())
    for length in [*range(80), len(data) // 2, len(data) - 1]:
        with pytest.raises(ImageError):
            read_code(data[:length])


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_every_changed_byte_is_noticed(place, flip):
    data = bytearray(write_code(code()))
    data[int(place * len(data))] ^= flip
    with pytest.raises(ImageError):
        read_code(bytes(data))


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_junk_is_refused(data):
    for attempt in (data, b"\x89DIPDD\r\n" + data, forged(data)):
        with pytest.raises(ImageError):
            read_code(attempt)


def test_a_bomb_is_not_unpacked():
    bomb = lzma.compress(bytes(2**26), lzma.FORMAT_RAW, filters=_FILTERS)
    assert len(bomb) < 2**16
    with pytest.raises(ImageError, match="does not hold the weights"):
        read_code(forged(bomb))


@pytest.mark.parametrize(
    "fields",
    [{"height": 65535, "width": 65535}, {"height": 1}, {"channels": 200}, {"bits": 40}],
)
def test_sizes_out_of_bounds_are_refused_before_anything_is_made(fields):
    with pytest.raises(ImageError, match="cannot be"):
        read_code(forged(b"", **fields))


@pytest.mark.parametrize("scale", [np.nan, np.inf, -1.0, 0.0])
def test_scales_out_of_range_are_refused(scale):
    sizes = tensor_sizes(1)
    raw = np.full(len(sizes), scale, "<f4").tobytes() + bytes([128]) * sum(sizes)
    raw += bytes(sum(sizes))
    payload = lzma.compress(raw, lzma.FORMAT_RAW, filters=_FILTERS)
    with pytest.raises(ImageError, match="out of range"):
        read_code(forged(payload))


def test_another_version_is_named():
    data = bytearray(write_code(code()))
    data[8] = 9
    with pytest.raises(ImageError, match="version 9"):
        read_code(bytes(data))


def test_a_picture_that_memory_is_too_small_for_is_one_line(made, monkeypatch):
    def too_large(code):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr(compression, "_draw", too_large)
    with pytest.raises(DeviceError, match="too little memory on cpu"):
        decompress(made.data)


def test_mistakes_are_told():
    with pytest.raises(GenotypeError, match="unknown model to compress with 'dip'"):
        compress(PICTURE, "dip")
    with pytest.raises(ImageError, match="cannot be compressed"):
        write_code(code(height=4096, width=4096))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 4096, 2048), {}, "at most 4,194,304 pixels"),
        ((1, 64, 64), {"seed": 2**64}, "seed 18446744073709551616 cannot be written"),
        ((1, 64, 64), {"seed": -1}, "seed -1"),
        ((1, 64, 64), {"bits": 17}, "17 bits cannot be"),
        ((1, 64, 64), {"bits": 8.0}, r"8\.0 bits cannot be"),
    ],
)
def test_what_the_format_has_no_room_for_is_refused_before_the_training(
    monkeypatch, shape, options, message
):
    monkeypatch.setattr(compression, "_train", None)
    with pytest.raises(ImageError, match=message):
        compress(Image("large", np.zeros(shape)), **options)


def test_the_weights_of_the_lowest_loss_are_kept(monkeypatch):
    protocol = compression._protocol(1).replace(learning_rate=10.0)  # it only gets worse
    monkeypatch.setattr(compression, "_protocol", lambda threads: protocol)
    monkeypatch.setattr(fitting, "CHUNK", 1)
    losses = []

    def look(done, training):
        with torch.no_grad():
            output = training.network(training.input)[0].numpy()
        losses.append(float(np.mean((output - PICTURE.array) ** 2)))

    network, _, _ = compression._train(PICTURE, 5, 0, "cpu", 1, look)
    z = fitting.draw_input((16, 4, 4), protocol, (0, "compress", "deep-decoder"))
    with torch.no_grad():
        kept = network(z)[0].numpy()
    assert np.argmin(losses) < len(losses) - 1
    assert np.mean((kept - PICTURE.array) ** 2) == pytest.approx(min(losses), rel=1e-5)


def test_codecs_fit_the_size_or_say_their_own():
    for coded in standard_codecs(PICTURE.array, 3000):
        assert coded.bytes <= 3000
    for coded in standard_codecs(PICTURE.array, 10):
        assert (coded.quality, coded.bytes > 10) == (1, True)


def test_codecs_keep_colour_where_there_is_room():
    fine = np.zeros((3, 64, 64), np.float32)
    fine[0, :, ::2], fine[2, :, 1::2] = 1, 1  # red and blue columns, which subsampling mixes
    jpeg, webp = standard_codecs(fine, 12_000)
    assert jpeg.psnr > 50
    assert (webp.quality, webp.psnr) == (None, np.inf)


def test_codecs_take_noise_at_high_qualities():
    noise = np.random.default_rng(0).integers(0, 2, (3, 256, 256)).astype(np.float32)
    for size in (100_000, 10**7):
        jpeg, webp = standard_codecs(noise, size)
        assert max(jpeg.bytes, webp.bytes) <= size
    assert jpeg.quality == 100


def test_nothing_is_trained_where_what_judges_it_is_missing(monkeypatch):
    def missing():
        raise MissingExtraError("train", "SSIM")

    monkeypatch.setattr(compression, "import_ssim", missing)
    monkeypatch.setattr(compression, "_train", lambda *_: pytest.fail("trained"))
    with pytest.raises(MissingExtraError):
        compress(PICTURE, iterations=3)


@pytest.mark.parametrize("seed", [True, 1.0])
def test_a_seed_that_cannot_be_written_is_refused(seed):
    with pytest.raises(DipbenchError, match="no whole number"):
        compress(load_image("camera", size=64), iterations=2, seed=seed, threads=1)


def test_random_numbers_of_the_caller_are_left_alone(made):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    decompress(made.data, threads=1)
    fit("deep-decoder", "camera", "denoising-25", iterations=1, protocol="quick")
    fit("nas-dip", "camera", "denoising-25", iterations=1, protocol="quick")
    assert torch.equal(torch.get_rng_state(), before)
