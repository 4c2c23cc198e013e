"""Arguments and options that several commands share."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..benchmark.loading import find, known_names
from ..benchmark.question import By, Limits
from ..benchmark.schema import SUMMARIES
from ..errors import StoreError
from ..evaluate.scores import PUBLISHED, SCORES
from ..evaluate.stopping import STOPPING

SHIPPED = "mini"
"""The benchmark inside the package, asked where no other is named."""

_FOLDER_OR_NAME = "A benchmark's folder, or a shipped or downloaded name."

Store = Annotated[str, typer.Option("--store", help=_FOLDER_OR_NAME)]
NamedStore = Annotated[str, typer.Argument(help=_FOLDER_OR_NAME, show_default=False)]


_COMPLETE = {
    "status": "is complete: `dipbench info --store {name}` tells what it holds",
    "finish": "is finished already: ask it with --store {name}",
    "score": "stays as it is: to add scores to it, give a copy of its folder, {folder}",
    "add": "stays as it is: `dipbench compact` puts benchmarks of one protocol into a new one",
}
"""What a command says of a benchmark that is known by its name."""


def _own_folder(context: typer.Context, given: Path) -> Path:
    """Refuse the name of a benchmark that is not the user's to change."""
    if not given.exists() and str(given) in known_names():
        said = _COMPLETE[str(context.command.name)].format(name=given, folder=find(given))
        raise StoreError(f"{given} {said}")
    return given


StoreFolder = Annotated[
    Path,
    typer.Argument(help="The benchmark's folder.", show_default=False, callback=_own_folder),
]
Image = Annotated[str, typer.Argument(help="Name of an image.", show_default=False)]
Task = Annotated[
    str,
    typer.Argument(help="A task, such as denoising or inpainting-50.", show_default=False),
]
OneImage = Annotated[str | None, typer.Option("--image", help="One image; by default all.")]
OneTask = Annotated[str | None, typer.Option("--task", help="One task; by default all.")]
Model = Annotated[
    str,
    typer.Argument(
        help="A genotype (its skips as 25 bits or 7 hexadecimal digits), an index of the 522, or "
        "a named network.",
        show_default=False,
    ),
]
_SUMMARIES = (
    f"One of {', '.join(SUMMARIES)}, one of a further average that was recorded "
    "(best_psnr_smooth_0.9)"
)
Summary = Annotated[str, typer.Option("--by", help=f"{_SUMMARIES}, or an iteration.")]
Judged = Annotated[
    str,
    typer.Option(
        "--by",
        help=f"{_SUMMARIES}, an iteration, or stop:CRITERION, of {', '.join(STOPPING)}.",
    ),
]
Plugin = Annotated[
    Path | None,
    typer.Option(help="A Python file that registers scores of your own.", show_default=False),
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="One seed; by default the mean over the seeds.")
]
Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        help="Only models all of whose runs fulfil this: 'parameters < 4e6 and kernel == 3'.",
    ),
]
BudgetIterations = Annotated[
    int | None, typer.Option(min=1, help="As if every training had ended after so many iterations.")
]
BudgetSeconds = Annotated[
    float | None, typer.Option(help="As if every training had ended after so many seconds.")
]
Stopping = Annotated[
    str | None,
    typer.Option(help=f"Replay a stopping criterion on each run: {', '.join(STOPPING)}."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")]
MOST_THREADS = max(128, 8 * (os.cpu_count() or 1))
"""Beyond it threads wait for each other alone; a large machine's number can be asked for anywhere,
for bits depend on it."""

Threads = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_THREADS, help="CPU threads; by default all, or OMP_NUM_THREADS."),
]
Precision = Annotated[
    str, typer.Option(help="float32, bf16 (faster where the machine has it), or auto: float32.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def given(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those options that stand on the command line, as one writes them."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [
        f"--{name.replace('_', '-')}"
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    ]


def read_scores(words: Iterable[str]) -> list[str]:
    """Names of scores, `published` for the 13 and `all` for all, each name once.

    >>> len(read_scores(["published", "macs"])), read_scores(["macs", "macs"])
    (14, ['macs'])
    """
    groups = {"published": PUBLISHED, "all": tuple(SCORES)}
    names = (name for word in words for name in groups.get(word, (word,)))
    return list(dict.fromkeys(names))


def read_by(text: str) -> By:
    """A summary's name, or an iteration's number."""
    return int(text) if text.isdecimal() else text


def read_limits(
    where: str | None, iterations: int | None, seconds: float | None, stopping: str | None
) -> Limits:
    """The further arguments of a query."""
    return Limits(
        where=where, budget_iterations=iterations, budget_seconds=seconds, stopping=stopping
    )


def asked_words(by: str, limits: Limits) -> str:
    """What was asked, for a title.

    >>> asked_words("best_psnr_smooth", {"stopping": "variance", "where": "parameters < 4e6"})
    'PSNR where variance stops, where parameters < 4e6'
    """
    words = [f"PSNR where {limits['stopping']} stops" if limits.get("stopping") else by]
    if limits.get("where"):
        words.append(f"where {limits['where']}")
    if limits.get("budget_iterations"):
        words.append(f"within {limits['budget_iterations']} iterations")
    if limits.get("budget_seconds"):
        words.append(f"within {limits['budget_seconds']:g} s")
    return ", ".join(words)
