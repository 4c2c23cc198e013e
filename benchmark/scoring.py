"""Scoring the models of a benchmark: streamed, resumable, kept beside its runs."""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..data import PACKAGED, Image, Observation, load_image, parse_task
from ..errors import ScoreError, StoreError, listed_names
from ..evaluate.devices import resolve_device, thread_count
from ..evaluate.registry import get_score
from ..evaluate.scoring import How, check_way, initialisations_of, score_models
from ..scalars import is_count
from ..seeds import checked_seed, generator
from .locking import COMMITTING, PATIENCE_SECONDS, builder_lock
from .parts import list_parts, remove_parts, set_aside
from .pictures import StoredObservations, committed_observations, read_images
from .query import Benchmark
from .schema import Pair
from .scorefiles import SCORES_SCHEMA, commit_scores, committed_scores, first_values
from .store import Manifest, command, file_of, read_manifest, write_table, writing

SCORE_PARTS = "score-parts"
PLACE = ["image", "task", "model", "initialisation"]
"""Of a value of one score, made in one way."""
MODELS_PER_PART = 8
SECONDS_PER_PART = 10.0
"""After so long a part has fewer models, since a killed process loses the one that it is at."""


@dataclass(frozen=True)
class Scored:
    """What a scoring left: the manifest, how many values there are, how many have none."""

    manifest: Manifest
    values: int
    missing: int


def score_store(
    folder: Path | str,
    names: Sequence[str],
    how: How = "table",
    initialisations: int = 32,
    seed: int = 0,
    device: str = "auto",
    sample: int | None = None,
    size: int | None = None,
    retry_failed: bool = False,
    threads: int | None = None,
    on_start: Callable[[int], None] = lambda count: None,
    on_model: Callable[[], None] = lambda: None,
) -> Scored:
    """Score every model of a benchmark on every image and task, and keep the values.

    A value that is there already, made in that way, stays as it is, whatever its seed, which is
    not recorded; of a model that lacks some initialisations those are made from the first that is
    lacking. So a scoring resumes after any end. In an imported benchmark a model that has a value
    is given no other: published values and one's own are not to be averaged.

    Args:
        folder: a finished benchmark.
        names: of the scores.
        how: `table` or `search`, see `evaluate.scoring.score_models`.
        initialisations: per model, for scores that need forward passes; those that need backward
            ones too have at most `evaluate.scoring.COSTLY_INITIALISATIONS`, those that need none
            one.
        seed: of the initialisations that are made.
        device: where networks are run.
        sample: score so many of the models alone, drawn by `seed`.
        size: side in pixels of outputs and pictures, instead of that of the benchmark: the packaged
            pictures of the same names are taken in this size and observed anew. The values are
            kept as made in a way of their own, such as `table-512`.
        retry_failed: try those again that have no value because the score failed.
        threads: initialisations at a time, a CPU thread each; None takes all cores. Values do not
            depend on it.
        on_start: told how many (image, task, model) there are to score.
        on_model: called after each of them.

    Raises:
        StoreError: if there is no benchmark, it lacks pictures, another process scores it, the
            disk is full, or another size is asked for of a picture that is no packaged one.
        ScoreError: if a score or a way is unknown, `sample` or `initialisations` is no count, or
            the seed no whole number.
        DipbenchError: if memory, the device or a package is lacking; what is scored stays.
    """
    folder = Path(folder)
    check_way(how)
    names = [get_score(name).name for name in listed_names("scores", names)]
    if not names:
        raise ScoreError("no scores are given: name some, such as psd_db_strip_mse, or published")
    if not (sample is None or is_count(sample)):
        raise ScoreError(f"a sample of {sample!r} models is none: give a whole number from 1")
    if not is_count(initialisations):
        raise ScoreError(f"{initialisations!r} initialisations score nothing: give 1 or more")
    seed = checked_seed(seed, ScoreError)
    resolve_device(device)
    bench = Benchmark(folder)
    pictures = file_of(folder, bench.manifest, "images")
    images: Mapping[str, Image] = read_images(pictures)
    stored = StoredObservations(pictures)
    bare = [pair for pair in bench.pairs if pair[0] not in images or pair not in stored]
    if bare:
        listed = ", ".join(map(" ".join, bare))
        raise StoreError(
            f"{folder} lacks the picture or the observation of {listed}: import it again with its "
            "images, or score a benchmark that has them"
        )
    observe: Callable[[Pair], Observation] = partial(_observation_now, folder)
    if size is not None:
        images, others = _in_size(bench, images, size)
        observe = others.__getitem__
    suffix = "" if size is None else f"-{size}"
    with writing(folder, "give the same command again"), builder_lock(folder, "scoring"):
        models = _sampled(bench.models, sample, seed)
        least = 1 if bench.manifest.is_imported else initialisations
        held = scores_so_far(folder)
        if retry_failed:
            held = held.filter(pc.field("value").is_valid())
        lacking = {name: _lacking(held, name, how, size, least) for name in names}
        batches = _batches(bench.pairs, models, lacking)
        on_start(sum(len(batch.models) for batch in batches))
        for batch in batches:
            records = score_models(
                batch.models,
                images[batch.image],
                batch.task,
                batch.names,
                how,
                initialisations=initialisations,
                first=batch.first,
                seed=seed,
                protocol=bench.protocol,
                observation=observe((batch.image, batch.task)),
                device=device,
                threads=thread_count(threads),
            )
            # Left by an interrupt it is ended here, not when it is collected, perhaps in a thread.
            with closing(records):
                for part in _parts(row | {"how": row["how"] + suffix} for row in records):
                    rows = list(chain.from_iterable(part))
                    table = pa.Table.from_pylist(rows, schema=SCORES_SCHEMA)
                    write_score_part(folder / SCORE_PARTS, table)
                    for _ in part:
                        on_model()
        return merge_scores(folder)


