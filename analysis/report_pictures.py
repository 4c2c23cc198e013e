"""The images of a benchmark and what was observed of them, as small PNG pictures in text."""

import struct
import zlib
from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..benchmark.pictures import StoredObservations, read_images
from ..benchmark.store import file_of

SIDE = 128
MOST = 60
"""Pictures in one report; the images come before the observations."""


def pictures(bench: Any) -> dict[str, Any]:
    """Data URLs: `images` by name and `observed` as [image, task, URL]; empty where not kept."""
    found: dict[str, Any] = {"images": {}, "observed": []}
    if "images" not in bench.manifest.files:
        return found
    path = file_of(bench.folder, bench.manifest, "images")
    for name, image in read_images(path).items():
        if name in bench.images and len(found["images"]) < MOST:
            found["images"][name] = data_url(image.array)
    observations = StoredObservations(path)
    kept = [pair for pair in bench.pairs if pair in observations]
    for image_name, task in kept[: max(0, MOST - len(found["images"]))]:
        observed = observations[image_name, task].observed
        found["observed"].append([image_name, task, data_url(observed)])
    return found


def data_url(picture: NDArray[np.float32], side: int = SIDE) -> str:
    """A picture as a data URL of a PNG at most `side` pixels long, thinned by whole steps.

    Args:
        picture: (C, H, W) in [0, 1], one channel or three.
        side: Longest side in pixels.

    >>> data_url(np.zeros((1, 2, 2), np.float32))[:30]
    'data:image/png;base64,iVBORw0K'
    """
    step = -(-max(picture.shape[1:]) // side)
    levels = np.clip(picture[:, ::step, ::step] * 255, 0, 255).round().astype(np.uint8)
    return f"data:image/png;base64,{b64encode(_png(levels)).decode('ascii')}"


def _png(levels: NDArray[np.uint8]) -> bytes:
    """(C, H, W) levels as a PNG file (ISO/IEC 15948), its rows unfiltered."""
    channels, height, width = levels.shape
    kind = {1: 0, 3: 2}[channels]
    rows = levels.transpose(1, 2, 0).reshape(height, width * channels)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
