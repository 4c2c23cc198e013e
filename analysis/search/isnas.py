"""The search of ISNAS-DIP on one picture: score many models untrained, train few, select one.

Arican et al., CVPR 2022: N random genotypes are scored on their untrained outputs, the best few
are trained, the outputs are averaged with weights by score, the model whose output is nearest to
that average is selected, and it is trained from fresh weights. (The authors' script trains
another network in that last step.) The publication has an option of training the candidates on a
smaller picture, which `small_side` is. The two ways to select by the noise that is known to be in
the picture are this project's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ...data import Denoising, Image, Observation, Task
from ...data.images import Source
from ...errors import MissingExtraError, QueryError, StoreError, unknown
from ...evaluate.protocol import Iterations, Protocol, get_protocol
from ...evaluate.reducing import reduce_observation
from ...evaluate.registry import Score, get_score
from ...evaluate.selecting import nearest_to_average, nearest_to_noise
from ...scalars import is_count, is_number
from .isnas_stages import Deadline, Progress, Work, score_all, spent, train_kept
from .journal import Journal

if TYPE_CHECKING:
    from ...evaluate.restoring import Restoration

Selection = Literal["average", "discrepancy", "discrepancy_variance"]
"""How a candidate is selected: as published, or by the noise; see `evaluate.selecting`."""

SCORE = "psd_db_strip_mse"
SEARCH_ITERATIONS = Iterations(denoising=1200, inpainting=9500, sr=4500)
"""As published for searches."""


@dataclass(frozen=True)
class Candidate:
    """A model that was kept for its score and trained.

    Attributes:
        model: its text form.
        score: of its untrained output.
        loss: the lowest of its training.
        seconds: of its training.
        distance: what it was judged by: the mean squared difference of its output from the
            weighted average; its discrepancy; or its output's moving variance where it came as near
            to the picture as the noise, None if it never did.
    """

    model: str
    score: float
    loss: float
    seconds: float
    distance: float | None


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        restoration: of the selected model, trained from fresh weights.
        selected: its text form.
        candidates: the trained ones, best score first.
        scores: of all models that were scored.
        score: name of the score.
        selection: what was to select among the candidates.
        selected_by: what did: `discrepancy` where none came near enough for its variance.
        seconds: of scoring, of the candidates' trainings and of the last one, with what was done
            before the search was taken up.
        effective_sigma: of the noise in the smaller picture that the candidates were trained on,
            on the 0-255 scale; None without one, and for tasks without a sigma.
    """

    restoration: "Restoration" = field(repr=False)
    selected: str
    candidates: tuple[Candidate, ...]
    scores: dict[str, float] = field(repr=False)
    score: str
    selection: Selection
    selected_by: Selection
    seconds: tuple[float, float, float]
    effective_sigma: float | None = None


def search(
    image: Observation | str | Path | np.ndarray,
    task: Task | str,
    *,
    models: int = 5000,
    keep: int = 15,
    score: str = SCORE,
    selection: Selection = "average",
    iterations: int | None = None,
    output: str = "smooth",
    small_side: int | None = None,
    budget: float | None = None,
    folder: Path | str | None = None,
    truth: Image | Source | None = None,
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
        selection: of a candidate: `average` takes the one nearest to the weighted average of their
            outputs, as published; `discrepancy` the one whose output differs from the picture by
            the noise that denoising with a sigma knows, which tells slow models from good ones
            where the trainings are short; `discrepancy_variance`, where they are longer, the one
            whose output varied most when it came so near to the picture.
        iterations: of every training; 1200 for denoising as published, else the protocol's.
        output: which output of the last training is the result, as `restore` keeps them. The
            published `smooth` lags by about 100 iterations: few iterations call for another.
        small_side: train the candidates on the observation averaged down to this short side in
            pixels. It is quicker and another problem: noise is averaged out (of sigma 25 at 512
            pixels about 3 is left at 64). Scores and the last training are of the full size.
        budget: in seconds: scoring ends after a quarter of it, no candidate is begun that would
            leave no time for the last training, and a training is cut short when its share is
            over, with what its iterations gave for its result. One candidate at least is begun. A
            search that is taken up counts the seconds that its folder records: not those of a
            scoring or training that was killed, nor of the last training, which is made again.
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
        from ...evaluate.devices import resolve_device, resolve_precision, thread_count
        from ...evaluate.restoring import restore, wished
    except ModuleNotFoundError as error:
        raise MissingExtraError("train", "searching with real trainings") from error
    chosen = _scorable(score)
    observation, task, output, truth = wished(image, task, output, truth)
    if not is_count(keep) or not is_count(models) or keep > models:
        raise QueryError(f"{keep} of {models} models cannot be kept: give 1 to {models}")
    if budget is not None and not (is_number(budget) and budget > 0):
        raise QueryError(f"a budget of {budget!r} seconds buys nothing: give more")
    protocol = _protocol(iterations).replace(
        precision=resolve_precision(precision, resolve_device(device))
    )
    trial, factor = _smaller(observation, small_side)
    noise = _noise(selection, task, observation, factor)
    sigma = None
    if small_side is not None and isinstance(task, Denoising):
        sigma = task.sigma * factor
    threads = thread_count(threads)
    work = Work(observation, trial, noise, task, protocol, seed, device, threads)
    settings = {
        "observation_sha256": observation.sha256,
        "task": str(task),
        "models": models,
        "score": chosen.name,
        "seed": seed,
        "protocol": protocol.to_record(),
        "small_side": small_side,
        "effective_sigma": sigma,
    }
    journal = Journal(None if folder is None else Path(folder), settings)
    clock = Deadline(budget, spent(journal, "scores") + spent(journal, "trained"))
    tell = progress or (lambda stage, done, total: None)
    scores = score_all(work, chosen, models, journal, clock, tell)
    candidates = train_kept(work, chosen, scores, keep, journal, clock, tell)
    outputs = [_output(journal, record["model"]) for record in candidates]
    index, distances, selected_by = _select(selection, work, chosen, candidates, outputs)
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
        seconds=clock.left(),
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
            for record, distance in zip(candidates, distances, strict=True)
        ),
        scores,
        chosen.name,
        selection,
        selected_by,
        (spent(journal, "scores"), spent(journal, "trained"), restoration.fit.seconds),
        sigma,
    )