def _observation_now(folder: Path, pair: Pair) -> Observation:
    """What runs of a pair were trained on.

    Runs may be merged while models are scored, and after two merges the file that was there at the
    start is gone.
    """
    return committed_observations(folder)[pair]


def _in_size(
    bench: Benchmark, images: Mapping[str, Image], size: int
) -> tuple[dict[str, Image], dict[Pair, Observation]]:
    """The benchmark's packaged pictures with another side, and their observations.

    Raises:
        StoreError: if a picture is no packaged one, or the observations came from elsewhere.
    """
    seed, side = bench.manifest.observation_seed, bench.protocol.size
    colours = {name: image.channels == 3 for name, image in images.items()}
    packaged = {name: load_image(name, side, colours[name]) for name in images if name in PACKAGED}
    foreign = [
        name for name in images if name not in packaged or not _alike(images[name], packaged[name])
    ]
    if seed is None or foreign:
        raise StoreError(
            f"{', '.join(foreign or images)} of {bench.folder}: only packaged pictures are known "
            "in another size; score it in its own, without --size"
        )
    others = {name: load_image(name, size, colour) for name, colour in colours.items()}
    return others, {
        (name, task): parse_task(task).observe(others[name], seed) for name, task in bench.pairs
    }


def _alike(one: Image, other: Image) -> bool:
    """Whether two pictures differ by rounding at most, as those of two versions of Pillow may."""
    return one.shape == other.shape and bool(np.allclose(one.array, other.array, atol=1e-3))


def _sampled(models: Sequence[str], count: int | None, seed: int) -> list[str]:
    if count is None or count >= len(models):
        return list(models)
    chosen = generator("sample", seed).choice(len(models), count, replace=False)
    return [models[index] for index in sorted(chosen)]


@dataclass(frozen=True)
class _Batch:
    """Models of an image and task that lack the same scores, from the same initialisation on."""

    image: str
    task: str
    names: tuple[str, ...]
    first: int
    models: list[str]


def _batches(
    pairs: Iterable[Pair],
    models: Sequence[str],
    lacking: Mapping[str, Callable[[str, str, str], int | None]],
) -> list[_Batch]:
    """What is to be done.

    Args:
        pairs: image and task.
        models: to be scored on each.
        lacking: by score, the first initialisation that an image, task and model lack.
    """
    batches: dict[tuple[str, str, tuple[str, ...], int], _Batch] = {}
    for image, task in pairs:
        for model in models:
            firsts = {name: first(image, task, model) for name, first in lacking.items()}
            missing = {name: first for name, first in firsts.items() if first is not None}
            if missing:
                key = image, task, tuple(missing), min(missing.values())
                batches.setdefault(key, _Batch(*key, [])).models.append(model)
    return list(batches.values())


def way_of(name: str, how: str, size: int | None) -> str:
    """How values of a score are made, as it is recorded: such as `table` or `table-512`.

    Scores of the network itself are made in one way alone.
    """
    way = "search" if get_score(name).inputs == "network" else how
    return way if size is None else f"{way}-{size}"


def _lacking(
    held: pa.Table, name: str, how: How, size: int | None, initialisations: int
) -> Callable[[str, str, str], int | None]:
    """The first initialisation of a score that an image, task and model lack, None without one."""
    way, count = way_of(name, how, size), initialisations_of(get_score(name), initialisations)
    own = held.filter((pc.field("score") == name) & (pc.field("how") == way))
    there = {tuple(row.values()) for row in own.select(PLACE).to_pylist()}
    return lambda *place: next((n for n in range(count) if (*place, n) not in there), None)


def _parts(records: Iterable[dict[str, Any]]) -> Iterator[list[list[dict[str, Any]]]]:
    """The records of some models, a list each, as often as a part should be written."""
    begun, part = time.monotonic(), []
    for _, own in groupby(records, key=itemgetter("model")):
        part.append(list(own))
        if len(part) == MODELS_PER_PART or time.monotonic() - begun > SECONDS_PER_PART:
            yield part
            begun, part = time.monotonic(), []
    if part:
        yield part


def scores_so_far(folder: Path) -> pa.Table:
    """The scores that are there: the committed ones, then each part's, in no further order.

    Damaged parts are set aside with a warning.
    """
    tables = [committed_scores(folder)]
    for part in list_parts(folder / SCORE_PARTS):
        # Read before it is judged: a disk that fails says nothing of the part.
        content = BytesIO(part.read_bytes())
        try:
            tables.append(pq.read_table(content, page_checksum_verification=True))
        except (pa.ArrowException, OSError):
            warnings.warn(
                f"a damaged part of the scores is set aside as {set_aside(part)}: "
                f"{command('score', folder)} makes its values again",
                stacklevel=2,
            )
    return pa.concat_tables(tables)


def write_score_part(folder: Path, scores: pa.Table) -> None:
    """Put scores beside the committed ones, for `merge_scores` to commit."""
    folder.mkdir(exist_ok=True)
    write_table(scores, folder / f"{token_hex(8)}.parquet")


def merge_scores(folder: Path) -> Scored:
    """Commit the scores of all parts."""
    with builder_lock(folder, COMMITTING, PATIENCE_SECONDS):
        parts = list_parts(folder / SCORE_PARTS)
        scores = first_values(scores_so_far(folder))
        manifest = commit_scores(folder, scores) if parts else read_manifest(folder)
        remove_parts(parts)
    return Scored(manifest, scores.num_rows, scores["value"].null_count)
