"""Merging finished runs, from parts and from the generation before, into a new generation."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from ..data import Image, Observation
from ..errors import StoreError
from .curves import CurvesReader, write_curves
from .hdf5 import published_hdf5
from .parts import (
    finished_keys,
    in_common,
    list_parts,
    read_made,
    read_part,
    remove_parts,
    table_keys,
)
from .pictures import (
    LazyObservations,
    StoredObservations,
    read_images,
    read_outputs,
    write_outputs,
    write_pictures,
)
from .schema import Pair, Run, RunKey, row_order, runs_schema, supersedes
from .scorefiles import write_scores
from .store import (
    MANIFEST,
    PARTS,
    Manifest,
    command,
    commit,
    file_of,
    read_manifest,
    read_table,
    write_table,
)


def merge(
    folder: Path,
    blank: Manifest,
    images: Iterable[Image],
    observations: Mapping[Pair, Observation],
    others: Sequence["Generation"] = (),
    scores: pa.Table | None = None,
    pending: Iterable[Path] | None = None,
    facts: Mapping[RunKey, Mapping[str, Any]] = MappingProxyType({}),
) -> Manifest:
    """Write the runs of all parts, and of the generation before, as a new generation.

    To be called under the lock `COMMITTING`.

    A usable run is never replaced by a failed one, nor by a second usable one. Once the new
    generation is committed, the parts that it holds are removed. Damaged parts are set aside with
    a warning.

    Args:
        folder: the benchmark.
        blank: the manifest but for generation, content hash and files.
        images: the images of the runs; those of the generation before are kept.
        observations: what the runs were trained on; those of the generation before are kept.
        others: generations of other benchmarks whose runs are taken in.
        scores: of the new generation; None keeps those of the one before.
        pending: the parts that are taken in; None for all of the folder.
        facts: by run, those that came after it; they go before what its record says.

    Raises:
        StoreError: if there are no runs, the generation before is damaged or compact, or another
            process changed the benchmark meanwhile.
    """
    before = Generation(folder) if (folder / MANIFEST).is_file() else None
    number = before.manifest.generation + 1 if before else 1
    parts, damaged = finished_keys(list_parts(folder / PARTS) if pending is None else pending)
    for path in damaged:
        warnings.warn(
            f"a damaged part is set aside as {path}: {command('train --out', folder)} makes its "
            "runs again",
            stacklevel=2,
        )
    generations = [*([before] if before else []), *others]
    refuse_compact(folder, generations)
    sources = choose_sources(parts, generations)
    if not sources:
        raise StoreError(f"{folder} holds no undamaged runs: run {command('train --out', folder)}")
    # Names of this merging alone: another one at the same time would write over its files.
    own = f"{number}-{token_hex(4)}"
    paths = {
        "runs": folder / f"runs-{own}.parquet",
        "curves": folder / f"curves-{own}.h5",
        "images": folder / f"images-{own}.h5",
    }
    # Parts that only say why runs could not be made leave the environment as it was.
    otherwise = before.manifest.environment if parts and before else blank.environment
    blank = replace(blank, environment=_environment(parts, blank.environment, otherwise))
    content = _write_runs(paths["runs"], paths["curves"], sources, facts)
    images, observations, blank = _with_those_before(folder, before, images, observations, blank)
    write_pictures(paths["images"], images, observations)
    outputs = _outputs(sources)
    first = next(outputs, None)
    if first is not None:
        paths["outputs"] = folder / f"outputs-{own}.h5"
        write_outputs(paths["outputs"], chain([first], outputs))
    if scores is not None:
        paths["scores"] = folder / f"scores-{own}.parquet"
        write_scores(scores, paths["scores"])
    elif before and "scores" in before.manifest.files:
        paths["scores"] = file_of(folder, before.manifest, "scores")
    further = {**(before.manifest.further if before else {}), **blank.further}
    manifest = commit(
        folder,
        replace(blank, generation=number, content_sha256=content, further=further),
        paths,
        after=number - 1,
    )
    remove_parts(parts)
    return manifest


def _write_runs(
    table: Path,
    curves: Path,
    sources: Mapping[RunKey, "Source"],
    facts: Mapping[RunKey, Mapping[str, Any]],
) -> str:
    """Write the table of the runs and their curves, a pair at a time; return the content hash."""
    tables: list[pa.Table] = []
    digests: list[str] = []
    with published_hdf5(curves) as file:
        ordered = sorted(sources, key=row_order)
        for (image, task), keys in groupby(ordered, key=lambda key: key.pair):
            runs = [
                replace(run, facts={**run.facts, **facts.get(run.key, {})})
                for run in load_runs(list(keys), sources)
            ]
            write_curves(file, image, task, [run.curves for run in runs])
            tables.append(_rows(runs))
            digests += [run_sha256(run) for run in runs]
    write_table(pa.concat_tables(tables, promote_options="default"), table)
    return content_sha256(digests)


class Generation:
    """The runs of a committed generation, to be read again.

    Args:
        folder: a benchmark that holds one.

    Attributes:
        folder: that benchmark.
        manifest: of it.
        entries: key and status of each run.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest = read_manifest(folder)
        self._rows = read_table(folder, self.manifest, "runs")
        self._curves = CurvesReader(file_of(folder, self.manifest, "curves"))
        self.folder = folder
        self.entries = table_keys(self._rows)
        self._index = {key: index for index, (key, _) in enumerate(self.entries)}

    def run(self, key: RunKey) -> Run:
        """One run with its curves, without its output."""
        row = self._rows.slice(self._index[key], 1).to_pylist()[0]
        curves = self._curves.of_run(key.image, key.task, row.pop("row"))
        facts = {name: value for name, value in row.items() if name not in RunKey._fields}
        status, reason = facts.pop("status"), facts.pop("reason")
        return Run(key, status, reason, curves, facts)

    def outputs(self) -> Iterator[tuple[RunKey, np.ndarray]]:
        """The smoothed outputs that are kept, one after the other."""
        if "outputs" in self.manifest.files:
            yield from read_outputs(file_of(self.folder, self.manifest, "outputs"))


