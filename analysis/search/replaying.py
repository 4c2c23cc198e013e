"""Searches replayed with many seeds, and how far below the best model they were at which cost."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from ...benchmark import Benchmark
from ...benchmark.question import By
from ...benchmark.scorefiles import names_by_way
from ...errors import QueryError, listed_names, unknown
from ...genotypes import Genotype
from ...scalars import is_count, is_integer
from ...seeds import checked_seed, generator
from ..association import kendall_tau
from ..cells import check_open, read_cell
from ..resampling import check_level
from .bayesian import BayesianOptimisation
from .interface import UNITS, Budget, Searcher, Trace, Trial, run_search
from .listed import RandomSearch, ScoreGuided, SuccessiveHalving
from .spaces import AllGenotypes, CompleteSpace
from .surrogate import SurrogateObjective
from .table import TableObjective, check_judged_by, default_signal
from .walking import LocalSearch, RandomDraws, RegularisedEvolution

DEFAULT_SCORE = "psd_db_strip_mse"
RESAMPLES = 1000
GRID = 200
FEWEST_SEARCHES = 10
"""For an interval: the bootstrap of fewer means holds the true one too rarely."""


Maker = Callable[[TableObjective, np.random.Generator, str], Searcher]

ALGORITHMS: dict[str, Maker] = {
    "random": lambda table, rng, score: RandomSearch(table.models, rng),
    "score": lambda table, rng, score: ScoreGuided(table.scores(score), rng),
    "halving": lambda table, rng, score: SuccessiveHalving(table.models, rng, table.iterations),
    "bayesian": lambda table, rng, score: BayesianOptimisation(table.genotypes, rng),
    "evolution": lambda table, rng, score: RegularisedEvolution(
        CompleteSpace(table.genotypes), rng
    ),
    "local": lambda table, rng, score: LocalSearch(CompleteSpace(table.genotypes), rng),
}
"""Every algorithm by name. `evolution` and `local` need a complete sub-space."""

ON_SURROGATE: dict[str, Callable[[np.random.Generator], Searcher]] = {
    "random": lambda rng: RandomDraws(AllGenotypes(), rng),
    "evolution": lambda rng: RegularisedEvolution(AllGenotypes(), rng),
    "local": lambda rng: LocalSearch(AllGenotypes(), rng),
}
"""Those that can also walk through the whole space, on a surrogate."""


def replay(
    bench: Benchmark,
    image: str,
    task: str,
    algorithms: Sequence[str],
    budget: Budget,
    *,
    signal: str | None = None,
    by: By = "best_psnr_smooth",
    seeds: Sequence[int] = tuple(range(10)),
    run_seed: int | None = None,
    score: str = DEFAULT_SCORE,
) -> pd.DataFrame:
    """Search a benchmark again and again.

    Args:
        bench: a benchmark.
        image: the image that is searched for.
        task: a task or its text form.
        algorithms: names of `ALGORITHMS`.
        budget: of each search.
        signal: what the searchers see, one of `SIGNALS`; None takes `default_signal`.
        by: what they are judged by, see `Benchmark.best`.
        seeds: of the searches.
        run_seed: of the recorded trainings; the mean over seeds where None.
        score: what the algorithm `score` goes by.

    Returns:
        A row a step: algorithm, seed, step, model, signal, iterations, macs, seconds (cumulative),
        chosen (the model that the signals speak for so far) and regret (dB of it, by `by`). In
        `.attrs`: label, signal, by, unit, budget, and `signal_tau`, how well the signals of whole
        trainings order the models.

    Raises:
        QueryError: an unknown name, or an algorithm that this table cannot serve.
    """
    check_open(bench)
    if not isinstance(budget, Budget):
        raise QueryError(f"give a budget as Budget({budget!r})")
    check_judged_by(by)
    if bench.protocol.stops_by_truth or not is_integer(by):
        read_cell(bench, image, task, by, scored=False)  # refuses what nothing can be judged by
    searches = []
    signal = signal or default_signal(bench, image, task, run_seed)
    table = TableObjective(bench, image, task, signal, by=by, seed=run_seed)
    searchable(table)
    for name in dict.fromkeys(listed_names("algorithms", algorithms)):
        if name not in ALGORITHMS:
            raise QueryError(unknown("algorithm", name, ALGORITHMS))
        for seed in _distinct(seeds):
            objective = table.fresh()
            searcher = ALGORITHMS[name](objective, generator("search", name, seed), score)
            searches.append((name, seed, run_search(searcher, objective, budget)))

    def regret(model: str) -> float:
        return bench.regret(model, image, task, by=by, seed=run_seed)

    found = _frame(searches, regret, signal=signal, by=by, budget=budget)
    found.attrs["signal_tau"] = signal_tau(table, regret)
    return found


def _distinct(seeds: Sequence[int]) -> list[int]:
    """Each seed once.

    Raises:
        QueryError: it is one number, or one of them is no whole number.
    """
    if is_integer(seeds):
        raise QueryError(f"give the searches' seeds as a list, such as [{seeds}] or range({seeds})")
    return list(dict.fromkeys(checked_seed(seed, QueryError) for seed in seeds))


def default_score(bench: Benchmark) -> str | None:
    """What the algorithm `score` goes by if nothing else is named; None where it is not there.

    >>> import dipbench
    >>> default_score(dipbench.load("pilot"))
    'psd_db_strip_mse'
    """
    if "scores" not in bench.manifest.files:
        return None
    held = set(names_by_way(bench.scores()))
    return next((name for name in (DEFAULT_SCORE, f"{DEFAULT_SCORE}:table") if name in held), None)


def default_budget(table: TableObjective) -> Budget:
    """What 50 whole trainings take on average, or a quarter of the models where that is less.

    Args:
        table: as it is searched: `UNTIL_NOISE` end trainings early, `other_images` are several.

    Raises:
        QueryError: no model has all the runs that the signal reads.

    >>> import dipbench
    >>> default_budget(TableObjective(dipbench.load("pilot"), "camera", "denoising"))
    Budget(amount=12800.0, unit='iterations')
    """
    own = table.fresh()
    costs = [own.evaluate(Trial(model)).cost.iterations for model in searchable(own)]
    return Budget(min(50, max(1, len(costs) // 4)) * float(np.mean(costs)))


def searchable(table: TableObjective) -> tuple[str, ...]:
    """The models of a table, of which there has to be one.

    Raises:
        QueryError: no model has all the runs that the signal reads.
    """
    if not table.models:
        raise QueryError("no model was trained on all images that the signal reads: choose another")
    return table.models


def signal_tau(table: TableObjective, regret: Callable[[str], float]) -> float | None:
    """Kendall's tau-b between the signal of whole trainings and what a search is judged by.

    Args:
        table: whose models are compared.
        regret: of a model, dB.

    Returns:
        None where whole trainings have no such signal, or too few models have.
    """
    own = table.fresh()
    try:
        signals = {model: own.evaluate(Trial(model)).signal for model in own.models}
        known = {model: signal for model, signal in signals.items() if signal is not None}
        return -kendall_tau([*known.values()], [regret(model) for model in known]).value
    except QueryError:
        return None


def replay_surrogate(
    bench: Benchmark,
    image: str,
    task: str,
    algorithms: Sequence[str],
    questions: int,
    *,
    by: By = "best_psnr_smooth",
    seeds: Sequence[int] = tuple(range(10)),
) -> pd.DataFrame:
    """Search the whole space on a surrogate of the benchmark, which the label says.

    Args:
        bench: a benchmark.
        image: an image's name.
        task: a task or its text form.
        algorithms: names of `ON_SURROGATE`.
        questions: how many models each search may ask about.
        by: what the surrogate predicts.
        seeds: of the searches.

    Returns:
        As `replay`, with `questions` for iterations; regret is below the highest prediction over
        the whole space.
    """
    objective = SurrogateObjective(bench, image, task, by=by)
    if not is_count(questions):
        raise QueryError(f"a surrogate is asked for models: give a whole number, not {questions!r}")
    budget = Budget(questions)
    searches = []
    for name in dict.fromkeys(listed_names("algorithms", algorithms)):
        if name not in ON_SURROGATE:
            raise QueryError(unknown("algorithm on a surrogate", name, ON_SURROGATE))
        for seed in _distinct(seeds):
            searcher = ON_SURROGATE[name](generator("search", name, seed))
            searches.append((name, seed, run_search(searcher, objective, budget)))

    def regret(model: str) -> float:
        return objective.best - float(objective.predict([Genotype.parse(model)])[0])

    found = _frame(searches, regret, signal="truth of the surrogate", by=by, budget=budget)
    found.attrs["unit"] = "questions"
    return found.rename(columns={"iterations": "questions"})


def trace_frame(trace: Trace) -> pd.DataFrame:
    """A row a step of one search; costs are cumulative, missing where they are not known."""
    rows = [
        {
            "step": number,
            "model": step.outcome.trial.model,
            "signal": step.outcome.signal,
            "iterations": step.spent.iterations,
            "macs": step.spent.macs,
            "seconds": step.spent.seconds,
            "chosen": chosen,
        }
        for number, (step, chosen) in enumerate(zip(trace.steps, trace.incumbents(), strict=True))
    ]
    columns = ["step", "model", "signal", *UNITS, "chosen"]
    return pd.DataFrame(rows, columns=columns).astype(
        {"signal": float, "macs": float, "seconds": float}
    )


def spending(replayed: pd.DataFrame) -> pd.DataFrame:
    """What the searches of each algorithm really spent.

    Args:
        replayed: from `replay` or `replay_surrogate`.

    Returns:
        Rows: algorithm, spent (mean over its searches in the unit of the frame; a last training is
        paid to its end, beyond the budget), searches, and ended: how many of them had nothing left
        to try before the budget was spent.
    """
    unit, budget = replayed.attrs["unit"], replayed.attrs["budget"]
    last = replayed.groupby(["algorithm", "seed"], sort=False)[unit].last().reset_index()
    own = last.assign(ended=last[unit] < budget).groupby("algorithm", sort=False)
    found = own.agg(spent=(unit, "mean"), searches=(unit, "size"), ended=("ended", "sum"))
    return pd.DataFrame(found.reset_index())


def regret_by_cost(replayed: pd.DataFrame, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Mean regret over the searches of each algorithm, on a grid of costs.

    A search that ends early keeps its last choice. The interval is a percentile bootstrap over
    searches; it starts where every search has chosen a model. The grid ends at the budget, or where
    the last search of all had nothing left to try.

    Args:
        replayed: from `replay` or `replay_surrogate`.
        level: of the interval.
        seed: of the resampling.

    Returns:
        Rows: algorithm, cost (in the unit of the frame), regret, low, high (dB; missing for fewer
        than `FEWEST_SEARCHES`), searches. In `.attrs["left_out"]` the algorithms of which not every
        search chose a model within the budget.

    Raises:
        QueryError: of no algorithm every search has chosen a model, or the level is none.
    """
    check_level(level)
    unit, budget = replayed.attrs["unit"], replayed.attrs["budget"]
    last = min(budget, float(replayed[unit].max()))
    rows, left_out = [], []
    for name, own in replayed.groupby("algorithm", sort=False):
        searches = [search for _, search in own.groupby("seed")]
        known = [search.dropna(subset=["chosen"]) for search in searches]
        # One that withdrew its choice, and found no other, has none.
        if any(search["chosen"].isna().iloc[-1] for search in searches) or budget < (
            first := max(float(search[unit].iloc[0]) for search in known)
        ):
            left_out.append(name)
            continue
        grid = np.linspace(first, last, GRID)
        table = np.stack([_at(search, unit, grid) for search in known])
        draws = generator("regret", seed).integers(len(table), size=(RESAMPLES, len(table)))
        counts = np.stack([np.bincount(drawn, minlength=len(table)) for drawn in draws])
        means = counts @ table / len(table)
        ends = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
        if len(table) < FEWEST_SEARCHES:
            ends = np.full_like(ends, np.nan)
        rows.append(
            pd.DataFrame(
                {
                    "algorithm": name,
                    "cost": grid,
                    "regret": table.mean(axis=0),
                    "low": ends[0],
                    "high": ends[1],
                    "searches": len(table),
                }
            )
        )
    if not rows:
        raise QueryError(f"within {budget:g} {unit} not every search chose a model: give more")
    found = pd.concat(rows, ignore_index=True)
    found.attrs = {**replayed.attrs, "level": level, "left_out": left_out}
    return found


def _at(search: pd.DataFrame, unit: str, grid: np.ndarray) -> np.ndarray:
    """The regret of the last step whose cost is at most each of the grid's."""
    place = np.searchsorted(search[unit].to_numpy(), grid, side="right") - 1
    return np.asarray(search["regret"].to_numpy()[place])


def _frame(
    searches: Sequence[tuple[str, int, Trace]],
    regret: Callable[[str], float],
    *,
    signal: str,
    by: By,
    budget: Budget,
) -> pd.DataFrame:
    if not searches:
        raise QueryError("no search to run: name an algorithm and a seed")
    frames = []
    for name, seed, trace in searches:
        frame = trace_frame(trace)
        frame.insert(0, "algorithm", name)
        frame.insert(1, "seed", seed)
        regrets = {model: regret(model) for model in frame["chosen"].dropna().unique()}
        frame["regret"] = frame["chosen"].map(regrets).astype(float)
        frames.append(frame)
    found = pd.concat(frames, ignore_index=True)
    label = searches[0][2].label
    found.attrs.update(
        label=label, signal=signal, by=by, unit=budget.unit, budget=float(budget.amount)
    )
    return found
