"""The search of ISNAS-DIP on one picture: score many models untrained, train few, select one.

Arican et al., CVPR 2022: N random genotypes are scored on their untrained outputs, the best few
are trained, the outputs are averaged with weights by score, the model whose output is nearest to
that average is selected, and it is trained from fresh weights. (The authors' script trains
another network in that last step.)
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...data import Image, Observation, Task, load_observation, parse_task
from ...errors import MissingExtraError, QueryError
from ...evaluate.protocol import Iterations, Protocol, get_protocol
from ...evaluate.registry import Score, get_score
from ...evaluate.selecting import nearest_to_average
from ...genotypes import sample
from ...seeds import generator
from .interface import Cost, Objective, Outcome, Trial
from .journal import Journal
from .listed import ScoreGuided
from .signals import signal_of_curves

if TYPE_CHECKING:
    from ...evaluate.restoring import Restoration

SCORE = "psd_db_strip_mse"
SEARCH_ITERATIONS = Iterations(denoising=1200, inpainting=9500, sr=4500)
"""As published for searches."""

SCORING_SHARE = 0.25
"""Of a budget, the most that scoring takes; what it leaves trains candidates and the selected."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Candidate:
    """A model that was kept for its score and trained.

    Attributes:
        model: its text form.
        score: of its untrained output.
        loss: the lowest of its training.
        seconds: of its training.
        distance: mean squared difference of its output from the weighted average.
    """

    model: str
    score: float
    loss: float
    seconds: float
    distance: float


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        restoration: of the selected model, trained from fresh weights.
        selected: its text form.
        candidates: the trained ones, best score first.
        scores: of all models that were scored.
        score: name of the score.
        seconds: of scoring, of the candidates' trainings and of the last one, with what was done
            before the search was taken up.
    """

    restoration: "Restoration" = field(repr=False)
    selected: str
    candidates: tuple[Candidate, ...]
    scores: dict[str, float] = field(repr=False)
    score: str
    seconds: tuple[float, float, float]


def search(
    image: Observation | str | Path | np.ndarray,
    task: Task | str,
    *,
    models: int = 5000,
    keep: int = 15,
    score: str = SCORE,
    iterations: int | None = None,
    output: str = "smooth",
    budget: float | None = None,
    folder: Path | str | None = None,
    truth: Image | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Search an architecture for one degraded picture and restore the picture with it.

    Args:
        image: the degraded picture, as `load_observation` takes it, or an observation.
        task: what was done to it.
        models: number of random genotypes to score.
        keep: how many of them are trained.
        score: a score of the untrained output.
        iterations: of every training; 1200 for denoising as published, else the protocol's.
        output: which output of the last training is the result, as `restore` keeps them.
        budget: in seconds: scoring ends after a quarter of it, and no candidate is begun that
            would leave no time for the last training. At least one is trained.
        folder: where every step is recorded, so that a killed search goes on where it was.
        truth: for judging the result alone.
        seed: of the sample, the scores and the trainings.
        device: `auto`, `cpu` or `cuda`.
        precision: of the trainings, as in `restore`; scores are computed in float32.
        threads: of the CPU; None takes all.
        progress: called with a stage, what is done of it, and how much there is.

    Raises:
        DipbenchError: an argument is unknown, or the folder holds another search.
        MissingExtraError: torch is not installed.

    >>> from dipbench.analysis.search.isnas import search
    >>> from dipbench.data import load_image
    >>> small = load_image("camera", size=64).array
    >>> found = search(small, "denoising-25", models=2, keep=1, iterations=1, threads=1)
    >>> len(found.candidates), found.selected == found.candidates[0].model
    (1, True)
    """
    try:
        from ...evaluate.devices import resolve_device, resolve_precision
        from ...evaluate.restoring import restore
    except ModuleNotFoundError as error:
        raise MissingExtraError("train", "searching with real trainings") from error
    task = parse_task(task)
    chosen = _scorable(score)
    observation = image if isinstance(image, Observation) else load_observation(image, task)
    if not 1 <= keep <= models:
        raise QueryError(f"{keep} of {models} models cannot be kept: give 1 to {models}")
    if budget is not None and budget <= 0:
        raise QueryError(f"a budget of {budget:g} seconds buys nothing: give more")
    protocol = _protocol(iterations).replace(
        precision=resolve_precision(precision, resolve_device(device))
    )
    work = _Work(observation, task, protocol, seed, device, threads or len(os.sched_getaffinity(0)))
    settings = {
        "observation_sha256": observation.sha256,
        "task": str(task),
        "models": models,
        "score": chosen.name,
        "seed": seed,
        "protocol": protocol.to_record(),
    }
    journal = Journal(None if folder is None else Path(folder), settings)
    tell = progress or (lambda stage, done, total: None)
    scores = _score_all(work, chosen, models, journal, budget, tell)
    candidates = _train_kept(work, chosen, scores, keep, journal, budget, tell)
    outputs = [journal.output(record["model"]) for record in candidates]
    values = [record["score"] for record in candidates]
    index, distances = nearest_to_average(
        [output for output in outputs if output is not None], values, chosen.sign < 0
    )
    selected = candidates[index]["model"]

    def report(done: int, training: Any) -> None:
        tell("training the selected model", done, training.iterations)

    # Another seed, for with the candidates' the weights would be the ones trained already.
    restoration = restore(
        observation,
        task,
        selected,
        truth=truth,
        keep=output,
        protocol=protocol,
        seed=seed + 1,
        device=device,
        threads=threads,
        progress=report,
    )
    return SearchResult(
        restoration,
        selected,
        tuple(
            Candidate(record["model"], record["score"], record["loss"], record["seconds"], distance)
            for record, distance in zip(candidates, distances.tolist(), strict=True)
        ),
        scores,
        chosen.name,
        (_spent(journal, "scores"), _spent(journal, "trained"), restoration.fit.seconds),
    )


