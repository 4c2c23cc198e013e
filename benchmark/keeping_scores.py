"""Scores kept between the sittings of a long build, a file an image and task, beside the runs.

They are of untrained networks, so that those made of some models, or beside one seed's runs, are
good for all of them.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import StoreError, one_line
from .keeping import matching_record, write_record
from .locking import COMMITTING, PATIENCE_SECONDS, builder_lock
from .query import Benchmark
from .schema import Pair
from .scorefiles import SCORE_KEYS, SCORES_SCHEMA, committed_scores, first_values, write_scores
from .scoring import SCORE_PARTS, merge_scores, scores_so_far, write_score_part
from .store import check_writable, writing


def keep_scores(folder: Path, kept: Path) -> int:
    """Keep the scores of a benchmark that are not kept yet; it can be repeated.

    Args:
        folder: a finished benchmark; it may be scored meanwhile.
        kept: of the files; made where it is not there.

    Returns:
        How many values were added.

    Raises:
        StoreError: if there is no benchmark, `kept` holds what is of another protocol, observation
            seed or image, or it is damaged.
    """
    bench = Benchmark(folder)
    check_writable(kept)
    with writing(kept, "keep them again"), builder_lock(kept, "keep", PATIENCE_SECONDS):
        record = _matching_record(kept, bench)
        with builder_lock(folder, COMMITTING, PATIENCE_SECONDS):
            scores = scores_so_far(folder)
        write_record(kept, record)
        return sum(_keep_pair(scores, kept, pair) for pair in bench.pairs)


def restore_scores(kept: Path, folder: Path) -> int:
    """Give a benchmark those of the kept scores that its models lack; it can be repeated.

    Args:
        kept: what `keep_scores` filled.
        folder: a finished benchmark.

    Returns:
        How many values it was given: none where none are kept yet.

    Raises:
        StoreError: if there is no benchmark, or what is kept is damaged, or of another protocol,
            observation seed or image.
    """
    bench = Benchmark(folder)
    _matching_record(kept, bench)
    models = pa.array(bench.models, pa.string())
    with writing(folder, "take them up again"), builder_lock(folder, "scoring"):
        held = scores_so_far(folder)
        kept_rows = pa.concat_tables([_read(kept, pair) for pair in bench.pairs])
        mine = kept_rows.filter(pc.is_in(kept_rows["model"], models))
        new = _lacking(mine, held)
        count: int = new.num_rows
        if count:
            write_score_part(folder / SCORE_PARTS, new)
            merge_scores(folder)
    return count


def drop_scores(kept: Path, folder: Path, pair: Pair) -> None:
    """Drop of the kept scores of an image and task those that a benchmark holds.

    Raises:
        StoreError: if there is no benchmark, or what is kept is damaged.
    """
    path = scores_of(kept, pair)
    if not path.is_file():
        return
    with writing(kept, "drop them again"), builder_lock(kept, "keep", PATIENCE_SECONDS):
        left = _lacking(_read(kept, pair), committed_scores(folder))
        if left.num_rows:
            write_scores(left, path)
        else:
            path.unlink()


def _matching_record(kept: Path, bench: Benchmark) -> dict[str, Any]:
    manifest = bench.manifest
    return matching_record(kept, bench.protocol, manifest.observation_seed, manifest.images)


def _lacking(rows: pa.Table, held: pa.Table) -> pa.Table:
    """Those of the rows that are not held; a value counts for more than a failure that is."""
    valued = pc.field("value").is_valid()
    values = _without(rows.filter(valued), held.filter(valued))
    return pa.concat_tables([values, _without(rows.filter(~valued), held)])


def _without(rows: pa.Table, held: pa.Table) -> pa.Table:
    others = rows.join(held.select(SCORE_KEYS), SCORE_KEYS, join_type="left anti")
    return others.select(SCORES_SCHEMA.names)


def scores_of(kept: Path, pair: Pair) -> Path:
    """Where the scores of an image and task are kept."""
    image, task = pair
    return kept / image / task / "scores.parquet"


def _keep_pair(scores: pa.Table, kept: Path, pair: Pair) -> int:
    image, task = pair
    held = _read(kept, pair)
    own = scores.filter((pc.field("image") == image) & (pc.field("task") == task))
    merged = first_values(pa.concat_tables([held, own]))
    added: int = merged.num_rows - held.num_rows
    if added or merged["value"].null_count < held["value"].null_count:
        path = scores_of(kept, pair)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_scores(merged, path)
    return added


def _read(kept: Path, pair: Pair) -> pa.Table:
    path = scores_of(kept, pair)
    if not path.is_file():
        return SCORES_SCHEMA.empty_table()
    try:
        return pq.read_table(path.absolute(), page_checksum_verification=True).cast(SCORES_SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(
            f"{path} is damaged ({one_line(error)}): restore it from a copy"
        ) from error
