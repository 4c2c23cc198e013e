"""Which end of a score is its good one, as declared where it was registered."""

from collections.abc import Mapping
from typing import Any

from ..errors import QueryError
from ..evaluate.registry import Direction
from ..evaluate.scores import SCORES
from .baselines import DIRECTIONS


def direction(score: str) -> Direction | None:
    """The declared direction of a score, "lower" or "higher"; None where nobody registered it.

    >>> direction("psd_db_strip_mse"), direction("never_heard_of")
    ('lower', None)
    """
    # The name may end in `:table` or `:search`.
    name = score.split(":")[0]
    known = SCORES.get(name)
    return DIRECTIONS.get(name) if known is None else known.direction


def is_baseline(score: str) -> bool:
    """Whether a score is there for others to be compared with.

    >>> is_baseline("macs"), is_baseline("mean_rank_elsewhere"), is_baseline("psd_db_strip_mse")
    (True, True, False)
    """
    name = score.split(":")[0]
    return name in DIRECTIONS or (name in SCORES and SCORES[name].source == "baseline")


def sees_the_image(score: str) -> bool:
    """Whether a score may depend on the picture, as declared where it was registered.

    >>> sees_the_image("psd_db_strip_mse:table"), sees_the_image("psd_99_per_bw")
    (True, False)
    >>> sees_the_image("grad_norm"), sees_the_image("synflow")
    (True, False)
    """
    name = score.split(":")[0]
    return name not in SCORES or SCORES[name].sees_image


def declared_sign(score: str) -> float:
    """1 where higher is declared better, -1 where lower is.

    Raises:
        QueryError: No direction is declared.

    >>> declared_sign("psd_db_strip_mse")
    -1.0
    """
    known = direction(score)
    if known is None:
        raise QueryError(
            f"score {score!r} has no declared direction: register it, or load its plugin, first"
        )
    return 1.0 if known == "higher" else -1.0


def directed(score: str, tau: float) -> float | None:
    """`tau` with the score's declared direction, None where it has none.

    >>> directed("psd_db_strip_mse", -0.3)
    0.3
    """
    return None if direction(score) is None else tau * declared_sign(score)


def turned(score: str, row: Mapping[str, Any], statistic: str) -> dict[str, float]:
    """A raw statistic of a row and its interval with the declared direction; empty without one.

    >>> turned("psd_db_mse", {"tau": -0.3, "tau_low": -0.4, "tau_high": 0.1}, "tau")
    {'tau_directed': 0.3, 'tau_directed_low': -0.1, 'tau_directed_high': 0.4}
    """
    if direction(score) is None:
        return {}
    sign, name = declared_sign(score), f"{statistic}_directed"
    low, high = sorted((sign * row[f"{statistic}_low"], sign * row[f"{statistic}_high"]))
    return {name: sign * row[statistic], f"{name}_low": low, f"{name}_high": high}
