"""PNG files of 16 bits a channel: Pillow reduces such colour files to 8 bits without a word.

After the PNG specification (ISO/IEC 15948): chunks, zlib, and the five row filters.
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import ImageError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type; a palette has no 16 bits


def is_png16_colour(path: Path) -> bool:
    """Whether a file is a PNG of 16 bits with colour or alpha.

    >>> import tempfile
    >>> from dipbench.data.png16 import is_png16_colour, write_png16
    >>> path = Path(tempfile.mkdtemp()) / "x.png"
    >>> write_png16(path, np.zeros((4, 4, 3), np.uint16))
    >>> is_png16_colour(path)
    True
    """
    with path.open("rb") as file:
        start = file.read(26)
    return (
        start[:8] == _SIGNATURE and start[24:25] == b"\x10" and start[25:] in (b"\2", b"\4", b"\6")
    )


def write_png16(path: Path, levels: np.ndarray) -> None:
    """Write (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) of uint16; two and four end in alpha."""
    height, width = levels.shape[:2]
    channels = 1 if levels.ndim == 2 else levels.shape[2]
    kind = {count: kind for kind, count in _CHANNELS.items()}[channels]
    rows = levels.astype(">u2").reshape(height, -1).view(np.uint8).astype(np.int16)
    # Filter 2 (up): each row minus the one above, which compresses well and is quick to undo.
    filtered = np.diff(rows, axis=0, prepend=0).astype(np.uint8)
    data = np.concatenate([np.full((height, 1), 2, np.uint8), filtered], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(data.tobytes()))
        + _chunk(b"IEND", b"")
    )


def read_png16(path: Path) -> np.ndarray:
    """Read a 16-bit PNG as (H, W) or (H, W, C) of uint16.

    Raises:
        ImageError: It is interlaced or damaged.

    >>> import tempfile
    >>> from dipbench.data.png16 import read_png16, write_png16
    >>> path = Path(tempfile.mkdtemp()) / "x.png"
    >>> write_png16(path, np.arange(48, dtype=np.uint16).reshape(4, 4, 3) * 1000)
    >>> int(read_png16(path)[3, 3, 2])
    47000
    """
    header, data = _chunks(path)
    width, height, _, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced:
        raise ImageError(f"{path} is an interlaced 16-bit PNG: save it without interlacing")
    channels = _CHANNELS[kind]
    row_bytes = 2 * channels * width
    expected = height * (row_bytes + 1)
    try:
        raw = zlib.decompressobj().decompress(data, expected)
    except zlib.error as error:
        raise ImageError(f"{path} is a damaged PNG: {error}") from error
    if len(raw) != expected:
        raise ImageError(f"{path} is a truncated PNG: {len(raw)} bytes of {expected}")
    filtered = np.frombuffer(raw, np.uint8).reshape(height, row_bytes + 1)
    filters, rows = filtered[:, 0], filtered[:, 1:].reshape(height, width, 2 * channels)
    if filters.max() > 4:
        raise ImageError(f"{path} is a damaged PNG: row filter {filters.max()}")
    undone = _unfilter(filters, rows) if filters.max() > 2 else _unfilter_simple(filters, rows)
    levels = np.ascontiguousarray(undone).view(">u2").astype(np.uint16)
    return levels[..., 0] if channels == 1 else levels


def _unfilter_simple(filters: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`_unfilter` where no filter is of more than one neighbour: a row at a time."""
    undone = np.zeros_like(rows)
    above = undone[0]
    for kind, row, output in zip(filters, rows, undone, strict=True):
        if kind == 1:
            np.cumsum(row, axis=0, dtype=np.uint8, out=output)
        else:
            np.add(row, above if kind == 2 else np.uint8(0), out=output)
        above = output
    return undone


def _unfilter(filters: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Undo the filters of rows (H, W, bytes a pixel), a diagonal at a time.

    A pixel is predicted from those to its left, above it, and left of that. All of them lie on
    earlier diagonals (from the lower left to the upper right), so that the pixels of one diagonal
    are undone at once.
    """
    height, width, step = rows.shape
    undone = np.zeros((height + 1, width + 1, step), np.uint8)
    undone[1:, 1:] = rows
    pixels = undone.reshape(-1, step)
    for diagonal in range(height + width - 1):
        top, bottom = max(0, diagonal - width + 1), min(diagonal, height - 1)
        start = (top + 1) * (width + 1) + diagonal - top + 1
        stop = start + (bottom - top) * width + 1
        left, above, corner = (
            pixels[start - back : stop - back : width].astype(np.int16)
            for back in (1, width + 1, width + 2)
        )
        # How far left + above - corner, the estimate, is from each of the three.
        to_left, to_above = abs(above - corner), abs(left - corner)
        to_corner = abs(left + above - 2 * corner)
        paeth = np.where(to_above <= to_corner, above, corner)
        paeth = np.where((to_left <= to_above) & (to_left <= to_corner), left, paeth)
        kinds = filters[top : bottom + 1, None]
        choices = np.stack([np.zeros_like(left), left, above, (left + above) // 2, paeth])
        pixels[start:stop:width] += np.choose(kinds, choices).astype(np.uint8)
    return undone[1:, 1:]


def _chunks(path: Path) -> tuple[bytes, bytes]:
    """The header's 13 bytes and the joined image data, checksums verified."""
    content = path.read_bytes()
    header, position = b"", len(_SIGNATURE)
    data: list[bytes] = []
    while position + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        body = content[position + 8 : position + 8 + length]
        checksum = content[position + 8 + length : position + 12 + length]
        if zlib.crc32(name + body).to_bytes(4, "big") != checksum:
            raise ImageError(f"{path} is a damaged PNG: the checksum of {name!r} is wrong")
        if name == b"IHDR":
            header = body
        elif name == b"IDAT":
            data.append(body)
        elif name == b"IEND":  # what follows is no part of the picture
            break
        position += 12 + length
    return header, b"".join(data)


def _chunk(name: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(name + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + name + body + checksum
