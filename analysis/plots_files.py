"""Every figure of a benchmark as files: one an image and task, or one a task."""

from inspect import signature
from pathlib import Path
from typing import Any

from ..benchmark.question import DEFAULT_BY
from ..errors import DipbenchError, QueryError
from .baselines import judged_cells
from .cells import score_names
from .plots import IMAGE_FIGURES, TASK_FIGURES, check_ending, save
from .worth import check_summary


def write_figures(
    bench: Any,
    folder: str | Path,
    ending: str = ".png",
    by: str | int = DEFAULT_BY,
    *,
    score: str | None = None,
    resamples: int = 1000,
) -> tuple[list[Path], dict[str, str]]:
    """Draw all of `FIGURES` for every image and task into a folder.

    Args:
        bench: A benchmark.
        folder: Where the files go; it is made if need be.
        ending: `.png`, `.svg` or `.pdf`.
        by: What a run is worth, for the figures to which that matters.
        score: The score of the figures that show one; a task's best where None.
        resamples: Bootstrap resamples of the intervals of attributes' effects.

    Raises:
        QueryError: `score` is none of the benchmark's, `by` no summary, `ending` no format of
            figures, or the folder cannot be made.

    Returns:
        The files, named `figure--image--task` or `figure--task`, with `--by` behind it where that
        matters and is another than the default, and, by such a name, why a figure could not be
        drawn.
    """
    check_summary(by)
    check_ending(Path(f"figure{ending}"))
    if score is not None:
        score_names(list(judged_cells(bench, by=by)), [score])  # refuses what is not there
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QueryError(
            f"{folder} is no folder and cannot be made one: {error.strerror}"
        ) from error
    wanted = [(name, draw, pair) for name, draw in IMAGE_FIGURES.items() for pair in bench.pairs]
    wanted += [(name, draw, (task,)) for name, draw in TASK_FIGURES.items() for task in bench.tasks]
    written: list[Path] = []
    refused: dict[str, str] = {}
    for name, draw, place in wanted:
        given = {"by": by, "score": score, "resamples": resamples}
        options = {key: given[key] for key in given.keys() & signature(draw).parameters.keys()}
        judged = [str(by).replace(":", "-")] if "by" in options and by != DEFAULT_BY else []
        stem = "--".join([name.replace(" ", "-"), *place, *judged])
        try:
            written.append(save(draw(bench, *place, **options), folder / f"{stem}{ending}"))
        except DipbenchError as error:
            refused[stem] = str(error)
    return written, refused
