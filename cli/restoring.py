"""Commands that restore one picture: with a model that is named, or with one searched for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..data import save_image
from . import degraded, options
from .comparing import compare
from .compressing import compress, decompress
from .output import console, facts_table, model_cell, notes, print_json, progress_bar, table
from .targets import FIGURES, PICTURES, check_apart, check_target, check_target_folder

if TYPE_CHECKING:
    from ..analysis.search.isnas import SearchResult
    from ..data import Image
    from ..evaluate.restoring import Restoration

Degraded = Annotated[
    Path, typer.Argument(help="The degraded picture: PNG, TIFF or JPEG.", show_default=False)
]
Out = Annotated[Path, typer.Option(help="The restored picture: PNG or TIFF.", show_default=False)]
Task = Annotated[
    str,
    typer.Option(
        help="What was done to it: denoising-25, inpainting, sr-4 and so on.", show_default=False
    ),
]
Bits = Annotated[Literal["8", "16"], typer.Option(help="Bits of each channel of the output.")]
Seed = Annotated[int, typer.Option(help="Seed of the network's input, weights and input noise.")]


_STAGES = ("scoring", "candidates", "selected model")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (restore, search, compress, decompress, compare):
        app.command(rich_help_panel="Restore a picture")(command)


def restore(
    image: Degraded,
    task: Task,
    out: Out,
    model: Annotated[
        str, typer.Option(help="dip, deep-decoder, another named network, or a genotype.")
    ] = "dip",
    mask: degraded.Mask = None,
    truth: degraded.Truth = None,
    keep: degraded.Keep = None,
    iterations: degraded.Iterations = None,
    input_noise: Annotated[
        float | None,
        typer.Option(
            help="Deviation of the noise added to the network's input in each iteration, instead "
            "of the published one.",
        ),
    ] = None,
    input_noise_decay: Annotated[
        float | None,
        typer.Option(
            help="Factor on it from one iteration to the next: 0.999 halves it in 693. "
            "Without it the noise stays.",
        ),
    ] = None,
    gif: Annotated[Path | None, typer.Option(help="Write the training as a GIF.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write its dynamics as PNG, SVG or PDF.")
    ] = None,
    bits: Bits = "8",
    seed: Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Restore a degraded picture with a network that is trained on it alone.

    An interrupt (Ctrl-C) ends the training and writes what --return gives of it so far.

    Example: `dipbench restore noisy.png --task denoising-25 --out clean.png --plot dynamics.png`
    """
    check_target(out, PICTURES, "--out")
    check_target(gif, (".gif",), "--gif")
    check_target(plot, FIGURES, "--plot")
    check_apart(
        {"--out": out, "--gif": gif, "--plot": plot},
        {"the degraded picture": image, "--mask": mask, "--truth": truth},
    )
    from ..evaluate.animation import Frames
    from ..evaluate.published import published_protocol
    from ..evaluate.restoring import restore as run

    observation, wanted = degraded.read_degraded(image, task, mask)
    planned = iterations or published_protocol(model, wanted).iterations_for(wanted.kind)
    known = degraded.read_truth(truth)
    frames = None if gif is None else Frames(observation, planned)
    remark = "nothing is written"
    with degraded.told_if_interrupted(remark), progress_bar() as bar:
        line = bar.add_task("restoring", total=planned)

        def show(done: int, training: Any) -> None:
            bar.update(line, completed=done, description=_state(training.tracker.curves()))
            if frames is not None:
                frames.take(done, training)

        made = run(
            observation,
            wanted,
            model,
            truth=known,
            keep=keep,
            iterations=iterations,
            input_noise=input_noise,
            input_noise_decay=input_noise_decay,
            seed=seed,
            device=device,
            precision=precision,
            threads=threads,
            progress=show,
        )
    save_image(out, made.image, bits=int(bits))
    if frames is not None and gif is not None:
        frames.write(gif, made.image)
    if plot is not None:
        from ..analysis.plots import save
        from ..analysis.plots_restoration import dynamics

        save(dynamics(made), plot)
    if as_json:
        print_json(_record(made, known, out))
    else:
        console.print(facts_table(_facts(made, known, out)))
    degraded.tell_missing_lpips(made.quality)
    _end_early(made, out)