def refuse_compact(folder: Path, generations: Iterable[Generation]) -> None:
    """See that full curves are there.

    Raises:
        StoreError: if a generation is compact, so that runs with it would not be comparable.
    """
    if any(generation.manifest.stride is not None for generation in generations):
        raise StoreError(
            f"{folder} cannot take in runs with a compact benchmark's, whose curves lack "
            "iterations: go on with the benchmark that the compact one was made from"
        )


def refuse_unmerged(folder: Path) -> None:
    """See that all runs of a benchmark are in its generation.

    Raises:
        StoreError: if parts hold further ones.
    """
    if list_parts(folder / PARTS):
        raise StoreError(
            f"{folder} holds runs that are not merged yet: {command('finish', folder)} does it"
        )


def _environment(
    parts: Mapping[Path, Sequence[tuple[RunKey, str]]],
    own: Mapping[str, str],
    otherwise: Mapping[str, str],
) -> Mapping[str, str]:
    """What the runs of some parts have in common; of a part that says nothing, this process's own.

    What only says why runs could not be made does not count; where there is nothing else, it is
    `otherwise`.
    """
    told = [
        environment_of(part)
        for part, entries in parts.items()
        if any(status != "failed" for _, status in entries)
    ]
    return in_common(own if each is None else each for each in told) if told else otherwise


Source = Path | Generation
"""The part or the generation that a run is read from."""


def environment_of(source: Source) -> Mapping[str, str] | None:
    """What the runs of a source have in common; None where it does not say."""
    if isinstance(source, Generation):
        return source.manifest.environment
    environment: Mapping[str, str] | None = read_made(source).get("environment")
    return environment


