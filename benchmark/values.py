"""What each run of an (image, task) is worth under a question, from its summaries or its curves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..data import parse_task
from ..errors import ProtocolError, QueryError, unknown
from ..evaluate.protocol import Protocol
from ..evaluate.stopping import PUBLISHED_ALPHA, STOPPING
from ..genotypes import Genotype
from .conditions import known_texts, matching
from .curves import CurvesReader
from .question import By, Question
from .runs import Runs
from .schema import STOP_COLUMN, Pair, is_summary

if TYPE_CHECKING:
    import pandas as pd


ATTRIBUTES = ("primitive", "operation", "kernel", "activation", "order")
CONNECTIONS = "connections"
"""What a condition may name of a genotype beside the columns of the runs: the number of skips."""


STOPPED_BEFORE = "stopped before, by a rule that knows the truth"
"""Why a run has no value later than its end."""


Reasons = dict[str, NDArray[np.bool_]]
"""(rows,) which runs of a pair have no value, by reason."""


@dataclass(frozen=True)
class Values:
    """The runs of a pair, in the order of its rows.

    Attributes:
        psnr: (rows,) dB, NaN where a run is left out.
        iterations: (rows,) where it was reached; 0 where a run is left out.
        left_out: (rows,) which usable runs have no value, by reason; a run has one reason.
    """

    psnr: NDArray[np.float64]
    iterations: NDArray[np.int64]
    left_out: Reasons


class _Found(NamedTuple):
    """PSNR in dB and iteration of each run, before failed runs and conditions are looked at."""

    psnr: NDArray[np.float64]
    iterations: NDArray[np.float64]
    left_out: Reasons


def run_values(
    runs: Runs,
    curves: CurvesReader,
    pair: Pair,
    question: Question,
    concerned: NDArray[np.bool_],
    noise: Callable[[Pair], float | None],
    protocol: Protocol,
) -> Values:
    """Answer a question for every run of a pair.

    Args:
        runs: of the benchmark.
        curves: read only where the summaries do not answer.
        pair: image and task.
        question: already checked.
        concerned: (rows,) the runs of the seeds that it is about.
        noise: the mean squared noise of a pair's observation, None where it is not known; asked
            by the stopping criterion that needs it alone.
        protocol: of the benchmark.

    Raises:
        QueryError: an iteration that no curve reaches, or a condition that cannot be read.
    """
    span = runs.pair(*pair).span
    usable = runs.usable[span]
    found = (
        _recorded(runs, span, question)
        if question.recorded and question.by in runs.summaries
        else _replayed(runs, curves, pair, question, noise, protocol)
    )
    psnr, left_out = np.where(usable, found.psnr, np.nan), dict(found.left_out)
    if question.where is not None:
        fulfils = _fulfils(runs, span, question.where, usable & concerned)
        left_out["where"] = ~fulfils
        psnr = np.where(fulfils, psnr, np.nan)
    if protocol.stops_by_truth:
        left_out[STOPPED_BEFORE] = np.array(runs.statuses(span)) == "stopped"
    known = ~np.isnan(psnr)
    reached = np.where(known & np.isfinite(found.iterations), found.iterations, 0)
    return Values(psnr, reached.astype(np.int64), _first_reasons(left_out, usable & ~known))


def _first_reasons(reasons: Reasons, without: NDArray[np.bool_]) -> Reasons:
    """Each run that is without a value under the first of its reasons."""
    first: Reasons = {}
    for reason, concerned in {**reasons, "no value": without}.items():
        first[reason] = concerned & without
        without = without & ~concerned
    return first


def _recorded(runs: Runs, span: slice, question: Question) -> _Found:
    """PSNR and iteration of each run by its summaries."""
    by = str(question.by)
    if by.startswith("best"):
        return _Found(runs.column(by, span), runs.column(f"{by}_iteration", span), {})
    return _Found(runs.column(by, span), runs.column("length", span) - 1, {})


def _replayed(
    runs: Runs,
    curves: CurvesReader,
    pair: Pair,
    question: Question,
    noise: Callable[[Pair], float | None],
    protocol: Protocol,
) -> _Found:
    """PSNR and iteration of each run by its curves, within the budgets of a question."""
    span = runs.pair(*pair).span
    lengths = runs.column("length", span)
    afforded, left_out = _afforded(runs, span, question)
    ends = np.where(runs.usable[span], np.minimum(lengths, afforded), 0).astype(int)
    if question.stopping is None:
        found = _read(runs, curves, pair, question, ends)
        return found._replace(left_out=left_out | found.left_out)
    name = question.stopping
    why = _inapplicable(name, protocol)
    if curves.thinned(*pair):
        psnr, iterations = _recorded_stops(runs, span, name, ends)
        return _Found(psnr, iterations, left_out | {why: np.isnan(psnr)})
    kind = parse_task(pair[1]).kind
    planned = [
        int(min(protocol.planned_length(kind, status, length), end))
        for status, length, end in zip(
            runs.statuses(span), lengths.astype(int).tolist(), afforded.tolist(), strict=True
        )
    ]
    known = noise(pair) if "noise" in STOPPING[name].needs else None
    stop = partial(stop_of, name=name, noise=known, alpha=protocol.variance_alpha)
    rows = runs.column("row", span).astype(int)
    psnr, iterations = _stopped(curves, pair, rows, ends, planned, name, stop)
    return _Found(psnr, iterations, left_out | {why: np.isnan(psnr) & (ends > 0)})


def _inapplicable(name: str, protocol: Protocol) -> str:
    """Why a criterion gives a run no value: it cannot, or the run had ended before it stopped.

    >>> from dipbench.evaluate.protocol import get_protocol
    >>> _inapplicable("variance", get_protocol("quick"))
    'variance is not applicable'
    """
    later = ", or would stop later than the protocol's rule, which knows the truth, ended the run"
    return f"{name} is not applicable" + later * protocol.stops_by_truth


def _read(
    runs: Runs,
    curves: CurvesReader,
    pair: Pair,
    question: Question,
    ends: NDArray[np.int64],
) -> _Found:
    """The best, the last or a given PSNR of each run before an end of its curve."""
    span, by = runs.pair(*pair).span, question.by
    _check_summary(runs, curves, pair, by)
    kind = by.split("_", 1)[1] if isinstance(by, str) else "psnr_smooth"
    rows = runs.column("row", span).astype(int)
    iterations = curves.iterations(*pair)
    table = curves.curves(*pair, kind)[rows].astype(np.float64)
    table[iterations >= ends[:, None]] = np.nan
    earliest = iterations[0] if len(iterations) else 0
    left_out = {"no iteration that is kept within the budget": ends <= earliest}
    if not isinstance(by, str):
        column = _column_of(by, iterations, int(runs.column("length", span).max()))
        return _Found(table[:, column], np.full(len(rows), float(by)), left_out)
    if by.startswith("best"):
        at = np.where(np.isnan(table), -np.inf, table).argmax(axis=1)
    else:
        at = np.maximum(iterations.searchsorted(ends) - 1, 0)
    psnr, reached = table[np.arange(len(rows)), at], iterations[at].astype(np.float64)
    if curves.thinned(*pair):
        # Where the budget leaves in what a summary is of, the summary knows it better.
        exact = _recorded(runs, span, question)
        within = exact.iterations < ends
        psnr = np.where(within, exact.psnr, psnr)
        reached = np.where(within, exact.iterations, reached)
    return _Found(psnr, reached, left_out)


def _check_summary(runs: Runs, curves: CurvesReader, pair: Pair, by: By) -> None:
    """Refuse a summary of a moving average that was not recorded."""
    told = (f"{when}_{kind}" for kind in curves.kinds(*pair) for when in ("best", "final"))
    known = dict.fromkeys([*runs.summaries, *filter(is_summary, told)])
    if isinstance(by, str) and by not in known:
        raise QueryError(unknown("summary", by, [*known, "an iteration"]))


def _afforded(runs: Runs, span: slice, question: Question) -> tuple[NDArray[np.float64], Reasons]:
    """(rows,) iterations that the budgets of a question afford of each run; infinite without.

    Beside them the runs of which they afford none.
    """
    lengths = runs.column("length", span)
    most = np.inf if question.budget_iterations is None else question.budget_iterations
    cut = np.full(len(lengths), most)
    if question.budget_seconds is None:
        return cut, {}
    seconds = runs.column("seconds", span)
    with np.errstate(invalid="ignore", divide="ignore"):
        afforded = np.floor(lengths * question.budget_seconds / seconds)
    # By rounding, seconds that suffice for all may come out as one iteration less.
    afforded = np.where(question.budget_seconds >= seconds, np.maximum(afforded, lengths), afforded)
    cut = np.minimum(cut, np.where(np.isnan(seconds), 0, afforded))
    return cut, {
        "seconds not recorded": np.isnan(seconds),
        "no iteration within the seconds": (cut < 1) & (lengths >= 1),
    }


def _column_of(iteration: int, iterations: NDArray[np.int32], longest: int) -> int:
    """Where an iteration stands among those that the curves are kept at."""
    if not 0 <= iteration < longest:
        raise QueryError(f"iteration {iteration} is outside the curves' 0..{longest - 1}")
    column = int(iterations.searchsorted(iteration))
    if column == len(iterations) or iterations[column] != iteration:
        near = ", ".join(map(str, iterations[max(0, column - 1) : column + 1].tolist()))
        raise QueryError(
            f"iteration {iteration} is not recorded here, where the curves are kept at a stride; "
            f"nearest to it: {near}"
        )
    return column


def _recorded_stops(
    runs: Runs,
    span: slice,
    criterion: str,
    ends: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a criterion stopped each run, replayed on its full curves before they were thinned."""
    name = f"{STOP_COLUMN}{criterion}"
    if name not in runs.table.column_names:
        raise QueryError(
            f"{criterion} cannot be replayed here: the curves are kept at a stride, and "
            "where it stops was not recorded"
        )
    usable = runs.usable[span]
    if (ends < runs.column("length", span))[usable].any():
        raise QueryError(
            f"{criterion} cannot be replayed within a budget here: the curves are kept at "
            "a stride; leave one of the two out"
        )
    return runs.column(name, span), runs.column(f"{name}_iteration", span)


