"""The registry of training-free scores: what each takes, costs and comes from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from ..errors import ScoreError, unknown
from ..scalars import is_integer

Direction = Literal["lower", "higher"]
Inputs = Literal["output", "output+image", "network"]


class Cost(NamedTuple):
    """Passes of the network over one picture that a score takes."""

    forward: int
    backward: int


@dataclass(frozen=True)
class Score:
    """A training-free score of a model.

    Attributes:
        name: with underscores.
        function: takes what `inputs` says and returns one finite number.
        direction: `lower` or `higher`, whichever should go with a better prior.
        inputs: `output` (an untrained output), `output+image` (and the corrupted image of the
            same size), both `Spectra`, or `network` (a `Probe`).
        cost: passes of the network.
        source: where it was published.
        formula: the first line of the function's docstring.
        sees_image: whether the value may depend on the picture.
    """

    name: str
    function: Callable[..., Any]
    direction: Direction
    inputs: Inputs
    cost: Cost
    source: str
    formula: str
    sees_image: bool

    @property
    def sign(self) -> int:
        """-1 where lower is better, else 1: times the score, higher is better."""
        return 1 if self.direction == "higher" else -1


SCORES: dict[str, Score] = {}
"""Every score there is, by name, in the order of registration."""

Function = Callable[..., float]


def register_score(
    name: str,
    direction: Direction = "lower",
    *,
    inputs: Inputs = "output+image",
    cost: tuple[int, int] = (1, 0),
    source: str = "",
    sees_image: bool | None = None,
) -> Callable[[Function], Function]:
    """Add a function to `SCORES`; for use as a decorator.

    Args:
        name: with underscores (spaces are replaced), not yet taken, but for a function that is
            defined once more in a notebook or at a prompt.
        direction: `lower` or `higher`, whichever should go with a better prior.
        inputs: what the function is called with: an `output`, `output+image`, or `network`, which
            is a `dipbench.evaluate.scores_network_probe.Probe`; see `Score`.
        cost: (forward, backward) passes of the network.
        source: where the score was published.
        sees_image: whether the value may depend on the picture; where None, as all do but those
            of the `output`.

    Returns:
        A decorator that returns the function as it is.

    Raises:
        ScoreError: if the name is taken, or a setting is none of the known ones.

    >>> from dipbench.evaluate import SCORES, register_score, score
    >>> @register_score("doctest_spread", direction="higher", inputs="output")
    ... def spread(output):
    ...     return output.std()
    >>> score([[[0.0, 1.0]]], names="doctest_spread")
    {'doctest_spread': 0.5}
    >>> _ = SCORES.pop("doctest_spread")
    """
    name = canonical(name)
    if direction not in get_args(Direction):
        raise ScoreError(unknown("direction", direction, get_args(Direction)))
    if inputs not in get_args(Inputs):
        raise ScoreError(unknown("kind of inputs", inputs, get_args(Inputs)))
    if not name:
        raise ScoreError("a score without a name: give one, such as my_score")
    if len(cost) != 2 or not all(is_integer(passes) and passes >= 0 for passes in cost):
        raise ScoreError(f"cost {cost!r} is none: give (forward, backward) passes, such as (1, 0)")

    def add(function: Function) -> Function:
        if not callable(function):
            raise ScoreError(f"score {name!r} is {function!r:.60}: give a function")
        if name in SCORES and not _is_redefined(SCORES[name].function, function):
            raise ScoreError(f"score {name!r} is registered already: give yours another name")
        lines = (function.__doc__ or "").strip().splitlines()
        formula = lines[0] if lines else ""
        seen = inputs != "output" if sees_image is None else sees_image
        SCORES[name] = Score(name, function, direction, inputs, Cost(*cost), source, formula, seen)
        return function

    return add


def _is_redefined(known: Function, function: Function) -> bool:
    """Whether a cell of a notebook, or a line at a prompt, is run once more."""
    return function.__module__ == known.__module__ == "__main__"


def canonical(name: str) -> str:
    """The name with underscores of a score's published spelling with spaces.

    Raises:
        ScoreError: if it is no text.

    >>> from dipbench.evaluate.registry import canonical
    >>> canonical("psd db strip mse")
    'psd_db_strip_mse'
    """
    if not isinstance(name, str):
        raise ScoreError(f"a score is asked for by its name, not by {name!r}")
    return "_".join(name.split())


def get_score(name: str) -> Score:
    """The score of that name, in underscores or the published spelling.

    Raises:
        ScoreError: if there is none.
    """
    found = SCORES.get(canonical(name))
    if found is None:
        raise ScoreError(unknown("score", name, SCORES, limit=60))
    return found