def _select(
    selection: Selection,
    work: Work,
    score: Score,
    candidates: Sequence[Mapping[str, Any]],
    outputs: Sequence[np.ndarray],
) -> tuple[int, list[float | None], Selection]:
    """The index of the selected candidate, what each was judged by, and by which rule.

    Of outputs that came as near to the picture as its noise, the one that varies more from
    iteration to iteration gains more by their moving average; what that leaves on the table is
    measured in docs/search-replay.md. Where none came so near, their discrepancies are left.
    """
    if selection == "average" or work.noise is None:
        scores = [record["score"] for record in candidates]
        index, distances = nearest_to_average(outputs, scores, score.sign < 0)
        return index, distances.tolist(), "average"
    variances = [record["variance_at_noise"] for record in candidates]
    arrived = {place: value for place, value in enumerate(variances) if value is not None}
    if selection == "discrepancy" or not arrived:
        index, distances = nearest_to_noise(outputs, work.trial.observed, work.noise)
        return index, distances.tolist(), "discrepancy"
    return max(arrived, key=arrived.__getitem__), variances, "discrepancy_variance"


def _output(journal: Journal, model: str) -> np.ndarray:
    output = journal.output(model)
    if output is None:
        raise StoreError(
            f"the trace has lost the output of {model}: take the search up, and it is trained again"
        )
    return output


def _smaller(observation: Observation, side: int | None) -> tuple[Observation, float]:
    """What the candidates are trained on, and the factor on the deviation of its noise."""
    if side is None:
        return observation, 1.0
    reduced = reduce_observation(observation, side)
    return reduced.observation, reduced.noise_factor


def _noise(selection: str, task: Task, observation: Observation, factor: float) -> float | None:
    """The mean squared noise in the picture; None where it is not known.

    What clipping leaves of the noise is told from the whole picture, for a smaller one no longer
    shows it. The factor holds for noise of mean 0. That of clipped noise is not, where the picture
    is dark or bright, and averaging leaves it; but it is as smooth there as the picture, so that a
    network's output has it too, and it is no part of what the output differs by.
    """
    if selection not in get_args(Selection):
        raise QueryError(unknown("selection", selection, get_args(Selection)))
    noise = task.mean_squared_noise(observation)
    if noise is None and selection != "average":
        raise QueryError(
            f"the noise of {task} is not known: the discrepancy selects for denoising-SIGMA, "
            "the average for every task"
        )
    return None if noise is None else noise * factor**2


def _scorable(name: str) -> Score:
    found = get_score(name)
    if found.inputs == "network":
        raise QueryError(
            f"{name} is no score of the untrained output, by which a search goes: choose another, "
            "such as psd_db_strip_mse"
        )
    return found


def _protocol(iterations: int | None) -> Protocol:
    base = get_protocol("isnas").replace(name="isnas-search", iterations=SEARCH_ITERATIONS)
    return (base if iterations is None else base.with_iterations(iterations)).replace(stop=None)
