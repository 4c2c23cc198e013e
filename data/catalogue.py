"""The catalogue of published datasets: facts, kept as data beside this module."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ..errors import QueryError, unknown


@dataclass(frozen=True)
class Dataset:
    """What the catalogue says of a published dataset.

    Attributes:
        name: Its name here.
        title: What it is.
        record: Its number at Zenodo.
        doi: Its DOI.
        licence: None where it is not known.
        citation: What to cite.
    """

    name: str
    title: str
    record: str
    doi: str
    licence: str | None
    citation: str


@cache
def known_datasets() -> dict[str, Dataset]:
    """The published datasets by name.

    >>> from dipbench.data.catalogue import known_datasets
    >>> known_datasets()["isnas-dip"].doi
    '10.5281/zenodo.6351599'
    """
    text = resources.files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    return {name: Dataset(name=name, **facts) for name, facts in json.loads(text).items()}


def find_dataset(name: str) -> Dataset:
    """A dataset of the catalogue.

    Raises:
        QueryError: There is none of that name.

    >>> find_dataset("isnas-dip").record
    '6351599'
    """
    if name not in known_datasets():
        raise QueryError(unknown("dataset", name, known_datasets()))
    return known_datasets()[name]
