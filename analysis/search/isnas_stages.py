"""The two stages of the ISNAS search before the last: scoring many models, training few."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...data import Observation, Task
from ...errors import DivergenceError, QueryError
from ...evaluate.protocol import Protocol
from ...evaluate.registry import Score
from ...evaluate.stopping import STOPPING
from ...genotypes import sample
from ...seeds import generator
from .interface import Cost, Objective, Outcome, Trial
from .journal import Journal
from .listed import ScoreGuided
from .signals import signal_of_curves

SCORING_SHARE = 0.25
"""Of a budget, the most that scoring takes; what it leaves trains candidates and the selected."""

CUT_SHARE = 0.5
"""Of what is left, the most that the first candidate takes; the selected model has the rest."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Work:
    """What every model of a search is tried on.

    Attributes:
        observation: what is restored.
        trial: what candidates are trained on: that, or a smaller form of it.
        noise: the mean squared noise in `trial`; None where it is not known.
    """

    observation: Observation
    trial: Observation
    noise: float | None
    task: Task
    protocol: Protocol
    seed: int
    device: str
    threads: int

    @property
    def enlargement(self) -> float:
        """How many times as many pixels the last training has as a candidate's."""
        return prod(self.observation.restored_shape) / prod(self.trial.restored_shape)


class Deadline:
    """The seconds that a search may take, with those that it took before it was taken up.

    >>> Deadline(None, 10.0).left() is None
    True
    """

    def __init__(self, seconds: float | None, before: float) -> None:
        self.seconds = seconds
        self._start = time.perf_counter() - before

    def left(self) -> float | None:
        """Seconds, never below 0; None without a budget."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (time.perf_counter() - self._start))


HOPELESS = 32
"""After so many models of which none has the score, the picture is what lacks something."""


def score_all(
    work: Work, score: Score, count: int, journal: Journal, budget: Deadline, tell: Progress
) -> dict[str, float]:
    """The score of each model that has one; what is settled in the journal is not scored again.

    Raises:
        QueryError: no model has one.
    """
    from ...evaluate.screening import is_settled, screen

    known = {record["model"] for record in journal.records("scores") if is_settled(record)}
    models = [str(genotype) for genotype in sample(count, work.seed)]
    batches = screen(
        [model for model in models if model not in known],
        score,
        work.observation,
        work.task,
        work.protocol,
        seed=work.seed,
        device=work.device,
        threads=work.threads,
    )
    tell("scoring", len(known), count)
    hopeful = any(record["score"] is not None for record in journal.records("scores"))
    share = None if budget.seconds is None else SCORING_SHARE * budget.seconds
    while share is None or not known or spent(journal, "scores") < share:
        batch = next(batches, None)
        if batch is None:
            break
        for record in batch:
            journal.add("scores", record)
            known.add(record["model"])
        tell("scoring", len(known), count)
        hopeful |= any(record["score"] is not None for record in batch)
        if not hopeful and len(known) >= HOPELESS:
            break
    records = journal.records("scores")
    scores = {record["model"]: record["score"] for record in records if record["score"] is not None}
    if not scores:
        raise QueryError(f"no model has a {score.name} here: {records[-1]['reason']}")
    return {model: scores[model] for model in models if model in scores}


def train_kept(
    work: Work,
    score: Score,
    scores: dict[str, float],
    keep: int,
    journal: Journal,
    budget: Deadline,
    tell: Progress,
) -> list[dict[str, Any]]:
    """The records of the candidates that were trained to the end, best score first.

    Where the budget let none come to its end, that of the one which was begun.

    Raises:
        QueryError: all trainings failed.
    """
    ties = generator("search-ties", work.seed)
    badness = {model: -score.sign * value for model, value in scores.items()}
    searcher = ScoreGuided(badness, ties, keep=keep)
    objective = Candidates(work, scores, journal)
    longest, done = 0.0, 0
    finished: list[str] = []
    cut: list[str] = []
    tell("training candidates", 0, keep)
    while not cut and (trial := searcher.ask()) is not None:
        left = budget.left()
        if left is not None:
            # The last training, as long as the longest so far for its size, must fit in too.
            reserved = longest * work.enlargement if finished else (1 - CUT_SHARE) * left
            objective.seconds = max(0.0, left - reserved)
            if finished and objective.seconds < longest and not objective.knows(trial.model):
                break
        outcome = objective.evaluate(trial)
        searcher.tell(outcome)
        longest, done = max(longest, outcome.cost.seconds or 0.0), done + 1
        status = objective.records[trial.model]["status"]
        if status == "finished":
            finished.append(trial.model)
        elif status == "stopped":
            cut.append(trial.model)
        tell("training candidates", done, keep)
    if not finished and not cut:
        reasons = {record.get("reason") or "diverged" for record in objective.records.values()}
        told = "; ".join(sorted(reasons))
        raise QueryError(f"none of {done} candidates could be trained ({told}): keep more of them")
    return [objective.records[model] for model in finished or cut]


class Candidates(Objective):
    """Trains the kept models and keeps their smoothed outputs; answers from the journal first.

    Attributes:
        seconds: end trainings after this time.
        records: the journal's last of each model.
    """

    def __init__(self, work: Work, scores: dict[str, float], journal: Journal) -> None:
        self.label = "real trainings on one picture"
        self.seconds: float | None = None
        self.records = {record["model"]: record for record in journal.records("trained")}
        self._work, self._scores, self._journal = work, scores, journal

    def knows(self, model: str) -> bool:
        """Whether a training before came to its end."""
        return model in self.records and self.records[model]["status"] in ("finished", "diverged")

    def evaluate(self, trial: Trial) -> Outcome:
        """Train the model, or give what a training before gave."""
        record = self.records.get(trial.model)
        if record is None or self._needs_more(record):
            record = self._train(trial.model)
            self._journal.add("trained", record)
            self.records[trial.model] = record
        cost = Cost(record["iterations"], None, record["seconds"])
        return Outcome(trial, record["signal"], cost)

    def _needs_more(self, record: dict[str, Any]) -> bool:
        """Whether its output is lost, memory did not do, or one cut short has more time now."""
        if record["status"] == "diverged":
            return False
        cut = record["status"] == "stopped"
        if cut and (self.seconds is None or self.seconds > record["seconds"]):
            return True
        return self._journal.output(record["model"]) is None

    def _train(self, model: str) -> dict[str, Any]:
        from ...evaluate.memory import TooLittleMemoryError
        from ...evaluate.restoring import restore

        work, start = self._work, time.perf_counter()
        try:
            made = restore(
                work.trial,
                work.task,
                model,
                keep="smooth",
                protocol=work.protocol,
                seconds=self.seconds,
                seed=work.seed,
                device=work.device,
                threads=work.threads,
            )
        except (DivergenceError, TooLittleMemoryError) as error:  # of this model, not of the search
            return {
                "model": model,
                "score": self._scores[model],
                "status": "diverged" if isinstance(error, DivergenceError) else "failed",
                "reason": str(error),
                "signal": None,
                "loss": None,
                "variance_at_noise": None,
                "iterations": 0,
                "seconds": time.perf_counter() - start,
            }
        status = made.fit.status
        if status == "interrupted":
            raise KeyboardInterrupt
        if status != "diverged":
            self._journal.save_output(model, made.fit.outputs["smooth"])
        known = status == "finished"
        return {
            "model": model,
            "score": self._scores[model],
            "status": status,
            "reason": made.fit.reason,
            "signal": signal_of_curves(made.fit.curves, "observed_loss") if known else None,
            "loss": float(made.fit.loss.min()),
            "variance_at_noise": None if status == "diverged" else self._arrival(made.fit.curves),
            "iterations": made.fit.length,
            "seconds": made.fit.seconds,
        }

    def _arrival(self, curves: Mapping[str, np.ndarray]) -> float | None:
        """The moving variance of the output where it is as near to the picture as the noise."""
        if self._work.noise is None:
            return None
        alpha = self._work.protocol.variance_alpha
        stop = STOPPING["discrepancy"](curves, self._work.noise, alpha=alpha)
        return None if stop is None else float(curves["variance"][stop])


def spent(journal: Journal, kind: str) -> float:
    """Seconds of all records of a kind."""
    return sum(float(record["seconds"]) for record in journal.records(kind))
