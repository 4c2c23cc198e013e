"""The `.dd` file: a Deep Decoder as the code of a picture; NumPy and the standard library only.

The layout is described in docs/compressed-format.md. Everything that a reader believes is bounded
before anything is allocated, and checked before it is used; nothing in a file is executed.
"""

import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError
from ..scalars import is_integer

MAGIC = b"\x89DIPDD\r\n"
VERSION = 1
MULTIPLE = 16
MAXIMUM_SIDE = 8192
MAXIMUM_PIXELS = 2**22
"""Of a picture; its decoder works on 128 values for each pixel, two times 2 GB here."""
BITS = (4, 16)
MAXIMUM_SEED = 2**64 - 1
WIDTH, LAYERS, IN_CHANNELS = 128, 5, 16

_HEADER = struct.Struct("<8sBBBHHQI32s")
_CHECK = struct.Struct("<I")
_FILTERS: list[dict[str, Any]] = [
    {"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0, "dict_size": 2**20}
]


@dataclass(frozen=True, eq=False)
class Code:
    """What a file says.

    Attributes:
        channels: 1 or 3.
        height: of the picture, in pixels.
        width: likewise.
        bits: of a quantised weight.
        seed: of the network's input.
        picture_sha256: of the picture's 8-bit levels as its encoder decoded them, 32 bytes.
        tensors: the quantised tensors in the network's order: (scale, levels).
    """

    channels: int
    height: int
    width: int
    bits: int
    seed: int
    picture_sha256: bytes
    tensors: tuple[tuple[float, np.ndarray], ...]


def tensor_sizes(channels: int) -> tuple[int, ...]:
    """Number of values of each tensor: for each layer weight, gain and shift; then the head.

    >>> from dipbench.evaluate.compressed import tensor_sizes
    >>> sum(tensor_sizes(3)) - tensor_sizes(3)[-1]
    68864
    """
    layers: list[int] = []
    for entering in (IN_CHANNELS, *(WIDTH,) * (LAYERS - 1)):
        layers += [entering * WIDTH, WIDTH, WIDTH]
    return (*layers, WIDTH * channels)


def quantise_tensor(values: np.ndarray, bits: int) -> tuple[float, np.ndarray]:
    """Uniform levels, symmetric about 0: (scale, int16 levels), values about scale x levels.

    >>> import numpy as np
    >>> from dipbench.evaluate.compressed import quantise_tensor
    >>> scale, levels = quantise_tensor(np.array([-1.0, 0.5, 1.0]), bits=8)
    >>> levels.tolist()
    [-127, 64, 127]
    """
    top = 2 ** (bits - 1) - 1
    scale = float(np.float32(np.abs(values).max() / top)) or 1.0
    levels = np.rint(np.asarray(values, np.float64) / scale).clip(-top, top)
    return scale, levels.astype(np.int16).ravel()


def write_code(code: Code) -> bytes:
    """The bytes of a file.

    Raises:
        ImageError: The sides, channels, bits or seed are out of the format's bounds.
    """
    check_bounds(code.channels, code.height, code.width, code.bits, code.seed)
    scales = np.array([scale for scale, _ in code.tensors], "<f4").tobytes()
    levels = np.concatenate([levels for _, levels in code.tensors]).astype(np.int32)
    # From 0 on, low and high bytes apart: of up to 8 bits the high ones pack to nothing.
    shifted = (levels + _offset(code.bits)).astype("<u2")
    planes = shifted.view(np.uint8).reshape(-1, 2).T.tobytes()
    payload = lzma.compress(scales + planes, lzma.FORMAT_RAW, filters=_FILTERS)
    head = _HEADER.pack(
        MAGIC, VERSION, code.channels, code.bits, code.height, code.width, code.seed,
        len(payload), code.picture_sha256,
    )  # fmt: skip
    return head + payload + _CHECK.pack(zlib.crc32(head + payload))


def read_code(data: bytes) -> Code:
    """Read the bytes of a file that may come from anyone.

    Raises:
        ImageError: They are no such file, of another version, cut short, damaged, or ask for
            more than the format allows.
    """
    if len(data) < _HEADER.size + _CHECK.size or data[: len(MAGIC)] != MAGIC:
        raise ImageError("this is no compressed picture: expected a file made by dipbench compress")
    fields = _HEADER.unpack_from(data)
    _, version, channels, bits, height, width, seed, length, digest = fields
    if version != VERSION:
        raise ImageError(
            f"the file has version {version}, this dipbench reads {VERSION}: update it"
        )
    body = data[: -_CHECK.size]
    if len(body) != _HEADER.size + length:
        raise ImageError(
            f"the file has {len(data)} bytes where its header says "
            f"{_HEADER.size + length + _CHECK.size}: fetch it again"
        )
    if zlib.crc32(body) != _CHECK.unpack(data[-_CHECK.size :])[0]:
        raise ImageError("the file is damaged (its checksum does not match): fetch it again")
    check_bounds(channels, height, width, bits, seed)
    tensors = _unpack(body[_HEADER.size :], tensor_sizes(channels), bits)
    return Code(channels, height, width, bits, seed, digest, tensors)


def _unpack(
    payload: bytes, sizes: tuple[int, ...], bits: int
) -> tuple[tuple[float, np.ndarray], ...]:
    count = sum(sizes)
    expected = 4 * len(sizes) + 2 * count
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        raw = unpacker.decompress(payload, max_length=expected + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise ImageError("the file's weights cannot be unpacked: it was not made so") from error
    if len(raw) != expected:
        raise ImageError("the file does not hold the weights of its network: it was not made so")
    scales = np.frombuffer(raw, "<f4", len(sizes)).astype(np.float64)
    planes = np.frombuffer(raw, np.uint8, 2 * count, 4 * len(sizes)).reshape(2, count)
    shifted = np.ascontiguousarray(planes.T).view("<u2").ravel()
    levels = shifted.astype(np.int32) - _offset(bits)
    usable = np.isfinite(scales).all() and (scales > 0).all() and (scales < 1e6).all()
    if not usable or (np.abs(levels) >= _offset(bits)).any():
        raise ImageError("the file's weights are out of range: it was not made so")
    ends = np.cumsum(sizes)
    parts = np.split(levels.astype(np.int16), ends[:-1])
    return tuple((float(scale), part) for scale, part in zip(scales, parts, strict=True))


def _offset(bits: int) -> int:
    return 1 << (bits - 1)


def check_bounds(channels: int, height: int, width: int, bits: int, seed: int) -> None:
    """Refuse what the format has no room for.

    Raises:
        ImageError: It is so.

    >>> check_bounds(channels=3, height=512, width=512, bits=8, seed=0)
    """
    if channels not in (1, 3) or not is_integer(bits) or not BITS[0] <= bits <= BITS[1]:
        raise ImageError(
            f"{channels} channels and {bits!r} bits cannot be: expected 1 or 3 channels and "
            f"{BITS[0]} to {BITS[1]} bits"
        )
    sides = min(height, width), max(height, width)
    if sides[0] < 64 or sides[1] > MAXIMUM_SIDE or height * width > MAXIMUM_PIXELS:
        raise ImageError(
            f"a picture of {width} x {height} pixels cannot be compressed so: expected sides of "
            f"64 to {MAXIMUM_SIDE} and at most {MAXIMUM_PIXELS:,} pixels"
        )
    if not 0 <= seed <= MAXIMUM_SEED:
        raise ImageError(f"the seed {seed} cannot be written: expected 0 to {MAXIMUM_SEED}")
