"""The scores of a benchmark as a file beside its runs."""

from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .store import Manifest, commit, file_of, read_manifest, read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

SCORES_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("image", pa.string()),
        ("task", pa.string()),
        ("score", pa.string()),
        ("initialisation", pa.int32()),
        ("value", pa.float64()),
        ("how", pa.string()),
        ("reason", pa.string()),
    ]
)
"""A row a model, image, task, score, initialisation and way of making the untrained output;
`value` is null where the score failed, and `reason` says why."""

SCORE_KEYS = ["image", "task", "score", "model", "initialisation", "how"]
"""What identifies a row, in the order of the file's rows."""


def committed_scores(folder: Path) -> pa.Table:
    """The scores that a benchmark holds, an empty table where it holds none.

    Raises:
        StoreError: if there is no benchmark, or the file is damaged.
    """
    manifest = read_manifest(folder)
    if "scores" not in manifest.files:
        return SCORES_SCHEMA.empty_table()
    return read_table(folder, manifest, "scores")


def commit_scores(folder: Path, table: pa.Table) -> Manifest:
    """Make `table` the scores of a new generation with the same runs.

    To be called under the lock `COMMITTING`, as is what `table` was read from.

    Raises:
        StoreError: if there is no benchmark there, or another process changed it meanwhile.
    """
    manifest = read_manifest(folder)
    number = manifest.generation + 1
    path = folder / f"scores-{number}-{token_hex(4)}.parquet"
    write_scores(table, path)
    roles = {role: file_of(folder, manifest, role) for role in manifest.files}
    return commit(
        folder,
        replace(manifest, generation=number),
        {**roles, "scores": path},
        after=manifest.generation,
    )


def write_scores(table: pa.Table, path: Path) -> None:
    """Write scores in the order of their keys."""
    write_table(table.sort_by([(name, "ascending") for name in SCORE_KEYS]), path)


def first_values(scores: pa.Table) -> pa.Table:
    """Of several rows of one identity the first that has a value, else the last.

    >>> rows = [{"score": "x", "value": value} for value in (None, 2.0, 3.0)]
    >>> first_values(pa.Table.from_pylist(rows, schema=SCORES_SCHEMA))["value"].to_pylist()
    [2.0]
    """
    rows = np.arange(scores.num_rows)
    # Of failures the last counts, whose reason is that of the latest attempt.
    places = np.where(pc.is_null(scores["value"]).to_numpy(), 2 * rows.size - rows, rows)
    ordered = scores.take(np.argsort(places))
    placed = ordered.append_column("place", pa.array(rows))
    first = placed.group_by(SCORE_KEYS, use_threads=False).aggregate([("place", "min")])
    return ordered.take(first["place_min"])


def names_by_way(scores: "pd.DataFrame") -> "pd.Series[str]":
    """What each row's score is called: its name, or `name:way` where it was made in two ways.

    Values made in two ways are never mixed, and have one name on every image and task. Those of
    another size than the runs' are always called `name:way`.

    Args:
        scores: all rows of a benchmark, with the columns score and how.

    >>> import pandas as pd
    >>> rows = pd.DataFrame({"score": ["x", "x", "y"], "how": ["table", "search", "table"]})
    >>> names_by_way(rows).tolist()
    ['x:table', 'x:search', 'y']
    >>> names_by_way(rows.assign(how=["table", "table-512", "table"])).tolist()
    ['x', 'x:table-512', 'y']
    """
    of_runs = ~scores["how"].str.contains("-", regex=False).astype(bool)
    ways = scores["how"].where(of_runs).groupby(scores["score"]).transform("nunique")
    return scores["score"].where(of_runs & (ways <= 1), scores["score"] + ":" + scores["how"])