def _stopped(
    curves: CurvesReader,
    pair: Pair,
    rows: NDArray[np.int64],
    ends: NDArray[np.int64],
    planned: list[int],
    name: str,
    stop_at: Callable[..., tuple[float, int] | None],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smoothed PSNR where a criterion stops each run."""
    kind = STOPPING[name].curve
    psnr, at = np.full(len(rows), np.nan), np.zeros(len(rows))
    if kind not in curves.kinds(*pair):  # as `stop_of` has it
        return psnr, at
    read = curves.curves(*pair, kind)
    smooth = curves.curves(*pair, "psnr_smooth")
    for place, (row, end) in enumerate(zip(rows.tolist(), ends.tolist(), strict=True)):
        if end < 1:
            continue
        own = {kind: read[row, :end], "psnr_smooth": smooth[row, :end]}
        stop = stop_at(own, planned=planned[place])
        if stop is not None:
            psnr[place], at[place] = stop
    return psnr, at


def stop_of(
    curves: Mapping[str, NDArray[np.float32]],
    name: str,
    noise: float | None = None,
    planned: int | None = None,
    alpha: float = PUBLISHED_ALPHA,
) -> tuple[float, int] | None:
    """Smoothed PSNR and iteration where a criterion stops a run, the last where it never fires.

    None where it is not applicable to these curves, needs the noise and that is not known, or
    stops past the end of a run that was planned longer (`Protocol.planned_length`).

    >>> rising = np.array([20.0, 21.0, 20.5], np.float32)
    >>> stop_of({"psnr_smooth": rising}, "oracle"), stop_of({"psnr_smooth": rising}, "variance")
    ((21.0, 1), None)
    """
    try:
        kept = STOPPING[name](curves, noise, planned, alpha)
    except ProtocolError:
        return None
    smooth = curves["psnr_smooth"]
    last = (len(smooth) if planned is None else planned) - 1
    at = last if kept is None else kept
    return (float(smooth[at]), at) if at < len(smooth) else None


def _with_attributes(table: pa.Table) -> pa.Table:
    """A table of runs with what the models' genotypes are made of; null for named networks.

    What a genotype is without is `none`; `identity` has no kernel, which is null.
    """
    models = table["model"].to_pylist()
    genotypes = {model: _parsed(model) for model in dict.fromkeys(models)}
    for name in ATTRIBUTES:
        kind, without = (pa.int64(), None) if name == "kernel" else (pa.string(), "none")
        held = {
            model: genotype and (getattr(genotype, name) or without)
            for model, genotype in genotypes.items()
        }
        table = table.append_column(name, pa.array([held[model] for model in models], kind))
    counts = [model.partition("/")[2].count("1") if genotypes[model] else None for model in models]
    return table.append_column(CONNECTIONS, pa.array(counts, pa.int64()))


@cache
def _parsed(model: str) -> Genotype | None:
    return Genotype.parse(model) if "/" in model else None


def _fulfils(
    runs: Runs,
    span: slice,
    where: "str | Callable[[pd.DataFrame], Any]",
    counted: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Rows of the models all of whose runs that count fulfil the condition."""
    table = _with_attributes(runs.plain(span))
    if isinstance(where, str):
        found = matching(table, where).to_numpy()
        if not found[counted].any():
            raise QueryError(f"no run fulfils {where!r}{known_texts(table, where)}")
    else:
        try:
            frame = table.to_pandas()
            answer = where(frame)
            # A series may have come into another order.
            answer = np.asarray(
                answer.reindex(frame.index) if hasattr(answer, "reindex") else answer
            )
        except KeyError as error:
            raise QueryError(
                unknown("column in where=", error.args[0], table.column_names)
            ) from error
        if answer.shape != (table.num_rows,) or answer.dtype != bool:
            raise QueryError(
                f"where= must return a boolean for each of the {table.num_rows} runs, got "
                f"{answer.dtype} of shape {answer.shape}"
            )
        found = answer
    codes = runs.codes[span]
    against = np.bincount(codes[counted & ~found], minlength=len(runs.models))
    return np.asarray(against[codes] == 0)
