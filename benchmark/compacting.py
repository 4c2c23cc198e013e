"""A compact copy of a benchmark: small enough to be shipped, its summaries those of the full one.

What is left out: images with tasks, and seeds, of which a model's run is missing or failed; of the
curves what `thinning` leaves out; smoothed outputs. What is added to each run: where each stopping
criterion stops it, replayed on its full curves, which the thinned ones could not tell exactly.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import StoreError
from ..evaluate.stopping import STOPPING
from .hdf5 import published_hdf5
from .merging import Generation, content_sha256
from .pictures import StoredObservations, read_images, write_pictures
from .schema import STOP_COLUMN, USABLE, Pair, Run, RunKey, row_order, runs_schema
from .scorefiles import committed_scores
from .store import CURVE_STRIDE, Manifest, check_writable, commit, file_of, write_table
from .thinning import LEFT_OUT, dataset_name, thinned, thinned_iterations, write_thinned_curves
from .values import stop_of
from .verifying import verify
from .verifying_thinned import thinned_sha256

SCORE_BITS = 16
"""Significant bits that a score keeps, five decimals: the rest would be most of the file."""

Part = tuple[str, str, int | None]
"""An image's name, a task's text form and a seed."""


@dataclass(frozen=True)
class Compacted:
    """What a compact copy holds, and which parts of the benchmark are incomplete and left out."""

    manifest: Manifest
    runs: int
    left_out: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(int(entry["size"]) for entry in self.manifest.files.values())


def compact(
    folder: Path,
    out: Path,
    stride: int = 4,
    *,
    licence: str | None = None,
    card: Mapping[str, str] = MappingProxyType({}),
    initialisations: int | None = None,
) -> Compacted:
    """Make a compact copy of a benchmark; its name is that of its folder.

    Args:
        folder: a benchmark with full curves.
        out: the copy's folder, which must not be there yet.
        stride: of how many iterations one is kept.
        licence: of the data, an SPDX identifier such as `CC-BY-4.0`.
        card: further sections of the dataset card, text by heading.
        initialisations: keep the scores of so many alone.

    Raises:
        StoreError: if the benchmark is damaged, or compact itself, no part of it is complete, or a
            curve cannot be packed.
    """
    _check(folder, out, stride)
    temporary = out.with_name(f".{out.name}.{token_hex(4)}.tmp")
    try:
        temporary.mkdir()
        done = _write(folder, temporary, out.name, stride, licence, card, initialisations)
        problems = verify(temporary)
        if problems:
            raise StoreError(f"the compact copy of {folder} is not sound: {problems[0]}")
        temporary.replace(out)
    except OSError as error:
        raise StoreError(f"cannot write {out} ({error.strerror or error}): make room") from error
    finally:
        rmtree(temporary, ignore_errors=True)
    return done


def complete_parts(entries: Iterable[tuple[RunKey, str]]) -> tuple[list[Part], list[Part]]:
    """The images, tasks and seeds with a run of every model that has any, and the others.

    A run that diverged is one; a failed one, which says nothing of its model, is not.
    """
    held: defaultdict[Part, set[str]] = defaultdict(set)
    models = set()
    for key, status in entries:
        part = key.image, key.task, key.seed
        models.add(key.model)
        held[part] |= {key.model} if status != "failed" else set()
    complete = [part for part in held if held[part] == models]
    return complete, [part for part in held if part not in complete]


def _check(folder: Path, out: Path, stride: int) -> None:
    if stride < 1:
        raise StoreError(f"a stride of {stride} keeps nothing: give 1 or more")
    if out.exists():
        raise StoreError(f"{out} is there already: remove it, or choose another --out")
    check_writable(out.parent)
    problems = verify(folder)
    if problems:
        raise StoreError(
            f"{folder} cannot be copied: {problems[0]} (problem 1 of {len(problems)}: "
            f"`dipbench verify {folder}` lists them)"
        )


def _write(
    folder: Path,
    out: Path,
    name: str,
    stride: int,
    licence: str | None,
    card: Mapping[str, str],
    initialisations: int | None,
) -> Compacted:
    generation = Generation(folder)
    source = generation.manifest
    if source.stride is not None:
        raise StoreError(f"{folder} is compact itself: take the benchmark it was made from")
    parts, left_out = complete_parts(generation.entries)
    if not parts:
        raise StoreError(
            f"{folder} has no image, task and seed with a run of every model: train the rest first"
        )
    keys: defaultdict[Pair, list[RunKey]] = defaultdict(list)
    for key in sorted((key for key, _ in generation.entries), key=row_order):
        if (key.image, key.task, key.seed) in parts:
            keys[key.image, key.task].append(key)
    paths = {role: out / f"{role}-1.{ending}" for role, ending in _ENDINGS.items()}
    tables, digests = [], []
    with published_hdf5(paths["curves"]) as file:
        for (image, task), own in keys.items():
            runs = [generation.run(key) for key in own]
            write_thinned_curves(file, image, task, runs, stride)
            tables.append(_rows(runs))
            digests += _digests(tables[-1], runs, stride)
    write_table(pa.concat_tables(tables, promote_options="default"), paths["runs"])
    _write_pictures(folder, source, list(keys), paths["images"])
    scores = _scores(folder, list(keys), initialisations)
    if scores.num_rows:
        paths["scores"] = out / "scores-1.parquet"
        write_table(scores, paths["scores"])
    further = {**source.further, CURVE_STRIDE: stride, "made_from": source.content_sha256}
    further |= {"licence": licence} if licence else {}
    further |= {"card": dict(card)} if card else {}
    images = {image for image, _ in keys}
    manifest = replace(
        source,
        name=name,
        generation=1,
        tasks=tuple(task for task in source.tasks if task in {task for _, task in keys}),
        images={image: sha256 for image, sha256 in source.images.items() if image in images},
        content_sha256=content_sha256(digests),
        further=further,
    )
    return Compacted(commit(out, manifest, paths), len(digests), tuple(left_out))


_ENDINGS = {"runs": "parquet", "curves": "h5", "images": "h5"}


def _rows(runs: Sequence[Run]) -> pa.Table:
    """The rows of a pair's runs, with where each criterion stops them."""
    rows = [{**run.columns(), **_stops(run), "row": row} for row, run in enumerate(runs)]
    schema = runs_schema(name for row in rows for name in row)
    return pa.Table.from_pylist(rows, schema=schema)


