"""The command that sets models beside each other on one picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..data import load_image, parse_task
from ..errors import ImageError, TaskError
from . import degraded, options
from .output import console, model_cell, notes, number_text, print_json, progress_bar, say, table
from .targets import FIGURES, check_apart, check_target

if TYPE_CHECKING:
    from ..data import Image, Observation, Task
    from ..evaluate.comparing import Row


def compare(
    image: Annotated[
        str,
        typer.Argument(
            help="The true picture, which is degraded: a file or a packaged name.",
            show_default=False,
        ),
    ],
    models: Annotated[
        str,
        typer.Option(
            help="Comma list of named networks, genotypes, and bm3d and deepinv-dip "
            "(which need the extra compare); without it dip, deep-decoder and conv-decoder.",
            show_default=False,
        ),
    ] = "dip,deep-decoder,conv-decoder",
    task: Annotated[
        str | None,
        typer.Option(
            help="What is done to the picture (denoising-25 without it), or was to a degraded one."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=64, help="Cut out a square and resize it to this side.")
    ] = None,
    is_degraded: Annotated[
        bool, typer.Option("--degraded", help="The picture is degraded already.")
    ] = False,
    mask: degraded.Mask = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="The ground truth of a degraded picture; for judging alone."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet as PNG, SVG or PDF.")
    ] = None,
    keep: degraded.Keep = None,
    iterations: degraded.Iterations = None,
    seconds: Annotated[
        float | None, typer.Option(help="End every training after this time.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the observation and the trainings.")] = 0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Restore one picture with several models, on one observation: a table and a contact sheet.

    An interrupt (Ctrl-C) ends it with what there is until then.

    Example: `dipbench compare camera --size 128 --models dip,deep-decoder,bm3d --sheet sheet.png`
    """
    check_target(sheet, FIGURES, "--sheet")
    check_apart({"--sheet": sheet}, {"the picture": image, "--mask": mask, "--truth": truth})
    from ..evaluate.comparing import compare as run

    if is_degraded:
        if size is not None:
            raise ImageError("--size is for a true picture: a degraded one is taken as it is")
        if task is None:
            raise TaskError("--degraded needs --task: say what was done, such as denoising-25")
        observation, wanted = degraded.read_degraded(image, task, mask)
        known = degraded.read_truth(truth)
    else:
        if truth is not None:
            raise ImageError(f"{image} is taken for the truth: --truth needs --degraded beside it")
        observation, wanted, known = _degrade(image, task or "denoising-25", mask, size, seed)
    names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
    with degraded.told_if_interrupted("nothing is kept"), progress_bar() as bar:
        line = bar.add_task("comparing", total=None)
        rows = run(
            observation,
            wanted,
            names,
            truth=known,
            keep=keep,
            iterations=iterations,
            seconds=seconds,
            seed=seed,
            device=device,
            precision=precision,
            threads=threads,
            progress=lambda model, done, total: bar.update(
                line, description=model, completed=done, total=total
            ),
        )
    degraded.tell_missing_lpips(next((row.quality for row in rows if row.quality), {}))
    if as_json:
        print_json([{k: v for k, v in vars(row).items() if k != "image"} for row in rows])
    else:
        _print_rows(rows, f"{image}, {wanted}")
        _print_kept(rows)
        before = degraded.degraded_psnr(observation, known)
        if before is not None:
            say(f"the degraded picture itself: {before:.2f} dB")
        if known is not None:
            say("best smoothed: of what was run, dB; choosing it takes the truth")
    if sheet is not None:
        from ..analysis.plots import save
        from ..analysis.plots_restoration import comparison_sheet

        save(comparison_sheet(rows, observation, known, f"{Path(image).stem}, {wanted}"), sheet)
        notes.print(f"{sheet}: every picture side by side")
    if rows[-1].status == "interrupted":
        left = f"; not run: {', '.join(names[len(rows) :])}" * (len(rows) < len(names))
        notes.print(f"interrupted in {rows[-1].model}{left}")
        raise typer.Exit(130)
    if all(row.image is None for row in rows):
        raise typer.Exit(1)


def _print_rows(rows: "list[Row]", title: str) -> None:
    by_column: dict[str, list[Any]] = {
        "model": [model_cell(row.model) for row in rows],
        ">PSNR dB": [number_text(row.quality.get("psnr"), ".2f") for row in rows],
        ">SSIM": [number_text(row.quality.get("ssim"), ".3f") for row in rows],
        ">best\nsmoothed": [number_text(row.best_psnr_smooth, ".2f") for row in rows],
        ">iterations": [row.iterations or "" for row in rows],
        ">seconds": [f"{row.seconds:.1f}" for row in rows],
        ">LPIPS": [number_text(row.quality.get("lpips"), ".3f") for row in rows],
    }
    # Without the truth there is nothing to judge by, and few have LPIPS.
    shown = {name: cells for name, cells in by_column.items() if any(map(str, cells))}
    console.print(table(shown, zip(*shown.values(), strict=True), title))
    for row in rows:
        if row.status in ("diverged", "failed"):
            notes.print(f"{row.model} {row.status}: {row.reason}")


def _print_kept(rows: "list[Row]") -> None:
    """Say which output each row is of; genotypes leave no room for a column of it."""
    outputs: dict[str, list[str]] = {}
    for row in rows:
        if row.image is not None:
            unfired = degraded.unfired(row.fired, row.status)
            outputs.setdefault(row.kept + unfired, []).append(row.model)
    for kept, models in outputs.items():
        of = f" of {', '.join(models)}" if len(outputs) > 1 else ""
        say(f"kept{of}: {kept}")


def _degrade(
    image: str, task: str, mask: Path | None, size: int | None, seed: int
) -> "tuple[Observation, Task, Image]":
    # With a mask file, inpainting is what hides the mask's pixels.
    wanted = parse_task("inpainting-mask" if mask and task == "inpainting" else task, mask)
    truth = load_image(image, size=size)
    return wanted.observe(truth, seed), wanted, truth
