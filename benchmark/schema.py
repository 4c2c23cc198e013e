"""What one run is, as a record in memory and as columns in a file."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..genotypes import Genotype

SCHEMA_VERSION = 1

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By schema version: what makes the record of `benchmark.json` one of the next version."""

STATUSES = ("finished", "stopped", "diverged", "failed")
USABLE = ("finished", "stopped")
"""The statuses whose summaries are compared; the others are left out and counted."""

SUMMARIES = ("best_psnr_smooth", "best_psnr", "final_psnr_smooth", "final_psnr")
FURTHER_SUMMARY = "one of a further average that was recorded, such as best_psnr_smooth_0.9"
"""What else a run can be summarised by, in words."""
_OTHER_SUMMARY = re.compile(r"(best|final)_psnr_smooth_[0-9.]+")

RUNS_SCHEMA = pa.schema(
    [
        ("model", pa.string()),
        ("image", pa.string()),
        ("task", pa.string()),
        ("seed", pa.int64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("length", pa.int32()),
        ("best_psnr", pa.float32()),
        ("best_psnr_iteration", pa.int32()),
        ("best_psnr_smooth", pa.float32()),
        ("best_psnr_smooth_iteration", pa.int32()),
        ("final_psnr", pa.float32()),
        ("final_psnr_smooth", pa.float32()),
        ("loss", pa.float32()),
        ("spikes", pa.int32()),
        ("seconds", pa.float64()),
        ("device", pa.string()),
        ("parameters", pa.int64()),
        ("parameters_used", pa.int64()),
        ("macs", pa.int64()),
        ("commit", pa.string()),
        ("observation_sha256", pa.string()),
        ("input_sha256", pa.string()),
        ("row", pa.int32()),
    ]
)
"""One row a run. PSNR in dB (peak 1, all channels); `loss` is the last one; `row` is the run's
place in its (image, task) group of the curves file."""

CENSORED = "peak_censored"
STOP_COLUMN = "stop_"
_FURTHER_COLUMNS = {
    CENSORED: pa.bool_(),
    _OTHER_SUMMARY.pattern: pa.float32(),
    rf"{_OTHER_SUMMARY.pattern}_iteration": pa.int32(),
    rf"{STOP_COLUMN}[a-z0-9_]+": pa.float32(),
    rf"{STOP_COLUMN}[a-z0-9_]+_iteration": pa.int32(),
}
"""Columns by pattern that a runs table may have beside those of the schema; the last that fits."""

_WORTH = {"failed": 0, "diverged": 1, "stopped": 2, "finished": 2}


def is_summary(by: object) -> bool:
    """Whether `by` names a summary: one of `SUMMARIES`, or one of a further moving average.

    >>> is_summary("best_psnr_smooth_0.99"), is_summary("best_loss"), is_summary(300)
    (True, False, False)
    """
    return by in SUMMARIES or (isinstance(by, str) and bool(_OTHER_SUMMARY.fullmatch(by)))


def runs_schema(names: Iterable[str]) -> pa.Schema:
    """`RUNS_SCHEMA`, and after it those of `names` that are further columns, by name.

    >>> runs_schema(["peak_censored", "seed", "no_such"]).names[len(RUNS_SCHEMA) :]
    ['peak_censored']
    """
    schema = RUNS_SCHEMA
    for name in sorted(set(names)):
        kinds = [kind for pattern, kind in _FURTHER_COLUMNS.items() if re.fullmatch(pattern, name)]
        if kinds and name not in RUNS_SCHEMA.names:
            schema = schema.append(pa.field(name, kinds[-1]))
    return schema


def supersedes(status: str, other: str | None) -> bool:
    """Whether a record of a run is taken instead of an earlier one: if it came further.

    >>> supersedes("finished", "failed"), supersedes("finished", "stopped")
    (True, False)
    """
    return other is None or _WORTH[status] > _WORTH[other]


Pair = tuple[str, str]
"""An image's name and a task's text form."""


class RunKey(NamedTuple):
    """What identifies a run; sorts in the order of the files' rows."""

    model: str
    image: str
    task: str
    seed: int | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "RunKey":
        """The key of a row of a runs table, whatever else it holds."""
        return cls(*(row[name] for name in cls._fields))

    @property
    def pair(self) -> Pair:
        """The image and the task."""
        return self.image, self.task

    def __str__(self) -> str:
        return f"{self.model} on {self.image}, {self.task}, seed {self.seed}"


def furthest(entries: Iterable[tuple[RunKey, str]]) -> dict[RunKey, str]:
    """The status of each run, of several records the one that came furthest.

    >>> key = RunKey("dip", "camera", "denoising-25", 0)
    >>> list(furthest([(key, "failed"), (key, "finished"), (key, "diverged")]).values())
    ['finished']
    """
    statuses: dict[RunKey, str] = {}
    for key, status in entries:
        if supersedes(status, statuses.get(key)):
            statuses[key] = status
    return statuses


@dataclass(frozen=True)
class Run:
    """One finished training, as an executor or an importer hands it over.

    Attributes:
        key: model, image, task and seed.
        status: one of `STATUSES`.
        reason: why it did not finish, else empty.
        curves: float32 arrays of one common length by kind.
        facts: further columns of `RUNS_SCHEMA` by name (seconds, device, parameters, …).
        output: float16 (C, H, W), the smoothed output, where it is kept.
    """

    key: RunKey
    status: str
    reason: str = ""
    curves: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)
    output: np.ndarray | None = field(default=None, repr=False)

    def columns(self) -> dict[str, Any]:
        """The run's row, without its place in the curves file."""
        row = {**self.key._asdict(), "status": self.status, "reason": self.reason}
        row |= {**summarise(self.curves), **self.facts}
        peak = row.get("best_psnr_smooth_iteration")
        if peak is not None and CENSORED not in self.facts:
            # Of published runs the facts say where the peak is.
            row[CENSORED] = peak_censored(peak, row["length"])
        return row