def _stops(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in STOPPING if run.status in USABLE and "psnr_smooth" in run.curves else ():
        psnr, at = stop_of(run.curves, name) or (None, None)
        found |= {f"{STOP_COLUMN}{name}": psnr, f"{STOP_COLUMN}{name}_iteration": at}
    return found


def _digests(rows: pa.Table, runs: Sequence[Run], stride: int) -> list[str]:
    found = []
    for row, run in zip(rows.to_pylist(), runs, strict=True):
        kept = thinned_iterations(row["length"], stride)
        stored = {
            dataset_name(kind): thinned(kind, curve, kept)
            for kind, curve in run.curves.items()
            if kind not in LEFT_OUT
        }
        found.append(thinned_sha256(row, stored))
    return found


def _write_pictures(folder: Path, source: Manifest, pairs: Sequence[Pair], path: Path) -> None:
    held = file_of(folder, source, "images")
    images, observations = read_images(held), StoredObservations(held)
    names = dict.fromkeys(image for image, _ in pairs)
    write_pictures(
        path,
        [images[name] for name in names if name in images],
        {pair: observations[pair] for pair in pairs if pair in observations},
    )


def _scores(folder: Path, pairs: Sequence[Pair], initialisations: int | None) -> pa.Table:
    """The scores of these pairs, rounded."""
    table = committed_scores(folder)
    held = zip(table["image"].to_pylist(), table["task"].to_pylist(), strict=True)
    table = table.filter(pa.array([pair in pairs for pair in held], pa.bool_()))
    if initialisations is not None:
        table = table.filter(pc.field("initialisation") < initialisations)
    values = table["value"].to_numpy().astype(np.float64)
    fractions, exponents = np.frexp(values)
    kept = np.ldexp(np.round(np.ldexp(fractions, SCORE_BITS)), exponents - SCORE_BITS)
    place = table.column_names.index("value")
    return table.set_column(place, "value", pa.array(kept, pa.float64(), mask=np.isnan(kept)))
