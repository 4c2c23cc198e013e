"""The images of a benchmark and what was observed of them, as small PNG pictures in text."""

import io
from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..benchmark.pictures import StoredObservations, read_images
from ..benchmark.store import file_of
from ..data.imagefiles import pixels

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
    import PIL.Image

    file = io.BytesIO()
    PIL.Image.fromarray(pixels(picture[:, ::step, ::step])).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode('ascii')}"
