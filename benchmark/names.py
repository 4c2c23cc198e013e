"""What users call a task, a model or a score, found among those of a benchmark."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..data import parse_task
from ..errors import GenotypeError, QueryError, TaskError, unknown
from ..genotypes import Genotype
from ..genotypes.reference import BY_TASK, REFERENCE


def find_task(text: str, tasks: Sequence[str]) -> str:
    """The task of that text, or the only one of that bare kind.

    Raises:
        QueryError: if there is none, or several of that kind.

    >>> find_task("denoising", ["denoising-25", "inpainting-50"])
    'denoising-25'
    """
    alike = [known for known in tasks if known.split("-")[0] == text]
    if len(alike) > 1:
        raise QueryError(f"task {text!r} is ambiguous here: name one of {', '.join(alike)}")
    if alike:
        return alike[0]
    try:
        canonical = str(parse_task(text))
    except TaskError:
        canonical = text
    if canonical not in tasks:
        raise QueryError(unknown("task", text, tasks))
    return canonical


def text_of(model: Any, places: Mapping[str, int]) -> str:
    """The text form of a genotype in any of its forms, or of a named network.

    Args:
        model: a text form, a genotype, an index of the 522, …
        places: by text form.

    Raises:
        QueryError: if it is neither.
    """
    if isinstance(model, str) and (model in places or model in REFERENCE or model in BY_TASK):
        return model
    try:
        return str(Genotype.parse(model))
    except GenotypeError as error:
        named = ", ".join(name for name in places if "/" not in name)
        more = f"; named networks here: {named}" if named else ""
        raise QueryError(f"{error}{more}") from error


def find_model(model: Any, places: Mapping[str, int]) -> int:
    """Where a model, in any of its forms, stands.

    Args:
        model: a text form, a genotype, an index of the 522, …
        places: by text form.

    Raises:
        QueryError: if it is no model, or has no run.

    >>> find_model((4, "1" * 25), {"bilinear-conv-3x3-relu/" + "1" * 25: 7})
    7
    """
    text = text_of(model, places)
    if text not in places:
        raise QueryError(
            f"{model} has no run here: `dipbench top IMAGE TASK -k {len(places)} --store STORE`, "
            f"or `models` in Python, lists the {len(places)} models that have"
        )
    return places[text]


def unknown_score(name: str, known: Iterable[str], where: str = "") -> str:
    """Say that a benchmark holds no score of that name, or under which names it does.

    >>> unknown_score("x", ["x:table", "x:search", "y"])
    "score 'x' is kept apart by the way it was made in: name x:table or x:search"
    """
    if name == "published":
        return (
            "published stands for the 13 published scores on the command line: in Python give "
            "dipbench.evaluate.scores.PUBLISHED"
        )
    names = list(known)
    ways = [one for one in names if one.startswith(f"{name}:")]
    if ways:
        return (
            f"score {name!r}{where} is kept apart by the way it was made in: name "
            f"{' or '.join(ways)}"
        )
    return unknown(f"score{where}", name, names, limit=60)
