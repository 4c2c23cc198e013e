"""The runs of an open benchmark as arrays: names as codes, one slice of rows an (image, task)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import QueryError, StoreError, unknown
from .schema import RUNS_SCHEMA, USABLE, Pair, is_summary, model_order

UNKNOWN_SEED = -1.0
"""Stands before all seeds, which are not negative."""


@dataclass(frozen=True)
class PairRuns:
    """The runs of one (image, task).

    Attributes:
        span: its rows of the file.
        rows: int (models, seeds), the row of each run within `span`, -1 where there is none.
        seeds: of the second axis; None stands for a published run, whose seed is not known.
    """

    span: slice
    rows: np.ndarray
    seeds: tuple[int | None, ...]

    def seed_index(self, seed: int) -> int:
        """Where `seed` stands on the second axis.

        Raises:
            QueryError: if there is no run with it.
        """
        if seed not in self.seeds:
            raise QueryError(unknown("seed", seed, self.seeds))
        return self.seeds.index(seed)


class Runs:
    """The rows of a runs file, which are sorted by image, task, model and seed.

    Args:
        table: in the form of `RUNS_SCHEMA`, its texts best as dictionaries.

    Raises:
        StoreError: if it is not.
    """

    def __init__(self, table: pa.Table) -> None:
        for field in RUNS_SCHEMA:
            held = _type(table, field.name)
            if held != field.type:
                raise StoreError(
                    f"the runs' column {field.name} is {held or 'missing'} instead of "
                    f"{field.type}: this is no runs file, restore it from a copy"
                )
        self.table = table.unify_dictionaries()
        self._columns: dict[str, np.ndarray] = {}
        self._pairs: dict[Pair, PairRuns] = {}

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Text forms of the models, genotypes in their own order first."""
        names, codes = self._named("model")
        longest = max(
            self.spans.values(), key=lambda span: span.stop - span.start, default=slice(0)
        )
        # Rows are sorted, so that a pair with all models shows their order; parsing takes longer.
        found, first = np.unique(codes[longest], return_index=True)
        if len(found) == len(names):
            return tuple(names[code] for code in found[np.argsort(first)].tolist())
        return tuple(sorted(names, key=model_order))

    @cached_property
    def model_index(self) -> dict[str, int]:
        """Where each model stands in `models`."""
        return {model: index for index, model in enumerate(self.models)}

    @cached_property
    def codes(self) -> np.ndarray:
        """Int (rows,): where the model of each row stands in `models`."""
        names, codes = self._named("model")
        found: np.ndarray = np.array([self.model_index[name] for name in names], np.int64)[codes]
        return found

    @cached_property
    def spans(self) -> dict[Pair, slice]:
        """The rows of each (image, task)."""
        images, image = self._named("image")
        tasks, task = self._named("task")
        starts = np.flatnonzero(
            (np.diff(image, prepend=-1) != 0) | (np.diff(task, prepend=-1) != 0)
        )
        ends = [*starts[1:].tolist(), len(image)]
        return {
            (images[image[start]], tasks[task[start]]): slice(start, end)
            for start, end in zip(starts.tolist(), ends, strict=True)
        }

    @cached_property
    def summaries(self) -> tuple[str, ...]:
        """The summaries that are recorded of each run."""
        return tuple(name for name in self.table.column_names if is_summary(name))

    def column(self, name: str, span: slice) -> np.ndarray:
        """Some rows of a column of numbers, float64, NaN where there is no value."""
        if name not in self._columns:
            column = pc.cast(self.table[name], pa.float64())
            self._columns[name] = column.to_numpy()
        return self._columns[name][span]

    @cached_property
    def usable(self) -> np.ndarray:
        """Bool (rows,): whether a run finished or was stopped, not diverged or failed."""
        names, codes = self._named("status")
        found: np.ndarray = np.array([name in USABLE for name in names], bool)[codes]
        return found

    def statuses(self, span: slice) -> list[str]:
        """The status of some rows."""
        names, codes = self._named("status")
        return [names[code] for code in codes[span].tolist()]

    def plain(self, span: slice = slice(None)) -> pa.Table:
        """Rows as a user sees them: texts, and no place in the curves file."""
        start, stop, _ = span.indices(self.table.num_rows)
        rows = self.table.slice(start, stop - start).drop_columns(["row"])
        fields = [
            field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
            for field in rows.schema
        ]
        return rows.cast(pa.schema(fields))

    def pair(self, image: str, task: str) -> PairRuns:
        """The runs of an (image, task).

        Raises:
            QueryError: if there are none.
        """
        if (image, task) not in self._pairs:
            self._pairs[image, task] = self._find(image, task)
        return self._pairs[image, task]

    def _find(self, image: str, task: str) -> PairRuns:
        if (image, task) not in self.spans:
            held = [" ".join(pair) for pair in self.spans]
            raise QueryError(unknown("image and task", f"{image} {task}", held))
        span = self.spans[image, task]
        seeds = np.nan_to_num(self.column("seed", span), nan=UNKNOWN_SEED)
        known, columns = np.unique(seeds, return_inverse=True)
        found = np.full((len(self.models), len(known)), -1)
        found[self.codes[span], columns] = np.arange(len(seeds))
        listed = tuple(None if seed == UNKNOWN_SEED else int(seed) for seed in known.tolist())
        return PairRuns(span, found, listed)

    def _named(self, name: str) -> tuple[list[str], np.ndarray]:
        """The different texts of a column, and int (rows,) into them."""
        column = self.table[name]
        if not pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(column)
        whole = column.combine_chunks()
        codes: np.ndarray = whole.indices.to_numpy()
        return whole.dictionary.to_pylist(), codes


def _type(table: pa.Table, name: str) -> pa.DataType | None:
    """The type of a column's values, None where there is no such column."""
    if name not in table.column_names:
        return None
    found = table.schema.field(name).type
    return found.value_type if pa.types.is_dictionary(found) else found