def summarise(curves: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The summaries of a run's curves; missing ones (no truth, no iteration) are left out.

    Further moving averages have theirs too, such as `best_psnr_smooth_0.99`. `spikes` counts the
    iterations whose loss is more than 1 dB above the one before.

    >>> curve = np.array([10.0, 12.0, 11.0], np.float32)
    >>> found = summarise({"psnr": curve, "loss": 10 ** (-curve / 10)})
    >>> found["best_psnr"], found["best_psnr_iteration"], found["final_psnr"], found["length"]
    (12.0, 1, 11.0, 3)
    """
    length = max((len(curve) for curve in curves.values()), default=0)
    found: dict[str, Any] = {"length": length}
    if length == 0:
        return found
    for kind in curves:
        if kind in ("psnr", "psnr_smooth") or is_summary(f"best_{kind}"):
            at = int(curves[kind].argmax())
            found[f"best_{kind}"] = float(curves[kind][at])
            found[f"best_{kind}_iteration"] = at
            found[f"final_{kind}"] = float(curves[kind][-1])
    if "loss" in curves:
        found["loss"] = float(curves["loss"][-1])
        with np.errstate(divide="ignore", invalid="ignore"):  # a loss may be 0
            decibels = 10 * np.log10(curves["loss"].astype(np.float64))
            found["spikes"] = int((np.diff(decibels) > 1).sum())
    return found


def peak_censored(iteration: int, length: int) -> bool:
    """Whether a peak lies in the last 5 % of a run's iterations: a longer one may be higher.

    >>> peak_censored(759, 800), peak_censored(760, 800)
    (False, True)
    """
    return 20 * (length - iteration) <= length


@cache
def model_order(model: str) -> tuple[bool, Any]:
    """A sort key that puts genotypes first, in their own order, and named networks after.

    >>> names = ["dip", "bilinear-conv-1x1-none/" + "1" * 25, "bilinear-conv-1x1-none/" + "0" * 25]
    >>> sorted(names, key=model_order)[-1]
    'dip'
    """
    if "/" in model:
        return False, Genotype.parse(model)
    return True, model


def row_order(key: RunKey) -> tuple[Any, ...]:
    """The order of rows in a file: by image and task, so that a group is one slice."""
    return key.image, key.task, model_order(key.model), -1 if key.seed is None else key.seed