def _with_those_before(
    folder: Path,
    before: Generation | None,
    images: Iterable[Image],
    observations: Mapping[Pair, Observation],
    blank: Manifest,
) -> tuple[Iterable[Image], Mapping[Pair, Observation], Manifest]:
    """The pictures of a new generation: nothing that the one before holds gets lost."""
    if before is None:
        return images, observations, blank
    # What the runs have in common, not what the last of them were made with.
    shared = in_common([before.manifest.environment, blank.environment])
    blank = replace(blank, environment=shared)
    if "images" not in before.manifest.files:
        return images, observations, blank
    path = file_of(folder, before.manifest, "images")
    kept = [image for name, image in read_images(path).items() if name not in blank.images]
    complete = replace(
        blank,
        images={**blank.images, **{image.name: image.sha256 for image in kept}},
        tasks=tuple(dict.fromkeys([*blank.tasks, *before.manifest.tasks])),
    )
    stored = StoredObservations(path)
    makers = {pair: partial(observations.__getitem__, pair) for pair in observations}
    makers |= {pair: partial(stored.__getitem__, pair) for pair in stored if pair not in makers}
    return chain(images, kept), LazyObservations(makers), complete


def choose_sources(
    parts: Mapping[Path, Sequence[tuple[RunKey, str]]], generations: Sequence[Generation]
) -> dict[RunKey, Source]:
    """Where each run is read from: of several records the first that came furthest.

    Of a run that was merged as failed and failed again, it is the later record.
    """
    statuses: dict[RunKey, str] = {}
    sources: dict[RunKey, Source] = {}
    listed: list[tuple[Source, Sequence[tuple[RunKey, str]]]] = [
        *((generation, generation.entries) for generation in generations),
        *parts.items(),
    ]
    for source, entries in listed:
        for key, status in entries:
            again = isinstance(source, Path) and isinstance(sources.get(key), Generation)
            if supersedes(status, statuses.get(key)) or (
                again and status == statuses[key] == "failed"
            ):
                statuses[key], sources[key] = status, source
    return sources


def load_runs(keys: Sequence[RunKey], sources: Mapping[RunKey, Source]) -> list[Run]:
    """The runs of `keys`, in their order, without their outputs; each part is read once."""
    by_part: dict[Path, list[Run]] = {
        part: [replace(run, output=None) for run in read_part(part)]
        for part in {sources[key] for key in keys}
        if isinstance(part, Path)
    }
    from_parts = {(part, run.key): run for part, runs in by_part.items() for run in runs}
    found = []
    for key in keys:
        source = sources[key]
        found.append(from_parts[source, key] if isinstance(source, Path) else source.run(key))
    return found


def _outputs(sources: Mapping[RunKey, Source]) -> Iterator[tuple[RunKey, np.ndarray]]:
    """The outputs of the chosen runs, a part at a time: all may be more than the memory."""
    for source in dict.fromkeys(sources.values()):
        for key, output in _outputs_of(source):
            if sources.get(key) == source:
                yield key, output


def _outputs_of(source: Source) -> Iterator[tuple[RunKey, np.ndarray]]:
    if isinstance(source, Generation):
        yield from source.outputs()
        return
    for run in read_part(source):
        if run.output is not None:
            yield run.key, run.output


def _rows(runs: Sequence[Run]) -> pa.Table:
    rows = [{**run.columns(), "row": row} for row, run in enumerate(runs)]
    schema = runs_schema(name for row in rows for name in row)
    return pa.Table.from_pylist(rows, schema=schema)


def content_sha256(runs: Iterable[str]) -> str:
    """The hash of a benchmark from those of its runs, whatever their order."""
    return hashlib.sha256("".join(sorted(runs)).encode()).hexdigest()


def run_sha256(run: Run) -> str:
    """SHA-256 over a run's key, status and curves, and so over its summaries too."""
    digest = hashlib.sha256(repr((*run.key, run.status)).encode())
    for kind in sorted(kind for kind, curve in run.curves.items() if len(curve)):
        digest.update(kind.encode())
        digest.update(np.ascontiguousarray(run.curves[kind], dtype="<f4").tobytes())
    return digest.hexdigest()
