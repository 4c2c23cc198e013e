"""The command that replays architecture searches against a benchmark."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..benchmark import load
from ..errors import QueryError, unknown
from ..evaluate.plugins import load_plugin
from . import options
from .output import console, notes, print_json, say, table
from .targets import FIGURES, check_target

if TYPE_CHECKING:
    import pandas as pd

    from ..analysis.search import Budget
    from ..analysis.search.table import TableObjective

DEFAULT_ALGORITHMS = ("random", "score", "halving")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("search-replay", rich_help_panel="Analyse")(search_replay)


def search_replay(
    image: options.Image,
    task: options.Task,
    algorithms: Annotated[
        str | None,
        typer.Option(
            help="Comma list of random, score, halving, bayesian, evolution, local; without it the "
            "first three, on a surrogate random and the last two."
        ),
    ] = None,
    store: options.Store = options.SHIPPED,
    signal: Annotated[
        str | None,
        typer.Option(
            help="What searchers see: observed_loss, variance, discrepancy, discrepancy_variance, "
            "other_images, or truth, which is an upper bound. By default observed_loss; where a "
            "rule that knows the truth has ended runs, discrepancy_variance, or discrepancy if no "
            "variance was recorded."
        ),
    ] = None,
    by: options.Summary = "best_psnr_smooth",
    budget: Annotated[
        float | None,
        typer.Option(
            help="Budget of each search; by default what 50 whole trainings take on average, or a "
            "quarter of the models where that is less."
        ),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="iterations (default), macs or seconds.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each algorithm.")] = 20,
    seed: options.Seed = None,
    score: Annotated[
        str | None,
        typer.Option(help="What the algorithm score goes by; by default psd_db_strip_mse."),
    ] = None,
    surrogate: Annotated[
        bool,
        typer.Option(
            "--surrogate",
            help="Search a formula fitted to the table instead, for evolution and local; the "
            "budget then counts questions.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Draw regret against cost: a .png, .svg or .pdf file.")
    ] = None,
    plugin: options.Plugin = None,
    as_json: options.Json = False,
) -> None:
    """Replay searches against a benchmark: how far below its best model, at which cost.

    Example: `dipbench search-replay camera denoising --algorithms random,halving --out search.png`
    """
    check_target(out, FIGURES, "--out")
    if surrogate:
        _refuse_idle({"--signal": signal, "--unit": unit, "--score": score, "--seed": seed})
    from ..analysis.search.replaying import (
        DEFAULT_SCORE,
        ON_SURROGATE,
        default_score,
        regret_by_cost,
        replay,
        replay_surrogate,
        spending,
    )
    from ..analysis.search.table import TableObjective, default_signal

    if plugin is not None:
        load_plugin(plugin)
    bench = load(store)
    guide = score or default_score(bench)
    default = [name for name in DEFAULT_ALGORITHMS if guide or name != "score"]
    own = ",".join(ON_SURROGATE if surrogate else default)
    chosen = own if algorithms is None else algorithms
    names = [name.strip() for name in chosen.split(",") if name.strip()]
    if score is not None and "score" not in names:
        raise QueryError(f"--score {score} is for the algorithm score: name it in --algorithms too")
    judged, searches = options.read_by(by), range(seeds)
    if surrogate:
        found = replay_surrogate(
            bench, image, task, names, _questions(budget), by=judged, seeds=searches
        )
    else:
        seen = signal or default_signal(bench, image, task, seed)
        searched = TableObjective(bench, image, task, seen, by=judged, seed=seed)
        found = replay(
            bench,
            image,
            task,
            names,
            _budget(searched, budget, unit or "iterations"),
            signal=seen,
            by=judged,
            seeds=searches,
            run_seed=seed,
            score=guide or DEFAULT_SCORE,
        )
    if out is not None:
        from ..analysis.plots import save
        from ..analysis.plots_search import regret_curves

        notes.print(f"wrote {save(regret_curves(found), out)}")
    by_cost, spent = regret_by_cost(found), spending(found)
    _tell_shortfalls(by_cost, spent)
    last = by_cost.groupby("algorithm", sort=False).tail(1)
    ends = last.merge(spent.drop(columns="searches"), on="algorithm").to_dict("records")
    if as_json:
        told = {key: found.attrs.get(key) for key in ("signal", "signal_tau", "budget", "unit")}
        left_out = by_cost.attrs["left_out"]
        print_json({"label": found.attrs["label"], **told, "rows": ends, "left_out": left_out})
    else:
        _print_ends(ends, found.attrs, by)


def _refuse_idle(options_given: Mapping[str, object]) -> None:
    """Refuse options that a search on a surrogate does not look at."""
    given = [name for name, value in options_given.items() if value is not None]
    if given:
        raise QueryError(
            f"--surrogate takes no {', '.join(given)}: it predicts the truth, and counts questions"
        )


def _budget(searched: "TableObjective", amount: float | None, unit: str) -> "Budget":
    """The budget that was given, or the default one, which is of iterations."""
    from ..analysis.search import Budget
    from ..analysis.search.interface import UNITS
    from ..analysis.search.replaying import default_budget

    if unit not in UNITS:
        raise QueryError(unknown("unit of cost", unit, UNITS))
    if amount is not None:
        return Budget(amount, unit)  # type: ignore[arg-type]
    if unit != "iterations":
        raise QueryError(
            f"a search in {unit} has no default budget: give --budget, or leave out --unit"
        )
    return default_budget(searched)


def _tell_shortfalls(by_cost: "pd.DataFrame", spent: "pd.DataFrame") -> None:
    """Say which algorithms are not compared, and which had nothing left to try."""
    budget, unit = by_cost.attrs["budget"], by_cost.attrs["unit"]
    for name in by_cost.attrs["left_out"]:
        notes.print(f"{name}: within {budget:g} {unit} not every search chose a model: give more")
    for row in spent[spent["ended"] > 0].itertuples():
        notes.print(
            f"{row.algorithm}: {row.ended} of {row.searches} searches had nothing left to try "
            f"before {budget:,.0f} {unit} were spent"
        )


def _print_ends(ends: Sequence[Mapping[Any, Any]], told: Mapping[Any, Any], by: str) -> None:
    """Where the searches of each algorithm ended."""
    rows = [
        (
            row["algorithm"],
            f"{row['spent']:,.0f}",
            f"{row['regret']:.3f}",
            "" if math.isnan(row["low"]) else f"{row['low']:.3f} … {row['high']:.3f}",
        )
        for row in ends
    ]
    columns = ["algorithm", f">{told['unit']} spent", ">regret dB", ">95 % interval"]
    console.print(table(columns, rows, told["label"]))
    tau = told.get("signal_tau")
    if tau is not None:
        say(
            f"over whole trainings {told['signal']} has a Kendall's tau of {tau:+.2f} with "
            f"{by}: positive where it speaks for the better model"
        )


def _questions(budget: float | None) -> int:
    """How many models a search asks the surrogate for."""
    if budget is None:
        return 500
    if not math.isfinite(budget) or budget < 1 or budget != int(budget):
        raise QueryError(f"a surrogate is asked for models: give a whole --budget, not {budget:g}")
    return int(budget)
