"""A compact copy of a benchmark: small enough to be shipped, its summaries those of the full one.

What is left out: images with tasks, and seeds, of which a model's run is missing or failed; of the
curves what `thinning` leaves out; smoothed outputs. What is added to each run: where each stopping
criterion stops it, replayed on its full curves, which the thinned ones could not tell exactly.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from itertools import chain
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..data import Image, Observation, parse_task
from ..errors import StoreError
from ..evaluate.protocol import Protocol
from ..evaluate.stopping import STOPPING
from ..files import sync_folder
from ..scalars import is_count
from .adding import check_alike, origins
from .card import CARD_SECTIONS, LICENCE
from .hdf5 import published_hdf5
from .merging import Generation, Source, choose_sources, content_sha256, refuse_unmerged
from .parts import in_common
from .pictures import StoredObservations, read_images, stored_noise, write_pictures
from .plan import PLAN, read_plan
from .schema import STOP_COLUMN, USABLE, Pair, Run, RunKey, row_order, runs_schema
from .scorefiles import SCORE_KEYS, committed_scores, first_values
from .store import (
    CURVE_STRIDE,
    TOKEN,
    Manifest,
    check_writable,
    commit,
    file_of,
    remove_leftovers,
    write_table,
    writing,
)
from .thinning import thinned_curves, thinned_iterations, write_thinned_curves
from .values import stop_of
from .verifying import refuse_unsound, verify
from .verifying_thinned import thinned_sha256

SCORE_BITS = 16
"""Significant bits that a score keeps, five decimals: the rest would be most of the file."""

MADE_FROM = "made_from"
"""What the manifest calls the content hashes of the full benchmarks."""

Sweep = tuple[str, str, int | None]
"""An image's name, a task's text form and a seed."""


@dataclass(frozen=True)
class Compacted:
    """What a compact copy holds, and which sweeps of the benchmark are incomplete and left out."""

    manifest: Manifest
    runs: int
    left_out: tuple[Sweep, ...]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(int(entry["size"]) for entry in self.manifest.files.values())


def compact(
    folders: Path | str | Sequence[Path | str],
    out: Path | str,
    stride: int = 4,
    *,
    licence: str | None = None,
    card: Mapping[str, str] = MappingProxyType({}),
    initialisations: int | None = None,
) -> Compacted:
    """Make a compact copy of a benchmark, or one of several; its name is that of its folder.

    One that is compact already can be among them, so that a copy grows by what was trained since;
    at its own stride its runs stay as they are, to the bit.

    Args:
        folders: benchmarks of one protocol, observation seed and images.
        out: the copy's folder, which must not be there yet.
        stride: of how many iterations one is kept; a multiple of that of a compact one.
        licence: of the data, an SPDX identifier such as `CC-BY-4.0`.
        card: further sections of the dataset card, text by heading.
        initialisations: keep the scores of so many alone.

    Raises:
        StoreError: if a benchmark is damaged or holds runs that are not merged yet, they do not go
            together, the stride is none of theirs, no sweep of them is complete, or a curve cannot
            be packed.
    """
    given = [folders] if isinstance(folders, (Path, str)) else folders
    out = Path(out)
    sources = _open([Path(folder) for folder in given], out, stride, initialisations)
    remove_leftovers(out.parent, [f".{escape(out.name)}.{TOKEN}.tmp"])  # of copying that was killed
    temporary = out.with_name(f".{out.name}.{token_hex(4)}.tmp")
    try:
        with writing(out.parent, "give the same command again"):
            temporary.mkdir()
            further: dict[str, Any] = {LICENCE: licence} if licence else {}
            further |= {CARD_SECTIONS: dict(card)} if card else {}
            done = _write(sources, temporary, out.name, stride, further, initialisations)
            problems = verify(temporary)
            if problems:
                raise StoreError(f"the compact copy {out} is not sound: {problems[0]}")
            temporary.replace(out)
        sync_folder(out.parent)
    finally:
        rmtree(temporary, ignore_errors=True)
    return done


def complete_sweeps(
    entries: Iterable[tuple[RunKey, str]], planned: Iterable[RunKey] = ()
) -> tuple[list[Sweep], list[Sweep]]:
    """The images, tasks and seeds with a run of every model, and the others.

    A run that diverged is one; a failed one, which says nothing of its model, is not.

    Args:
        entries: key and status of each run.
        planned: runs that there are to be.
    """
    held: defaultdict[Sweep, set[str]] = defaultdict(set)
    models = set()
    for key, status in chain(entries, ((key, "failed") for key in planned)):
        models.add(key.model)
        held[key.image, key.task, key.seed] |= {key.model} if status != "failed" else set()
    complete = [sweep for sweep in held if held[sweep] == models]
    return complete, [sweep for sweep in held if sweep not in complete]


def _open(
    folders: Sequence[Path], out: Path, stride: int, initialisations: int | None
) -> list[Generation]:
    """The benchmarks, checked."""
    if not is_count(stride):
        raise StoreError(f"a stride of {stride!r} keeps nothing: give a whole number from 1")
    if initialisations is not None and not is_count(initialisations):
        raise StoreError(f"{initialisations!r} initialisations keep no score: give 1 or more")
    if not folders:
        raise StoreError("no benchmark is given that a compact copy could be made of: name one")
    if out.exists():
        raise StoreError(f"{out} is there already: remove it, or choose another --out")
    sources: list[Generation] = []
    for folder in folders:
        refuse_unmerged(folder)
        refuse_unsound(folder, "copied")
        source = Generation(folder)
        held = source.manifest.stride
        if held is not None and stride % held:
            raise StoreError(
                f"{folder} keeps one in {held} iterations, so not one in {stride}: take a multiple "
                "of its stride, or the benchmark that it was made from"
            )
        for other in sources:
            check_alike(other, source)
        sources.append(source)
    check_writable(out.parent)
    return sources


def _write(
    sources: Sequence[Generation],
    out: Path,
    name: str,
    stride: int,
    further: Mapping[str, Any],
    initialisations: int | None,
) -> Compacted:
    planned = chain.from_iterable(
        read_plan(source.folder).run_keys()
        for source in sources
        if (source.folder / PLAN).is_file()
    )
    entries = chain.from_iterable(source.entries for source in sources)
    sweeps, left_out = complete_sweeps(entries, planned)
    if not sweeps:
        listed = ", ".join(str(source.folder) for source in sources)
        raise StoreError(
            f"{listed}: no image, task and seed has a run of every model: train the rest first"
        )
    by_pair: defaultdict[Pair, list[RunKey]] = defaultdict(list)
    chosen = choose_sources({}, sources)
    for key in sorted(chosen, key=row_order):
        if (key.image, key.task, key.seed) in sweeps:
            by_pair[key.pair].append(key)
    paths = {role: out / f"{role}-1.{ending}" for role, ending in _ENDINGS.items()}
    tables: list[pa.Table] = []
    digests: list[str] = []
    with published_hdf5(paths["curves"]) as file:
        for (image, task), keys in by_pair.items():
            first = chosen[keys[0]]
            assert isinstance(first, Generation)
            pictures = file_of(first.folder, first.manifest, "images")
            noise = stored_noise(pictures, (image, task))
            runs = [_run(chosen[key], key, stride, noise) for key in keys]
            rows = [{**row, "row": place} for place, (row, _) in enumerate(runs)]
            schema = runs_schema(column for row in rows for column in row)
            tables.append(pa.Table.from_pylist(rows, schema=schema))
            stored = [own for _, own in runs]
            write_thinned_curves(file, image, task, [row["length"] for row in rows], stored, stride)
            digests += map(thinned_sha256, tables[-1].to_pylist(), stored)
    write_table(pa.concat_tables(tables, promote_options="default"), paths["runs"])
    _write_pictures(sources, list(by_pair), paths["images"])
    scores = _scores(sources, list(by_pair), initialisations)
    if scores.num_rows:
        paths["scores"] = out / "scores-1.parquet"
        write_table(scores, paths["scores"])
    manifest = _manifest(sources, list(by_pair), name)
    manifest = replace(
        manifest,
        content_sha256=content_sha256(digests),
        further={**manifest.further, CURVE_STRIDE: stride, **further},
    )
    return Compacted(commit(out, manifest, paths), len(digests), tuple(left_out))


_ENDINGS = {"runs": "parquet", "curves": "h5", "images": "h5"}


def _run(
    source: Source, key: RunKey, stride: int, noise: float | None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The row of a run, and what is stored of its curves."""
    assert isinstance(source, Generation)
    run = source.run(key)
    row = run.columns()
    kept = thinned_iterations(row["length"], stride)
    if source.manifest.stride is None:
        protocol = Protocol.from_record(source.manifest.protocol)
        return {**row, **_stops(run, noise, protocol)}, thinned_curves(run, kept)
    return row, thinned_curves(run, (kept + 1) // source.manifest.stride - 1)


def _manifest(sources: Sequence[Generation], pairs: Sequence[Pair], name: str) -> Manifest:
    """What the sources have in common, of these images and tasks."""
    manifests = [source.manifest for source in sources]
    images = {image: sha256 for one in manifests for image, sha256 in one.images.items()}
    tasks = dict.fromkeys(task for one in manifests for task in one.tasks)
    named, asked = {image for image, _ in pairs}, {task for _, task in pairs}
    made_from = {one.content_sha256 for one in manifests if one.stride is None}
    made_from |= {content for one in manifests for content in one.further.get(MADE_FROM, ())}
    further = {key: value for one in reversed(manifests) for key, value in one.further.items()}
    return replace(
        manifests[0],
        name=name,
        generation=1,
        tasks=tuple(task for task in tasks if task in asked),
        images={image: sha256 for image, sha256 in images.items() if image in named},
        environment=in_common(one.environment for one in manifests),
        further={**further, **origins(*manifests), MADE_FROM: sorted(made_from)},
    )


def _stops(run: Run, noise: float | None, protocol: Protocol) -> dict[str, Any]:
    length = max(map(len, run.curves.values()), default=0)
    planned = protocol.planned_length(parse_task(run.key.task).kind, run.status, length)
    found: dict[str, Any] = {}
    for name in STOPPING if run.status in USABLE and "psnr_smooth" in run.curves else ():
        stop = stop_of(run.curves, name, noise, planned, protocol.variance_alpha)
        psnr, at = stop or (None, None)
        found |= {f"{STOP_COLUMN}{name}": psnr, f"{STOP_COLUMN}{name}_iteration": at}
    return found


def _write_pictures(sources: Sequence[Generation], pairs: Sequence[Pair], path: Path) -> None:
    names = {image for image, _ in pairs}
    images: dict[str, Image] = {}
    observations: dict[Pair, Observation] = {}
    for source in sources:
        held = file_of(source.folder, source.manifest, "images")
        images |= {name: image for name, image in read_images(held).items() if name in names}
        stored = StoredObservations(held)
        observations |= {pair: stored[pair] for pair in pairs if pair in stored}
    write_pictures(path, images.values(), observations)


def _scores(
    sources: Sequence[Generation], pairs: Sequence[Pair], initialisations: int | None
) -> pa.Table:
    """The scores of these pairs, rounded; of those that several sources hold the first value."""
    tables = [committed_scores(source.folder) for source in sources]
    table = first_values(pa.concat_tables(tables, promote_options="default"))
    if initialisations is not None:
        table = table.filter(pc.field("initialisation") < initialisations)
    of_pairs = zip(table["image"].to_pylist(), table["task"].to_pylist(), strict=True)
    table = table.filter(pa.array([pair in pairs for pair in of_pairs], pa.bool_()))
    values = table["value"].to_numpy().astype(np.float64)
    fractions, exponents = np.frexp(values)
    kept = np.ldexp(np.round(np.ldexp(fractions, SCORE_BITS)), exponents - SCORE_BITS)
    place = table.column_names.index("value")
    table = table.set_column(place, "value", pa.array(kept, pa.float64(), mask=np.isnan(kept)))
    return table.sort_by([(name, "ascending") for name in SCORE_KEYS])
