"""Loading images from names, files, folders and arrays; what is refused and why."""

import socket
import struct
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from dipbench.data import (
    PACKAGED,
    Image,
    Observation,
    load_image,
    load_images,
    load_observation,
    save_image,
)
from dipbench.data.imagefiles import read_file
from dipbench.data.layouts import LUMA
from dipbench.data.png16 import read_png16, write_png16
from dipbench.data.quantisation import dequantise, quantise
from dipbench.errors import ImageError, MissingExtraError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (70, 80), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (70, 80, 3), dtype=np.uint8)
GREY_16 = RNG.integers(0, 65536, (70, 80), dtype=np.uint16)
COLOUR_16 = RNG.integers(0, 65536, (70, 80, 3), dtype=np.uint16)


def expected(array: np.ndarray) -> np.ndarray:
    values = (array / np.iinfo(array.dtype).max).astype(np.float32)
    return values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)


def test_packaged_images_need_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a packaged image was downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    images = [load_image(name) for name in PACKAGED]
    assert [image.name for image in images] == list(PACKAGED)
    assert len({image.sha256 for image in images}) == len(PACKAGED)


def test_data_loads_neither_scikit_image_nor_pillow_by_itself() -> None:
    code = "import sys, dipbench.data; print({'skimage', 'PIL', 'torch'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert output.stdout.strip() == b"set()"


def test_size_crops_to_the_centre_before_resizing() -> None:
    array = np.zeros((1, 64, 192))
    array[:, :, 64:128] = 1
    assert load_image(array, size=64).array.min() == 1


def test_grey_uses_the_stated_weights_and_colour_repeats() -> None:
    image = load_image(COLOUR, name="x")
    grey = load_image(image, colour=False)
    np.testing.assert_allclose(grey.array[0], np.tensordot(LUMA, image.array, 1), atol=1e-5)
    again = load_image(grey, colour=True)
    assert again.shape == (3, 70, 80)
    np.testing.assert_array_equal(again.array[1], grey.array[0])


def test_enlarging_warns() -> None:
    with pytest.warns(UserWarning, match="enlarged from 70 to 96"):
        assert load_image(GREY, size=96).shape == (1, 96, 96)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (GREY, (1, 70, 80)),
        (GREY[None], (1, 70, 80)),
        (GREY[..., None], (1, 70, 80)),
        (COLOUR, (3, 70, 80)),
        (np.moveaxis(COLOUR, 2, 0), (3, 70, 80)),
        (GREY > 128, (1, 70, 80)),
    ],
)
def test_arrays_of_every_layout(array: np.ndarray, shape: tuple[int, ...]) -> None:
    image = load_image(array)
    assert image.shape == shape
    assert image.name == f"array-{image.sha256[:8]}"


def test_image_is_read_only_quantised_and_compared_by_content() -> None:
    values = RNG.random((1, 64, 64))
    image = Image("a", values)
    assert image.array.dtype == np.float32
    assert abs(image.array - values).max() < 0.6 / 65535
    assert image == Image("a", image.array)
    assert hash(image) == hash(Image("a", image.array))
    assert image != Image("b", values)
    assert image != Image("a", values[:, ::-1])
    with pytest.raises(ValueError, match="read-only"):
        image.array[0, 0, 0] = 0


@given(st.integers(0, 65535))
def test_the_grid_holds_8_and_16_bit_values_exactly(level: int) -> None:
    assert quantise(dequantise(np.array([level], np.uint16)))[0] == level
    byte = np.array([level % 256], np.uint8)
    assert dequantise(quantise(byte / 255))[0] == np.float32(byte[0] / 255)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