def search(
    image: Degraded,
    task: Task,
    out: Out,
    models: Annotated[int, typer.Option(min=1, help="Random genotypes to score.")] = 5000,
    keep_models: Annotated[
        int, typer.Option("--keep", min=1, help="How many of them are trained.")
    ] = 15,
    score: Annotated[str, typer.Option(help="A score of the untrained output.")] = (
        "psd_db_strip_mse"
    ),
    select: Annotated[
        Literal["average", "discrepancy", "discrepancy_variance"],
        typer.Option(
            help="Which candidate is selected: the one nearest to their average, as published; the "
            "one that differs from the picture by its known noise, better for few iterations; or, "
            "for more, the one whose output varied most when it came so near."
        ),
    ] = "average",
    small_side: Annotated[
        int | None,
        typer.Option(
            min=64,
            help="Train the candidates on the picture averaged down to this short side: quicker, "
            "and another problem, for noise is averaged out.",
        ),
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Seconds for all of it.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Folder to record every step in; give it again to resume.")
    ] = None,
    mask: degraded.Mask = None,
    truth: degraded.Truth = None,
    keep: degraded.KeepOfSearch = "smooth",
    iterations: degraded.Iterations = None,
    bits: Bits = "8",
    seed: Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Search an architecture for this one picture, and restore it with what is found.

    As published by ISNAS-DIP: many genotypes are scored untrained, the best few trained, the one
    whose output is nearest to their average is selected and trained from fresh weights.

    Example: `dipbench search noisy.png --task denoising-25 --models 5000 --keep 15 --trace steps
    --out clean.png`
    """
    check_target(out, PICTURES, "--out")
    course = None if trace is None else trace / "search.png"
    check_target_folder(trace, "--trace")
    if trace is not None and trace.is_dir():
        check_target(course, FIGURES, "--trace")
    check_apart(
        {"--out": out, "the course of --trace": course},
        {"the degraded picture": image, "--mask": mask, "--truth": truth},
    )
    from ..analysis.search.isnas import search as run

    observation, wanted = degraded.read_degraded(image, task, mask)
    known = degraded.read_truth(truth)
    remark = (
        "nothing is kept; with --trace FOLDER it could be taken up"
        if trace is None
        else f"{trace} holds what is done; the same command goes on there"
    )
    with degraded.told_if_interrupted(remark), progress_bar() as bar:
        line = bar.add_task("searching", total=None)
        found = run(
            observation,
            wanted,
            models=models,
            keep=keep_models,
            score=score,
            selection=select,
            iterations=iterations,
            output=keep,
            small_side=small_side,
            budget=budget,
            folder=trace,
            truth=known,
            seed=seed,
            device=device,
            precision=precision,
            threads=threads,
            progress=lambda stage, done, total: bar.update(
                line, description=stage, completed=done, total=total
            ),
        )
    save_image(out, found.restoration.image, bits=int(bits))
    if course is not None:
        from ..analysis.plots import save
        from ..analysis.plots_restoration import search_course

        save(search_course(found), course)
    if as_json:
        print_json(_search_record(found, known, out))
    else:
        _print_found(found, known, out)
    degraded.tell_missing_lpips(found.restoration.quality)
    _end_early(found.restoration, out)


def _course(found: "SearchResult") -> dict[str, Any]:
    return {
        "selected": found.selected,
        "scored": len(found.scores),
        "trained": len(found.candidates),
    }


def _search_record(found: "SearchResult", truth: "Image | None", out: Path) -> dict[str, Any]:
    return {
        **_course(found),
        "selected_by": found.selected_by,
        **_record(found.restoration, truth, out),
        "effective_sigma": found.effective_sigma,
        "stage_seconds": dict(zip(_STAGES, found.seconds, strict=True)),
        "candidates": [vars(one) for one in found.candidates],
    }


def _print_found(found: "SearchResult", truth: "Image | None", out: Path) -> None:
    rows = [
        (
            model_cell(one.model),
            f"{one.score:.4g}",
            f"{one.loss:.5f}",
            "never" if one.distance is None else f"{one.distance:.2e}",
        )
        for one in found.candidates
    ]
    rule = {"average": "distance", "discrepancy_variance": "variance at noise"}.get(
        found.selected_by, found.selected_by
    )
    columns = ["trained", ">score", ">lowest loss", f">{rule}"]
    title = f"best {len(rows)} of {len(found.scores)} by {found.score}"
    console.print(table(columns, rows, title))
    if found.selected_by != found.selection:
        notes.print(
            "no candidate came as near to the picture as its noise: the nearest is selected, as by "
            f"--select {found.selected_by}; more --iterations may bring them there"
        )
    facts = {**_course(found), **_facts(found.restoration, truth, out)}
    if found.effective_sigma is not None:
        facts["candidates' sigma"] = round(found.effective_sigma, 2)
    spent = zip(found.seconds, _STAGES, strict=True)
    facts["seconds"] = ", ".join(f"{seconds:.1f} {stage}" for seconds, stage in spent)
    console.print(facts_table(facts))


def _end_early(made: "Restoration", out: Path) -> None:
    """Tell that a training was interrupted or diverged, by the exit status too."""
    ended, reason = made.fit.status, made.fit.reason
    if ended in degraded.ENDED_EARLY:
        told = reason if reason.startswith(ended) else f"{ended}, {reason}"
        notes.print(f"{told}: {out} holds what --return {made.kept} gives of the iterations before")
        raise typer.Exit(degraded.ENDED_EARLY[ended])


def _state(curves: dict[str, Any]) -> str:
    """The end of a training's curves, for the progress bar."""
    if not len(curves["loss"]):
        return "restoring"
    psnr = f"  PSNR {curves['psnr'][-1]:.2f} dB" if "psnr" in curves else ""
    return f"loss {curves['loss'][-1]:.5f}{psnr}"


def _record(made: "Restoration", truth: "Image | None", out: Path) -> dict[str, Any]:
    """A restoration for a program."""
    mask, fit = made.observation.mask, made.fit
    best: dict[str, Any] = {}
    if made.quality:
        best = {
            "best_psnr": fit.best_psnr,
            "best_psnr_iteration": fit.best_psnr_iteration,
            "best_psnr_smooth": fit.best_psnr_smooth,
            "best_psnr_smooth_iteration": fit.best_psnr_smooth_iteration,
        }
    return {
        "model": made.model,
        "task": made.task,
        "missing": None if mask is None else float((~mask).mean()),
        "iterations": fit.length,
        "status": fit.status,
        "reason": fit.reason,
        "kept": made.kept,
        "iteration": made.iteration,
        "fired": made.fired,
        "seconds": fit.seconds,
        "precision": made.protocol.precision,
        "parameters": fit.parameters,
        **made.quality,
        "degraded_psnr": degraded.degraded_psnr(made.observation, truth),
        **best,
        "written": str(out),
    }


def _facts(made: "Restoration", truth: "Image | None", out: Path) -> dict[str, Any]:
    """A restoration for a reader."""
    told = _record(made, truth, out)
    unfired = degraded.unfired(made.fired, told["status"])
    facts = {name: told[name] for name in ("model", "task", "iterations", "status")}
    if told["missing"] is not None:
        facts["missing"] = f"{told['missing']:.1%} of the pixels"
    if told["reason"]:
        facts["reason"] = told["reason"]
    facts["kept"] = f"{made.kept}, iteration {made.iteration}{unfired}"
    facts["seconds"] = round(told["seconds"], 1)
    facts |= {name: told[name] for name in ("precision", "parameters")}
    names = {"psnr": "PSNR dB", "ssim": "SSIM", "lpips": "LPIPS"}
    facts |= {names[key]: round(value, 4) for key, value in made.quality.items()}
    if told["degraded_psnr"] is not None:
        facts["degraded picture"] = f"{told['degraded_psnr']:.2f} dB"
    if made.quality:
        facts["best output"] = (
            f"{told['best_psnr']:.2f} dB, iteration {told['best_psnr_iteration']}; smoothed "
            f"{told['best_psnr_smooth']:.2f} dB, iteration {told['best_psnr_smooth_iteration']} "
            "(only one who knows the truth could choose these)"
        )
    return {**facts, "written": told["written"]}
