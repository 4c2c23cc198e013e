"""Images and observations in a file, on the 16-bit grid that their hashes are taken over."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from ..data import Image, Observation, parse_task
from ..data.quantisation import dequantise, quantise
from ..errors import StoreError, TaskError
from .hdf5 import opened_hdf5, published_hdf5
from .schema import Pair, RunKey
from .store import file_of, find_manifest


def write_pictures(
    path: Path, images: Iterable[Image], observations: Mapping[Pair, Observation]
) -> None:
    """Publish a file of images and of the observations that are trained on."""
    with published_hdf5(path) as file:
        for image in images:
            data = _write_levels(file, f"images/{image.name}", image.array)
            data.attrs["sha256"] = image.sha256
        for (name, task), observation in observations.items():
            group = file.create_group(f"observations/{name}/{task}")
            group.attrs["sha256"] = observation.sha256
            group.attrs["zoom"] = observation.zoom
            _write_levels(group, "observed", observation.observed)
            if observation.mask is not None:
                mask = np.asarray(observation.mask, np.uint8)
                group.create_dataset("mask", data=mask, compression="gzip", fletcher32=True)


def read_images(path: Path) -> dict[str, Image]:
    """The images by name, their hashes checked.

    Raises:
        StoreError: if the file is damaged or an image differs from its hash.
    """
    with opened_hdf5(path) as file:
        return {name: _image(path, file, name) for name in file.get("images", {})}


def read_image(path: Path, name: str) -> Image:
    """One image, its hash checked.

    Raises:
        StoreError: if the file does not hold it or is damaged, or it differs from its hash.
    """
    with opened_hdf5(path) as file:
        if name not in file.get("images", {}):
            raise StoreError(f"{path} holds no image {name}")
        return _image(path, file, name)


def _image(path: Path, file: h5py.File, name: str) -> Image:
    stored = file["images"][name]
    image = Image(name, _read_levels(stored))
    _check(path, name, image.sha256, stored.attrs["sha256"])
    return image


class LazyObservations(Mapping[Pair, Observation]):
    """Observations that are made when asked for, so that never two need be in memory.

    Args:
        makers: By pair, what makes the observation.
    """

    def __init__(self, makers: Mapping[Pair, Callable[[], Observation]]) -> None:
        self._makers = makers

    def __getitem__(self, pair: Pair) -> Observation:
        return self._makers[pair]()

    def __contains__(self, pair: object) -> bool:
        return pair in self._makers  # a mapping's own would make it

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class StoredObservations(LazyObservations):
    """The observations of a file.

    Args:
        path: of a file that `write_pictures` wrote.
    """

    def __init__(self, path: Path) -> None:
        with opened_hdf5(path) as file:
            images = file.get("observations", {})
            pairs = [(image, task) for image, tasks in images.items() for task in tasks]
        super().__init__({pair: partial(read_observation, path, pair) for pair in pairs})


def committed_observations(folder: Path) -> Mapping[Pair, Observation]:
    """What the runs of the benchmark in a folder were trained on; none without a benchmark."""
    manifest = find_manifest(folder)
    if manifest is None or "images" not in manifest.files:
        return {}
    return StoredObservations(file_of(folder, manifest, "images"))


def read_observation(path: Path, pair: Pair) -> Observation:
    """The observation that runs on (image, task) were trained on.

    Raises:
        StoreError: if the file does not hold it or it differs from its hash.
    """
    with opened_hdf5(path) as file:
        where = f"observations/{pair[0]}/{pair[1]}"
        if where not in file:
            raise StoreError(f"{path} holds no observation of {pair[0]}, {pair[1]}")
        group = file[where]
        mask = group["mask"][()].astype(bool) if "mask" in group else None
        observation = Observation(_read_levels(group["observed"]), mask, int(group.attrs["zoom"]))
        _check(path, where, observation.sha256, group.attrs["sha256"])
    return observation


def stored_noise(path: Path, pair: Pair) -> float | None:
    """The mean squared noise of an observation in a file; None where it is not known.

    Raises:
        StoreError: if the file is damaged.
    """
    stored = StoredObservations(path)
    try:
        task = parse_task(pair[1])
    except TaskError:
        # A task whose text does not tell all of it has no noise that it could tell.
        return None
    return task.mean_squared_noise(stored[pair]) if pair in stored else None


def write_outputs(path: Path, outputs: Iterable[tuple[RunKey, np.ndarray]]) -> None:
    """Publish the smoothed outputs of runs, float16 (C, H, W) each, one after the other."""
    with published_hdf5(path) as file:
        for number, (key, output) in enumerate(outputs):
            data = file.create_dataset(
                str(number), data=output, compression="gzip", fletcher32=True
            )
            data.attrs.update(
                {name: value for name, value in key._asdict().items() if value is not None}
            )


def read_outputs(path: Path) -> Iterator[tuple[RunKey, np.ndarray]]:
    """The runs and their smoothed outputs, one after the other: all may be more than the memory.

    Raises:
        StoreError: if the file is damaged.
    """
    with opened_hdf5(path) as file:
        for data in file.values():
            yield RunKey(*(data.attrs.get(name) for name in RunKey._fields)), data[()]


def count_outputs(path: Path) -> int:
    """How many runs have an output in the file.

    Raises:
        StoreError: if the file is damaged.
    """
    with opened_hdf5(path) as file:
        return len(file)


def _write_levels(group: h5py.Group, name: str, array: np.ndarray) -> h5py.Dataset:
    return group.create_dataset(
        name, data=quantise(array), compression="gzip", shuffle=True, fletcher32=True
    )


def _read_levels(data: h5py.Dataset) -> np.ndarray:
    return dequantise(data[()])


def _check(path: Path, name: str, actual: str, recorded: str) -> None:
    if actual != recorded:
        raise StoreError(f"{path}: {name} differs from its recorded SHA-256; restore the file")