@pytest.mark.parametrize(
    "array", [GREY, COLOUR, GREY_16, COLOUR_16], ids=["grey", "colour", "grey16", "colour16"]
)
def test_saving_and_loading_gives_the_values_back(
    tmp_path: Path, array: np.ndarray, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    save_image(path, expected(array), bits=8 * array.itemsize)
    np.testing.assert_array_equal(read_file(path), array)
    np.testing.assert_array_equal(load_image(path).array, expected(array))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_jpeg_is_read_upright(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[274] = 6  # stored lying on its side
    lying = np.zeros((70, 80), np.uint8)
    lying[:, :40] = 255
    PIL.Image.fromarray(lying).save(tmp_path / "x.jpg", exif=exif)
    image = load_image(tmp_path / "x.jpg")
    assert image.shape == (1, 80, 70)
    assert image.array[0, :35].min() > 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_as_pillow_has_it(tmp_path: Path, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[274] = orientation
    path = tmp_path / "x.png"
    PIL.Image.fromarray(COLOUR).save(path, exif=exif)
    with PIL.Image.open(path) as picture:
        upright = np.asarray(PIL.ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(read_file(path), upright)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("picture", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once_whoever_decodes_it(
    tmp_path: Path, orientation: int, picture: np.ndarray, dtype: str
) -> None:
    exif = PIL.Image.Exif()
    exif[274] = orientation
    PIL.Image.fromarray(picture).save(tmp_path / "x.png", exif=exif)
    tifffile.imwrite(
        tmp_path / "x.tif",
        picture.astype(dtype),
        photometric="rgb" if picture.ndim == 3 else "minisblack",
        extratags=[(274, "H", 1, orientation, True)],
    )
    array = read_file(tmp_path / "x.tif")
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, read_file(tmp_path / "x.png"))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_alpha_is_dropped_with_a_warning(tmp_path: Path, mode: str, suffix: str) -> None:
    PIL.Image.fromarray(GREY).convert(mode).save(tmp_path / f"x.{suffix}")
    with pytest.warns(UserWarning, match="alpha channel was dropped"):
        image = load_image(tmp_path / f"x.{suffix}")
    assert image.channels == len(mode) - 1
    np.testing.assert_array_equal(image.array[0], expected(GREY)[0])


def test_alpha_of_a_picture_to_denoise_is_dropped_with_the_same_warning() -> None:
    array = np.dstack([COLOUR, GREY])
    with pytest.warns(UserWarning, match="alpha channel was dropped") as told:
        noisy = load_observation(array, "denoising-25")
    assert told[0].filename == __file__
    np.testing.assert_array_equal(noisy.observed, expected(COLOUR))


def test_a_16_bit_tiff_means_the_colours_that_it_says(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "white.tif", 65535 - GREY_16, photometric="miniswhite")
    np.testing.assert_array_equal(load_image(tmp_path / "white.tif").array, expected(GREY_16))
    ink = np.zeros((70, 80, 4), np.uint16)
    tifffile.imwrite(tmp_path / "ink.tif", ink, photometric="separated")
    with pytest.raises(ImageError, match="neither grey nor RGB"):
        load_image(tmp_path / "ink.tif")


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_a_tiff_of_signed_integers_is_refused(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", (GREY // 2).astype(dtype), photometric="minisblack")
    with pytest.raises(ImageError, match=r"x\.tif holds signed integers: save it"):
        load_image(tmp_path / "x.tif")


@pytest.mark.parametrize("dtype", ["uint32", "int32"])
def test_a_tiff_of_32_bit_integers_is_named_so(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", GREY.astype(dtype), photometric="minisblack")
    with pytest.raises(ImageError, match=r"integers of 32 bits|signed integers"):
        load_image(tmp_path / "x.tif")


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_colours_multiplied_by_alpha_are_refused(tmp_path: Path, dtype: str) -> None:
    for kind in ("assocalpha", "unassalpha"):
        array = np.full((64, 64, 4), 0.5 if dtype == "float32" else 30000, dtype)
        tifffile.imwrite(tmp_path / f"{kind}.tif", array, photometric="rgb", extrasamples=[kind])
    with pytest.raises(ImageError, match="colours multiplied by its alpha"):
        load_image(tmp_path / "assocalpha.tif")
    with pytest.warns(UserWarning, match="alpha channel was dropped"):
        load_image(tmp_path / "unassalpha.tif")


def test_a_picture_of_few_rows_is_told_by_its_sides(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (70, 3)).save(tmp_path / "strip.png")
    with pytest.raises(ImageError, match="strip is 70 pixels wide and 3 high"):
        load_image(tmp_path / "strip.png")


def test_16_bit_alpha_and_grey_written_by_others(tmp_path: Path) -> None:
    write_png16(tmp_path / "alpha.png", np.dstack([COLOUR_16, GREY_16]))
    with pytest.warns(UserWarning, match="alpha channel was dropped"):
        image = load_image(tmp_path / "alpha.png")
    np.testing.assert_array_equal(image.array, expected(COLOUR_16))
    PIL.Image.fromarray(GREY_16).save(tmp_path / "pillow.png")
    np.testing.assert_array_equal(load_image(tmp_path / "pillow.png").array, expected(GREY_16))
    tifffile.imwrite(
        tmp_path / "planes.tif", np.moveaxis(COLOUR_16, 2, 0), photometric="rgb", planarconfig=2
    )
    np.testing.assert_array_equal(load_image(tmp_path / "planes.tif").array, expected(COLOUR_16))


@pytest.mark.parametrize("filters", [(0, 1, 2, 3, 4), (1, 2, 0), (4,), (3,)], ids=str)
@pytest.mark.parametrize("shape", [(70, 80), (80, 70), (1, 80), (80, 1), (1, 1)], ids=str)
def test_a_16_bit_png_with_every_row_filter_is_read(
    tmp_path: Path, shape: tuple[int, int], filters: tuple[int, ...]
) -> None:
    path, levels = tmp_path / "x.png", np.resize(COLOUR_16, (*shape, 3))
    write_png16(path, levels)
    refilter(path, levels, filters)
    np.testing.assert_array_equal(read_file(path), levels)
    refilter(path, levels, (5,))
    with pytest.raises(ImageError, match=r"x\.png is a damaged PNG: row filter 5"):
        read_png16(path)


@pytest.mark.parametrize("array", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_colour_that_a_png_declares_transparent_is_missing(
    tmp_path: Path, array: np.ndarray, dtype: type[np.unsignedinteger]
) -> None:
    path, levels = tmp_path / "x.png", array.astype(dtype)
    if dtype == np.uint16:
        levels = levels << 8 | 7
        write_png16(path, levels)
    else:
        save_image(path, expected(levels))
    colour = levels[20, 30]
    insert_chunk(path, b"tRNS", np.asarray(colour, ">u2").tobytes())
    missing = (levels == colour).reshape(70, 80, -1).all(axis=2)
    marked = load_observation(path, "inpainting")
    assert marked.mask is not None
    np.testing.assert_array_equal(~marked.mask, missing)
    np.testing.assert_array_equal(marked.observed, expected(levels) * ~missing)


def insert_chunk(path: Path, name: bytes, body: bytes) -> None:
    """Put a chunk before a PNG's image data."""
    import zlib

    content = path.read_bytes()
    place = content.index(b"IDAT") - 4
    crc = zlib.crc32(name + body).to_bytes(4, "big")
    chunk = len(body).to_bytes(4, "big") + name + body + crc
    path.write_bytes(content[:place] + chunk + content[place:])


@pytest.mark.parametrize("bits", [8, 16])
def test_what_follows_the_end_of_a_png_is_no_part_of_it(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "x.png"
    save_image(path, expected(COLOUR), bits)
    before = read_file(path)
    path.write_bytes(path.read_bytes() + b"appended by another program")
    np.testing.assert_array_equal(read_file(path), before)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_without_tifffile_only_tiffs_that_need_it_ask_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PIL.Image.fromarray(COLOUR).save(tmp_path / "8.tif")
    PIL.Image.fromarray(GREY.astype("float32")).save(tmp_path / "grey.tif")
    PIL.Image.fromarray(COLOUR).save(tmp_path / "x.webp")
    (tmp_path / "notes.png").write_text("no picture")
    tifffile.imwrite(tmp_path / "16.tif", COLOUR_16, photometric="rgb")
    for order in "<>":
        for big in (False, True):
            floats, path = COLOUR.astype("float32"), tmp_path / f"float{order}{big}.tif"
            tifffile.imwrite(path, floats, photometric="rgb", byteorder=order, bigtiff=big)
            np.testing.assert_array_equal(read_file(path), floats)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    np.testing.assert_array_equal(read_file(tmp_path / "8.tif"), COLOUR)
    np.testing.assert_array_equal(read_file(tmp_path / "grey.tif"), GREY)
    for name in ("notes.png", "x.webp"):
        with pytest.raises(ImageError, match=f"{name} cannot be read as a PNG, JPEG or TIFF"):
            read_file(tmp_path / name)
    for path in (tmp_path / "16.tif", *tmp_path.glob("float*.tif")):
        with pytest.raises(MissingExtraError, match="TIFF"):
            read_file(path)


def refilter(path: Path, levels: np.ndarray, filters: tuple[int, ...]) -> None:
    """Write the image data anew, the filters in turn, straight from the specification.

    There is no filter 5: its rows are as they are.
    """
    import zlib

    rows = levels.astype(">u2").reshape(len(levels), -1).view(np.uint8).astype(int)
    above, step, data = np.zeros_like(rows[0]), 6, b""
    for index, row in enumerate(rows):
        left = np.concatenate([np.zeros(step, int), row[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        estimate = left + above - corner
        near = np.stack([abs(estimate - value) for value in (left, above, corner)])
        paeth = np.choose(near.argmin(axis=0), (left, above, corner))
        kind = filters[index % len(filters)]
        predicted = (0 * row, left, above, (left + above) // 2, paeth, 0 * row)[kind]
        data += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    content = path.read_bytes()
    start = content.index(b"IDAT")
    body = b"IDAT" + zlib.compress(data)
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    path.write_bytes(content[: start - 4] + chunk + content[content.index(b"IEND") - 4 :])


def test_palette_and_cmyk_become_colours(tmp_path: Path) -> None:
    few = PIL.Image.fromarray(COLOUR).quantize(16)
    few.save(tmp_path / "palette.png")
    wanted = expected(np.asarray(few.convert("RGB")))
    np.testing.assert_array_equal(load_image(tmp_path / "palette.png").array, wanted)
    PIL.Image.fromarray(COLOUR).convert("CMYK").save(tmp_path / "print.jpg")
    assert load_image(tmp_path / "print.jpg").channels == 3


def test_names_files_and_folders_together(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", ".hidden.png"):
        save_image(tmp_path / name, RNG.random((1, 64, 64)))
    (tmp_path / "notes.txt").write_text("no image")
    images = load_images(f"camera, {tmp_path},{tmp_path / 'b.png'}", size=64)
    assert [image.name for image in images] == ["camera", "a", "b"]


def test_a_name_means_one_content(tmp_path: Path) -> None:
    save_image(tmp_path / "camera.png", np.ones((1, 64, 64)))
    with pytest.raises(ImageError, match="'camera' means two different images"):
        load_images(["camera", tmp_path / "camera.png"])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((1, 64, 64), np.nan), "holds 4096 NaN or infinite values"),
        (np.full((1, 64, 64), 1.5), r"values from 1.5 to 1.5; expected \[0, 1\]"),
        (np.ones((1, 63, 80)), "80 pixels wide and 63 high; both must be 64 or more"),
        (np.ones((5, 64, 64)), "1 or 3 channels"),
        (np.ones(64), "expected"),
        ([[0.5]], "list"),
        (None, "NoneType"),
        (np.ones((64, 64), int), "holds int64"),
    ],
)
def test_bad_arrays_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        load_image(array)
    with pytest.raises(ImageError):
        Image("x", array)


@pytest.mark.parametrize("name", ["a/b", "", " ", "a,b", "..", "a\nb", "a\\b", 5])
def test_bad_names_are_refused(name: object) -> None:
    with pytest.raises(ImageError, match="is no name for an image"):
        Image(name, np.ones((1, 64, 64)))


def test_bad_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="did you mean 'camera'"):
        load_image("camra")
    with pytest.raises(ImageError, match="no such image file"):
        load_image(tmp_path / "x.png")
    with pytest.raises(ImageError, match="holds no image"):
        load_images(tmp_path)
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match="unknown image"):
        load_images(",".join(["camera"] * 100 + ["camra"]), size=64)
    with pytest.raises(ImageError, match="no images given"):
        load_images(" , ")
    with pytest.raises(ImageError, match="no images given"):
        load_images("")
    with pytest.raises(ImageError, match="no such image file: camera"):
        load_image(Path("camera"))
    with pytest.raises(ImageError, match="size 32 is too small"):
        load_image("camera", size=32)
    for size in (64.0, "64"):
        with pytest.raises(ImageError, match=f"size {size!r} is no whole number of pixels"):
            load_image("camera", size=size)
    for source in (None, 5, [[0.5]]):
        with pytest.raises(ImageError, match="cannot read an image from"):
            load_images(source)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    for array, name in ((expected(COLOUR), "8.png"), (expected(COLOUR_16), "16.png")):
        save_image(tmp_path / name, array, bits=int(name[:-4]))
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(ImageError, match=name):
            load_image(tmp_path / name)
    save_image(tmp_path / "16.tif", expected(COLOUR_16), bits=16)
    content = (tmp_path / "16.tif").read_bytes()
    for damaged in (content[:-40], content[:200] + b"damaged!" + content[208:]):
        (tmp_path / "16.tif").write_bytes(damaged)
        with pytest.raises(ImageError, match=r"16\.tif"):
            load_image(tmp_path / "16.tif")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match="cannot be read as a PNG, JPEG or TIFF"):
        load_image(tmp_path / "text.png")
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([GREY, GREY]), photometric="minisblack")
    with pytest.raises(ImageError, match="several pages"):
        load_image(tmp_path / "pages.tif")


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tiff_of_floats_is_read_in_colour_too(tmp_path: Path, planar: int, dtype: str) -> None:
    array = (COLOUR / 255).astype(dtype)
    planes = array if planar == 1 else np.moveaxis(array, 2, 0)
    tifffile.imwrite(tmp_path / "x.tif", planes, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(read_file(tmp_path / "x.tif"), array)
    array[10:20] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", array, photometric="rgb")
    marked = load_observation(tmp_path / "nan.tif", "inpainting")
    assert marked.mask is not None
    assert (~marked.mask).sum() == 10 * 80


def test_a_tiff_of_floats_is_turned_upright(tmp_path: Path) -> None:
    extra = [(274, "H", 1, 6, True)]
    array = (COLOUR / 255).astype("float32")
    tifffile.imwrite(tmp_path / "x.tif", array, photometric="rgb", extratags=extra)
    np.testing.assert_array_equal(read_file(tmp_path / "x.tif"), np.rot90(array, -1))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_tiffs_of_floats_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, array = tmp_path / "x.tif", (COLOUR / 255).astype("float32")
    tifffile.imwrite(path, array, photometric="rgb")
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 2000)
        with pytest.raises(ImageError, match="has more than 4,000 pixels"):
            read_file(path)
    for length in (9, 100, 400, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(ImageError, match=r"x\.tif"):
            read_file(path)
    tifffile.imwrite(path, np.stack([array, array]), photometric="rgb")
    with pytest.raises(ImageError, match="several pages"):
        read_file(path)


def test_unwritable_outputs_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    image = np.ones((1, 64, 64))
    with pytest.raises(ImageError, match=r"must end in \.png"):
        save_image(tmp_path / "x.gif", image)
    with pytest.raises(ImageError, match="No such file or directory"):
        save_image(tmp_path / "missing" / "x.png", image)
    with pytest.raises(ImageError, match="choose 8 or 16"):
        save_image(tmp_path / "x.png", image, bits=12)
    with pytest.raises(ImageError, match="NaN"):
        save_image(tmp_path / "x.png", image * np.nan)
    assert list(tmp_path.iterdir()) == []


def test_a_tiff_of_12_bits_is_as_bright_as_one_of_16(tmp_path):
    rows = np.random.default_rng(0).integers(0, 4096, (64, 64))
    packed = b"".join((high << 12 | low).to_bytes(3, "big") for high, low in
                      rows.reshape(-1, 2).tolist())  # fmt: skip
    entries = {256: 64, 257: 64, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 64, 279: len(packed)}
    path = tmp_path / "12.tif"
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8 + len(packed))
        + packed
        + struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
        + bytes(4)
    )
    np.testing.assert_allclose(load_image(path).array[0], rows / 4095, atol=1e-5)


@pytest.mark.parametrize(
    "array", [np.full((64, 64), 100, np.uint8), np.empty((0, 64)), [[0.5]], np.ones((64, 64), int)]
)
def test_what_would_be_written_as_another_picture_is_refused(tmp_path: Path, array) -> None:
    with pytest.raises(ImageError, match="cannot write"):
        save_image(tmp_path / "x.png", array)
    assert list(tmp_path.iterdir()) == []


def test_a_masked_array_is_refused_and_not_filled() -> None:
    hidden = np.eye(64, dtype=bool)
    masked = np.ma.masked_array(np.where(hidden, np.nan, 0.5), hidden)
    for read in (load_image, lambda array: load_observation(array, "denoising-25")):
        with pytest.raises(ImageError, match="is a masked array"):
            read(masked)
    with pytest.raises(ImageError, match="is a masked array"):
        Observation(np.ma.masked_array(np.full((1, 64, 64), 0.5)))


def test_levels_in_the_other_byte_order_are_levels() -> None:
    levels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    assert load_image(levels.astype(">u2")) == load_image(levels)


def test_a_picture_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(ImageError, match="size 10000000 is too large: give at most 8192"):
        load_image("camera", size=10**7)


def test_an_empty_name_and_a_home_folder_in_a_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(ImageError, match="the name of the image is empty"):
        load_image(" ")
    monkeypatch.setenv("HOME", str(tmp_path))
    save_image(tmp_path / "own.png", np.full((64, 64), 0.5))
    assert [image.name for image in load_images("camera,~/own.png")] == ["camera", "own"]


def test_a_damaged_tiff_says_nothing_by_itself(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((64, 64, 3), np.float32), photometric="rgb")
    content = bytearray((tmp_path / "x.tif").read_bytes())
    start = int.from_bytes(content[4:8], "little")
    content[start : start + 2] = (500).to_bytes(2, "little")
    (tmp_path / "x.tif").write_bytes(content)
    code = "import sys; from dipbench.data import load_image; load_image(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "x.tif")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr.startswith("Traceback") or not done.stderr


@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_grey_tiffs_with_alpha_and_from_white(tmp_path: Path, dtype, alpha, white) -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (64, 70)) / 65535
    top = 1 if dtype is np.float32 else 65535
    stored = ((1 - grey if white else grey) * top).round(0 if top > 1 else 6).astype(dtype)
    opaque = np.full((64, 70), top, dtype)
    path = tmp_path / "x.tif"
    tifffile.imwrite(
        path,
        np.dstack([stored, opaque]) if alpha else stored,
        photometric="miniswhite" if white else "minisblack",
        **({"planarconfig": 1, "extrasamples": ["unassalpha"]} if alpha else {}),
    )
    with pytest.warns(UserWarning, match="alpha") if alpha else nullcontext():
        image = load_image(path)
    np.testing.assert_allclose(image.array[0], grey, atol=1e-5)


def test_what_is_above_one_within_rounding_is_white() -> None:
    white = Image("white", np.full((1, 64, 64), 1 + 0.5 / 65535))
    assert (white.array == 1).all()