@dataclass(frozen=True)
class _Work:
    """What every model of a search is tried on."""

    observation: Observation
    task: Task
    protocol: Protocol
    seed: int
    device: str
    threads: int


class _Candidates(Objective):
    """Trains the kept models and keeps their smoothed outputs; answers from the journal first."""

    def __init__(self, work: _Work, scores: dict[str, float], journal: Journal) -> None:
        self.label = "real trainings on one picture"
        self._work, self._scores, self._journal = work, scores, journal

    def evaluate(self, trial: Trial) -> Outcome:
        """Train the model, or give what a training before gave."""
        from ...evaluate.restoring import restore

        known = {record["model"]: record for record in self._journal.records("trained")}
        record = known.get(trial.model)
        if record is None or self._journal.output(trial.model) is None:
            work = self._work
            made = restore(
                work.observation,
                work.task,
                trial.model,
                keep="smooth",
                protocol=work.protocol,
                seed=work.seed,
                device=work.device,
                threads=work.threads,
            )
            if made.fit.status == "interrupted":
                raise KeyboardInterrupt
            signal = None
            if made.fit.status == "finished":
                signal = signal_of_curves(made.fit.curves, "observed_loss")
                self._journal.save_output(trial.model, made.fit.outputs["smooth"])
            record = {
                "model": trial.model,
                "score": self._scores[trial.model],
                "status": made.fit.status,
                "signal": signal,
                "loss": float(made.fit.loss.min()),
                "iterations": made.fit.length,
                "seconds": made.fit.seconds,
            }
            self._journal.add("trained", record)
        cost = Cost(record["iterations"], None, record["seconds"])
        return Outcome(trial, record["signal"], cost)


def _train_kept(
    work: _Work,
    score: Score,
    scores: dict[str, float],
    keep: int,
    journal: Journal,
    budget: float | None,
    tell: Progress,
) -> list[dict[str, Any]]:
    """The records of the candidates that were trained to the end, best score first."""
    ties = generator("search-ties", work.seed)
    badness = {model: -score.sign * value for model, value in scores.items()}
    searcher = ScoreGuided(badness, ties, keep=keep)
    objective = _Candidates(work, scores, journal)
    spent, longest, done = _spent(journal, "scores"), 0.0, 0
    finished: list[str] = []
    tell("training candidates", 0, keep)
    while (trial := searcher.ask()) is not None:
        # The last training takes about as long as the longest so far, and must fit in too.
        if budget is not None and finished and spent + 2 * longest > budget:
            break
        outcome = objective.evaluate(trial)
        searcher.tell(outcome)
        seconds = outcome.cost.seconds or 0.0
        spent, longest, done = spent + seconds, max(longest, seconds), done + 1
        if outcome.signal is not None:
            finished.append(trial.model)
        tell("training candidates", done, keep)
    if not finished:
        raise QueryError("no candidate could be trained to the end: keep more of them")
    records = {record["model"]: record for record in journal.records("trained")}
    return [records[model] for model in finished]


def _score_all(
    work: _Work,
    score: Score,
    count: int,
    journal: Journal,
    budget: float | None,
    tell: Progress,
) -> dict[str, float]:
    """The score of each model that has one; those in the journal are not scored again."""
    from ...evaluate.screening import screen

    known = {record["model"] for record in journal.records("scores")}
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
    while budget is None or not known or _spent(journal, "scores") < SCORING_SHARE * budget:
        batch = next(batches, None)
        if batch is None:
            break
        for record in batch:
            journal.add("scores", record)
            known.add(record["model"])
        tell("scoring", len(known), count)
    records = journal.records("scores")
    scores = {record["model"]: record["score"] for record in records if record["score"] is not None}
    if not scores:
        raise QueryError(f"no model has a {score.name} here: {records[0]['reason']}")
    return {model: scores[model] for model in models if model in scores}


def _spent(journal: Journal, kind: str) -> float:
    return sum(float(record["seconds"]) for record in journal.records(kind))


def _scorable(name: str) -> Score:
    found = get_score(name)
    if found.inputs == "network":
        raise QueryError(f"{name} needs more than an untrained output: choose another score")
    return found


def _protocol(iterations: int | None) -> Protocol:
    base = get_protocol("isnas").replace(name="isnas-search", iterations=SEARCH_ITERATIONS)
    return (base if iterations is None else base.with_iterations(iterations)).replace(stop=None)
