"""What is asked of runs: by which summary, over which seeds, within which limits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from ..errors import QueryError, unknown
from ..evaluate.stopping import STOPPING
from ..scalars import is_count, is_integer, is_number
from .schema import FURTHER_SUMMARY, SUMMARIES, is_summary

if TYPE_CHECKING:
    import pandas as pd

By = str | int
"""A summary's name, or an iteration: the smoothed PSNR there."""

DEFAULT_BY = "best_psnr_smooth"


class Limits(TypedDict, total=False):
    """Further arguments of every query.

    Attributes:
        where: which models take part: those all of whose usable runs, of the seeds that are asked
            for, fulfil a condition on the columns of `to_frame` and the genotype's attributes
            (`primitive`, `operation`, `kernel`, `activation`, `order`, `connections`), such as
            `parameters < 4e6 and kernel == 3`, or a function from that frame to booleans.
        budget_iterations: as if every training had ended after so many.
        budget_seconds: as if every training had ended after so long, its seconds spread evenly.
        stopping: name of a criterion of `dipbench.evaluate.stopping` that is replayed on each
            run: what counts is the smoothed PSNR at the iteration it keeps, the last one where it
            never fires. Runs to which it is not applicable are left out.
    """

    where: Any
    budget_iterations: int | None
    budget_seconds: float | None
    stopping: str | None


def asked(by: By, seed: int | None, limits: Limits) -> "Question":
    """The question that a query's arguments make.

    Raises:
        QueryError: a limit is none of `Limits`.

    >>> asked("best_psnr", 0, {"where": "macs < 1e9"}).where
    'macs < 1e9'
    """
    for name in limits:
        if name not in Limits.__annotations__:
            raise QueryError(unknown("limit", name, Limits.__annotations__))
    return Question(by, seed, **limits)


@dataclass(frozen=True)
class Question:
    """A query but for image, task and model; see `Limits` for the last four."""

    by: By = DEFAULT_BY
    seed: int | None = None
    where: "str | Callable[[pd.DataFrame], Any] | None" = None
    budget_iterations: int | None = None
    budget_seconds: float | None = None
    stopping: str | None = None

    def check(self) -> None:
        """Refuse what cannot be answered on any benchmark.

        Raises:
            QueryError: an unknown summary or criterion, a seed or condition that is none, a
                budget that buys nothing, or a criterion beside a summary, which would say which
                iteration counts too.

        >>> Question(stopping="variance").check()
        """
        if not is_integer(self.by) and not is_summary(self.by):
            told = unknown("summary", self.by, [*SUMMARIES, FURTHER_SUMMARY, "an iteration"])
            criterion = str(self.by).removeprefix("stop:")
            if criterion in STOPPING:
                raise QueryError(f"{told}; ask with --stopping {criterion}, in Python stopping=")
            if criterion.isdecimal():
                raise QueryError(f"{told}; an iteration is a whole number: {int(criterion)}")
            raise QueryError(told)
        if self.seed is not None and not is_integer(self.seed):
            raise QueryError(f"a seed is a whole number, got {self.seed!r}")
        if not (self.where is None or isinstance(self.where, str) or callable(self.where)):
            raise QueryError(
                f"where= takes a condition such as 'parameters < 4e6' or a function, "
                f"got {self.where!r}"
            )
        iterations, seconds = self.budget_iterations, self.budget_seconds
        if iterations is not None and not is_count(iterations):
            raise QueryError(f"a budget of {iterations!r} iterations is none: give a whole number")
        if seconds is not None and not (is_number(seconds) and seconds > 0):
            raise QueryError(f"a budget of {seconds!r} seconds is none: give a number above 0")
        if self.stopping is not None:
            if not isinstance(self.stopping, str) or self.stopping not in STOPPING:
                raise QueryError(unknown("stopping criterion", self.stopping, STOPPING))
            if self.by != DEFAULT_BY:
                raise QueryError(
                    f"the criterion {self.stopping} says which iteration counts: leave out --by, "
                    "in Python by="
                )

    @property
    def recorded(self) -> bool:
        """Whether the summaries of the runs' table answer it, without their curves."""
        limits = self.budget_iterations, self.budget_seconds, self.stopping
        return is_summary(self.by) and limits == (None, None, None)
