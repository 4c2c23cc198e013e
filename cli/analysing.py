"""Commands that judge: scores by the truth, benchmarks by each other, stopping by what it costs."""

from typing import Annotated

import typer

from ..benchmark import load
from ..benchmark.names import find_task
from ..errors import QueryError
from ..evaluate.plugins import load_plugin
from . import options
from .output import (
    console,
    interval_text,
    notes,
    number_text,
    print_json,
    records_of,
    score_cell,
    table,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (kendall, compare_scores, agreement, stopping):
        app.command(rich_help_panel="Analyse")(command)


def kendall(
    image: options.Image,
    task: options.Task,
    scores: Annotated[
        list[str] | None,
        typer.Argument(help="Names of scores, or `published`; by default all.", show_default=False),
    ] = None,
    store: options.Store = options.SHIPPED,
    by: options.Judged = "best_psnr_smooth",
    where: options.Where = None,
    plugin: options.Plugin = None,
    as_json: options.Json = False,
) -> None:
    """Kendall's tau-b of training-free scores against the PSNR reached.

    `tau` is raw; `directed` is positive where the score works in its declared direction. Beside
    the stored scores there is `mean_rank_elsewhere`, a baseline that any score must beat: the
    model's mean rank on the other images of the task, where there are any. `p` takes every model
    as independent, which makes it too small: `correlate` has better ones.

    Example: `dipbench kendall camera denoising psd_db_strip_mse --store demo-store`
    """
    from ..analysis.correlation import kendalls

    if plugin is not None:
        load_plugin(plugin)
    names = options.read_scores(scores) if scores else None
    bench = load(store)
    found = kendalls(bench, image, task, names, options.read_by(by), where)
    judged = {name: one for name, one in found.items() if not isinstance(one, str)}
    refused = [one for one in found.values() if isinstance(one, str)]
    if not judged:
        raise QueryError(refused[0] if refused else f"no score of {image} under {task}: score it")
    if as_json:
        print_json({name: vars(result) for name, result in judged.items()})
    else:
        rows = [
            (
                score_cell(name),
                *(f"{r.tau:+.3f}", number_text(r.tau_directed, "+.3f"), f"{r.p_value:.2g}"),
                *(r.n, r.missing),
            )
            for name, r in judged.items()
        ]
        how = options.asked_words(by, {"where": where})
        title = f"Kendall's tau on {image}, {find_task(task, bench.tasks)}, by {how}"
        columns = ["score", ">tau", ">directed", ">p", ">n", ">missing"]
        console.print(table(columns, rows, title))
    for reason in refused:
        notes.print(reason)


def compare_scores(
    score: Annotated[
        str, typer.Argument(help="The one that the others are set beside, a baseline say.")
    ],
    store: options.Store = options.SHIPPED,
    image: options.OneImage = None,
    task: options.OneTask = None,
    other: Annotated[
        list[str] | None,
        typer.Option("--score", help="One of the others, or `published`; may be repeated."),
    ] = None,
    by: options.Judged = "best_psnr_smooth",
    where: options.Where = None,
    plugin: options.Plugin = None,
    as_json: options.Json = False,
) -> None:
    """Which scores rank the models better than a given one does.

    `more` is a score's directed tau less that of the given one, on the same models, with its 95 %
    bootstrap interval on the same resamples: where 0 lies in it, no difference is shown. The taus
    are tau-a, in which ties count as if broken by chance, so that a score which knows a few kinds
    of models alone gains nothing by its ties. `p` is of one difference, not adjusted for several.

    Example: `dipbench compare-scores primitive_attenuation --score published`
    """
    from ..analysis import compare_scores as compared

    if plugin is not None:
        load_plugin(plugin)
    firsts = options.read_scores(other) if other else None
    found = compared(load(store), firsts, score, image, task, options.read_by(by), where=where)
    if found["difference"].isna().all():
        raise QueryError(f"nothing could be compared: {found['reason'].iloc[0]}")
    if as_json:
        print_json(records_of(found))
        return
    how = options.asked_words(by, {"where": where})
    for (name, text), part in found.groupby(["image", "task"], sort=False):
        judged = part.dropna(subset="difference").sort_values("difference", ascending=False)
        rows = [
            (
                *(score_cell(row["first"]), number_text(row["first_tau_directed"], "+.3f")),
                *(number_text(row["difference"], "+.3f"), interval_text(row["low"], row["high"])),
                *(number_text(row["p_bootstrap"], ".2g"), row["n"]),
            )
            for row in judged.to_dict("records")
        ]
        if rows:
            title = f"{name}, {text}, by {how}; beside {score}, which has "
            title += number_text(judged["second_tau_directed"].iloc[0], "+.3f")
            console.print(table(["score", ">tau-a", ">more", ">95 %", ">p", ">n"], rows, title))
        for reason, those in part.dropna(subset="reason").groupby("reason", sort=False):
            names = "all scores" if len(those) == len(part) else ", ".join(those["first"])
            notes.print(f"{name}, {text}: {reason} ({names})")


def agreement(
    other: options.NamedStore,
    store: options.Store = options.SHIPPED,
    image: options.OneImage = None,
    task: options.OneTask = None,
    by: options.Judged = "best_psnr_smooth",
    where: options.Where = None,
    as_json: options.Json = False,
) -> None:
    """Whether another benchmark orders the models alike: of another size, protocol or laboratory.

    `tau` is Kendall's tau-b between the PSNRs of the models that both hold, means over the seeds,
    with its 95 % bootstrap interval by upsample block; `seeds` the same between single seeds,
    `at most` what that would be if both had one order, by how well the seeds of each agree.
    `regret` is what taking the other's best model costs in --store, whose runs --where is asked of.
    --json gives every column.

    Example: `dipbench agreement mine-128 --store mine-64`
    """
    from ..analysis.agreeing import agreement as judge

    frame = judge(load(store), load(other), image, task, options.read_by(by), where)
    records = records_of(frame)
    how = options.asked_words(by, {"where": where})
    if all(row["tau"] is None for row in records):
        raise QueryError(f"nothing could be compared by {how}: {records[0]['reason']}")
    if as_json:
        print_json(records)
        return
    rows = [
        (
            f"{row['image']}, {row['task']}",
            f"{row['tau']:+.2f}",
            interval_text(row["tau_low"], row["tau_high"]),
            number_text(row["seed_tau"], "+.2f"),
            number_text(row["attainable_tau"], "+.2f"),
            f"{row['transfer_regret']:.2f}",
            row["n"],
        )
        for row in records
        if row["tau"] is not None
    ]
    columns = ["image, task", ">tau", ">95 %", ">seeds", ">at most", ">regret", ">n"]
    console.print(table(columns, rows, f"{store} and {other}, by {how}; regret in dB"))
    for row in records:
        if row["reason"]:
            notes.print(f"{row['image']}, {row['task']}: {row['reason']}")


def stopping(
    store: options.Store = options.SHIPPED,
    image: options.OneImage = None,
    task: options.OneTask = None,
    as_json: options.Json = False,
) -> None:
    """How many dB each stopping criterion leaves on the table, replayed on the recorded curves.

    Lost is the best smoothed PSNR less that at the iteration whose output the criterion keeps:
    the median over the models, its quartiles and the most. `kept at` is the median iteration,
    `at end` the share of the runs whose last output is kept. A run that was ended before, by a rule
    that knows the truth, counts as one that loses most.

    Example: `dipbench stopping --store demo-store --task denoising`
    """
    from ..analysis.early_stops import stopping_losses

    frame = stopping_losses(load(store), image, task)
    records = records_of(frame)
    if as_json:
        print_json(records)
        return
    for (name, text), part in frame.groupby(["image", "task"], sort=False):
        rows = [
            (
                row["criterion"],
                f"{row['lost']:.2f}",
                " ".join(_decibels(row[f"lost_quartile_{place}"]) for place in (1, 3)),
                _decibels(row["lost_most"]),
                f"{row['iteration']:.0f}",
                f"{row['at_end']:.0%}",
                row["n"],
            )
            for row in part.to_dict("records")
            if row["n"]
        ]
        columns = ["criterion", ">lost dB", ">quartiles", ">most", ">kept at", ">at end", ">n"]
        if rows:
            console.print(table(columns, rows, f"{name}, {text}"))
    for row in records:
        asked = f"{row['image']}, {row['task']}, {row['criterion']}"
        if row["reason"]:
            notes.print(f"{asked}: {row['reason']}")
        elif row["left_out"]:
            notes.print(f"{asked}: cannot be applied to {row['left_out']} of the runs")


def _decibels(value: float) -> str:
    return number_text(value, ".2f") or "?"
