"""Which models a benchmark is to hold, from what a user names."""

from pathlib import Path

from ..errors import GenotypeError
from ..genotypes import ISNAS522, Genotype, sample, stratified
from ..genotypes.reference import BY_TASK, REFERENCE, parse_genotype

CHOICES = {"random": sample, "stratified": stratified}
"""What chooses a number of models by a seed: a longer choice begins with the shorter one."""

KINDS_OF_CHOICE = "isnas522, stratified:32, random:32:7"
"""The choices as messages tell them."""

MOST_CHOSEN = 1_000_000
"""More models than any benchmark holds, and drawn within seconds."""


def parse_models(text: str) -> tuple[str, ...]:
    """The models that a comma list names, without repeats.

    Each item is `isnas522`, `stratified:<count>:<seed>` of them, `random:<count>:<seed>` of the
    whole space, an index of the 522, a genotype in any text form, the name of a named network, or
    a file with one such item a line. A seed left out is 0.

    >>> parse_models("0,0,random:2:7")[0]
    'nearest-sep_conv-7x7-relu/0000011001001001100111101'
    >>> len(parse_models("isnas522"))
    522

    Raises:
        GenotypeError: if an item names no model.
    """
    items: list[str] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        items += _models_of(item)
    if not items:
        raise GenotypeError(f"no models are given: try {KINDS_OF_CHOICE} or 0,9,77")
    return tuple(dict.fromkeys(items))


def _models_of(item: str) -> list[str]:
    """The models of an item of a list, which may be the name of a file."""
    try:
        return _expand(item)
    except GenotypeError as error:
        if _is_file(item):
            return _listed(Path(item))
        if not _is_like_a_file(item):
            raise GenotypeError(
                f"{error}; or {KINDS_OF_CHOICE}, or a file with a model a line"
            ) from error
        raise GenotypeError(
            f"there is no file {item}, and no model of that name: give a file with a model a line, "
            f"{KINDS_OF_CHOICE}, indices or genotypes"
        ) from error


def _is_like_a_file(item: str) -> bool:
    """Whether it has a suffix, or a folder before a `/`; of a genotype a block stands there.

    >>> [_is_like_a_file(text) for text in ("a.txt", "lists/a", "nearest-identity-none/0", "9")]
    [True, True, False, False]
    """
    front, slash, _ = item.partition("/")
    return ":" not in item and bool(Path(item).suffix or (slash and "-" not in front))


def _is_file(item: str) -> bool:
    try:
        return Path(item).is_file()
    except OSError:  # too long for a name
        return False


def _listed(path: Path) -> list[str]:
    """The models of a file's lines, without blank ones and comments."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise GenotypeError(f"{path} is no readable list of models ({error})") from error
    models: list[str] = []
    for number, line in enumerate(lines, start=1):
        item = line.partition("#")[0].strip()
        try:
            models += _expand(item) if item else []
        except GenotypeError as error:
            raise GenotypeError(f"{path}, line {number}: {error}") from error
    return models


def _expand(item: str) -> list[str]:
    if item == "isnas522":
        return [str(genotype) for genotype in ISNAS522]
    kind, colon, _ = item.partition(":")
    if colon and kind in CHOICES:
        return [str(genotype) for genotype in _chosen(item)]
    return [model_text(item)]


def _chosen(item: str) -> list[Genotype]:
    kind, count, seed = (*item.split(":", 2), "")[:3]
    if not (count.isdecimal() and (seed.isdecimal() or not seed)):
        raise GenotypeError(f"{item!r} is no {kind} choice of models: write {kind}:<count>:<seed>")
    if int(count) > MOST_CHOSEN:
        raise GenotypeError(f"{item} chooses too many models: choose at most {MOST_CHOSEN:,}")
    return CHOICES[kind](int(count), int(seed or 0))


def model_text(model: str | Genotype | int) -> str:
    """The canonical text of a model: a genotype's text form, or a named network's name.

    >>> model_text("dip-jpeg"), model_text(0).split("/")[0]
    ('dip-jpeg', 'nearest-sep_conv-7x7-relu')

    Raises:
        GenotypeError: if it names neither.
    """
    if isinstance(model, str) and (model in REFERENCE or model in BY_TASK):
        return model
    return str(parse_genotype(model))
