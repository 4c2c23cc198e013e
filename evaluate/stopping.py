"""When to stop: criteria replayed on recorded curves.

A criterion answers with the iteration whose output is kept, which for a criterion that waits lies
`patience` iterations before the one at which it knows; with None where it never fires, so that the
last output is kept. One that cannot fire on a curve so short raises.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import ProtocolError, unknown

PUBLISHED_ALPHA = 0.1
"""Weight of a new output in the moving variance of Wang et al."""

PUBLISHED_PATIENCE = 1000
"""Iterations that Wang et al. wait for a lower variance."""

PUBLISHED_LENGTH = 5000
"""Iterations of the trainings for which that patience was published."""

NOISE_UNKNOWN = "the noise of this observation is not known: the discrepancy is for denoising-SIGMA"

_REMNANT = 0.01


class FirstLastingMinimum:
    """The first value that stays the lowest for `patience` further values.

    Args:
        patience: how many values in a row must be no lower than the lowest before.
        warmup: how many values at the start do not count.

    Attributes:
        best_iteration: of the lowest value so far that counts; None before the first.
        fired: whether that value has lasted.

    Raises:
        ProtocolError: The patience is under 1, the warm-up negative.

    >>> from dipbench.evaluate.stopping import FirstLastingMinimum
    >>> minimum = FirstLastingMinimum(patience=2)
    >>> [minimum.update(value) for value in (3.0, 1.0, 2.0, 2.0)], minimum.best_iteration
    ([False, False, False, True], 1)
    """

    def __init__(self, patience: int, warmup: int = 0) -> None:
        if patience < 1 or warmup < 0:
            raise ProtocolError(
                f"stopping needs a patience of 1 or more and a warm-up of 0 or more, "
                f"got {patience} and {warmup}"
            )
        self.patience = patience
        self.best_iteration: int | None = None
        self.fired = False
        self._warmup = warmup
        self._iteration = -1
        self._lowest = math.inf

    def update(self, value: float) -> bool:
        """Take in the next iteration's value and say whether to stop.

        Raises:
            ProtocolError: The value is NaN.
        """
        if math.isnan(value):
            raise ProtocolError(
                f"the value of iteration {self._iteration + 1} is NaN: "
                "give the curve up to where the training diverged"
            )
        self._iteration += 1
        if self.fired or self._iteration < self._warmup:
            return self.fired
        if self.best_iteration is None or value < self._lowest:
            self._lowest, self.best_iteration = value, self._iteration
        self.fired = self._iteration - self.best_iteration >= self.patience
        return self.fired


def variance_warmup(alpha: float = PUBLISHED_ALPHA) -> int:
    """Iterations until a moving variance holds at most 1 % of its start, which is 0 by definition.

    Without it the first value would be the lowest of every curve.

    Raises:
        ProtocolError: `alpha` is not between 0 and 1.

    >>> from dipbench.evaluate.stopping import variance_warmup
    >>> variance_warmup(0.1)
    44
    """
    if not 0 < alpha < 1:
        raise ProtocolError(f"the moving variance needs 0 < alpha < 1, got {alpha}")
    return math.ceil(math.log(_REMNANT) / math.log(1 - alpha))


def variance_stop(
    variance: np.ndarray, patience: int = PUBLISHED_PATIENCE, alpha: float = PUBLISHED_ALPHA
) -> int | None:
    """The first lasting minimum of the moving variance of the output; needs no ground truth.

    After Wang et al., "Early Stopping for Deep Image Prior" (2021), with their settings; the
    warm-up (`variance_warmup`) is this project's.

    Args:
        variance: (iterations,), as a training records it.
        patience: iterations without a lower variance.
        alpha: weight of a new output in the moving variance, as it was recorded.

    Returns:
        The iteration of that minimum, or None where the variance never stays above it so long.

    Raises:
        ProtocolError: The curve is too short for this patience.

    >>> import numpy as np
    >>> from dipbench.evaluate.stopping import variance_stop
    >>> variance_stop((np.arange(2000) - 700.0) ** 2)
    700
    """
    warmup = variance_warmup(alpha)
    _require_length(len(variance), patience + warmup, f"a patience of {patience}")
    return _replay(variance, FirstLastingMinimum(patience, warmup))


def scaled_variance_stop(
    variance: np.ndarray, planned: int | None = None, alpha: float = PUBLISHED_ALPHA
) -> int | None:
    """`variance_stop` with the published share of the iterations, 1000 of 5000, as its patience.

    For trainings shorter than those of the publication; not a published setting.

    Args:
        variance: (iterations,), as a training records it.
        planned: iterations of the training, where the curve ends before.
        alpha: weight of a new output in the moving variance, as it was recorded.

    >>> import numpy as np
    >>> from dipbench.evaluate.stopping import scaled_variance_stop
    >>> scaled_variance_stop((np.arange(300) - 150.0) ** 2)
    150
    """
    return variance_stop(variance, scaled_patience(planned or len(variance)), alpha)


def scaled_patience(iterations: int) -> int:
    """A fifth of the iterations, the published share of the patience; at least 1.

    >>> from dipbench.evaluate.stopping import scaled_patience
    >>> scaled_patience(5000), scaled_patience(300)
    (1000, 60)
    """
    return max(1, iterations * PUBLISHED_PATIENCE // PUBLISHED_LENGTH)


def patience_stop(loss: np.ndarray, patience: int) -> int | None:
    """The first lasting minimum of any curve, such as the loss on the observation.

    Returns:
        Its iteration, or None where a lower value always comes within `patience` iterations.

    Raises:
        ProtocolError: The curve is too short for this patience.

    >>> import numpy as np
    >>> from dipbench.evaluate.stopping import patience_stop
    >>> patience_stop(np.array([3.0, 1.0, 2.0, 2.0, 0.0]), patience=2)
    1
    """
    _require_length(len(loss), patience, f"a patience of {patience}")
    return _replay(loss, FirstLastingMinimum(patience))


def discrepancy_stop(
    psnr_observed: np.ndarray, noise: float, alpha: float = PUBLISHED_ALPHA
) -> int | None:
    """The first iteration that differs from the observation by no more than the noise does.

    Morozov's discrepancy principle (Soviet Math. Dokl. 7, 1966): a network that comes nearer to
    the observation has begun to fit its noise. The squared error jumps from one iteration to the
    next, as the network's input does, so its moving mean is taken, with the weight of the moving
    variance; that is this project's choice.

    Args:
        psnr_observed: (iterations,) in dB against the observation.
        noise: the mean squared noise, as `Task.mean_squared_noise` tells it.
        alpha: weight of a new error in the moving mean.

    Returns:
        That iteration, or None where the moving mean never comes so low.

    Raises:
        ProtocolError: `alpha` is not in (0, 1], or the curve holds NaN.

    >>> import numpy as np
    >>> from dipbench.evaluate.stopping import discrepancy_stop
    >>> discrepancy_stop(np.array([10.0, 20.0, 30.0, 30.0, 30.0]), noise=0.02, alpha=0.5)
    3
    """
    if not 0 < alpha <= 1:
        raise ProtocolError(f"the moving mean needs 0 < alpha <= 1, got {alpha}")
    errors = 10 ** (-np.asarray(psnr_observed, np.float64) / 10)
    if np.isnan(errors).any():
        raise ProtocolError(
            "the PSNR against the observation holds NaN: give the curve up to where the training "
            "diverged"
        )
    import pandas as pd  # here, for it takes a while to load

    means = pd.Series(errors).ewm(alpha=alpha, adjust=False).mean()
    near = np.flatnonzero(means <= noise)
    return int(near[0]) if len(near) else None


def fixed_stop(length: int, iteration: int) -> int | None:
    """A fixed iteration, or None where the curve of this length ends before it.

    Raises:
        ProtocolError: The iteration is negative.

    >>> from dipbench.evaluate.stopping import fixed_stop
    >>> fixed_stop(4000, 1200), fixed_stop(300, 1200)
    (1200, None)
    """
    if iteration < 0:
        raise ProtocolError(f"iterations count from 0, got {iteration}")
    return iteration if iteration < length else None


def oracle_stop(psnr_smooth: np.ndarray) -> int:
    """The first iteration of the highest PSNR: what only one who knows the ground truth can do.

    Raises:
        ProtocolError: The curve is empty or holds NaN.

    >>> import numpy as np
    >>> from dipbench.evaluate.stopping import oracle_stop
    >>> oracle_stop(np.array([20.0, 25.0, 25.0, 22.0]))
    1
    """
    _require_length(len(psnr_smooth), 0, "an oracle")
    if np.isnan(psnr_smooth).any():
        raise ProtocolError("the PSNR curve holds NaN: give it up to where the training diverged")
    return int(np.argmax(psnr_smooth))


@dataclass(frozen=True)
class Criterion:
    """A stopping criterion by name: the curve it reads and the rule it applies to it.

    Attributes:
        curve: the kind of curve, such as `variance`.
        rule: from that curve, (iterations,), and by name what it needs, to an iteration or None.
        summary: what it does, in a few words.
        needs: of `noise` (the mean squared noise of the observation), `planned` (how long the
            training was planned to be) and `alpha` (of the moving variance) what the rule takes.
    """

    curve: str
    rule: Callable[..., int | None]
    summary: str
    needs: tuple[str, ...] = ()

    def __call__(
        self,
        curves: Mapping[str, np.ndarray],
        noise: float | None = None,
        planned: int | None = None,
        alpha: float = PUBLISHED_ALPHA,
    ) -> int | None:
        """The iteration whose output is kept, or None where the criterion never fires.

        Args:
            curves: (iterations,) by kind.
            noise: what `Task.mean_squared_noise` says of the observation.
            planned: iterations of the training, where the curves end before; they may not reach
                the one that is kept then.
            alpha: the protocol's `variance_alpha`.

        Raises:
            ProtocolError: The curve was not recorded, the noise is not known to a criterion of
                it, or the rule cannot be applied.
        """
        if self.curve not in curves:
            raise ProtocolError(
                f"this criterion reads the curve {self.curve!r}; recorded are {', '.join(curves)}"
            )
        curve = np.asarray(curves[self.curve])
        if "noise" in self.needs and noise is None:
            raise ProtocolError(NOISE_UNKNOWN)
        known = {
            "noise": noise,
            "planned": len(curve) if planned is None else planned,
            "alpha": alpha,
        }
        return self.rule(curve, **{name: known[name] for name in self.needs})


STOPPING: dict[str, Criterion] = {
    "oracle": Criterion("psnr_smooth", oracle_stop, "highest smoothed PSNR; needs the truth"),
    "variance": Criterion(
        "variance", variance_stop, "Wang et al., patience 1000", needs=("alpha",)
    ),
    "variance_scaled": Criterion(
        "variance",
        scaled_variance_stop,
        "Wang et al., patience a fifth of the iterations",
        needs=("planned", "alpha"),
    ),
    "discrepancy": Criterion(
        "psnr_observed",
        discrepancy_stop,
        "as near to the observation as its noise is; denoising with a known sigma",
        needs=("noise", "alpha"),
    ),
    "loss_scaled": Criterion(
        "loss",
        lambda loss, planned: patience_stop(loss, scaled_patience(planned)),
        "lowest loss that lasts a fifth of the iterations",
        needs=("planned",),
    ),
    "fixed_1200": Criterion(
        "loss",
        lambda loss, planned: fixed_stop(planned, 1200),
        "iteration 1200, as in the ISNAS search",
        needs=("planned",),
    ),
    "last": Criterion(
        "loss", lambda loss, planned: planned - 1, "no early stop", needs=("planned",)
    ),
}
"""Every criterion by name. All but `oracle` do without a ground truth."""


def get_criterion(name: str) -> Criterion:
    """Look a criterion up.

    Raises:
        ProtocolError: There is none of that name.

    >>> from dipbench.evaluate.stopping import get_criterion
    >>> get_criterion("variance").curve
    'variance'
    """
    if name not in STOPPING:
        raise ProtocolError(unknown("stopping criterion", name, STOPPING))
    return STOPPING[name]


def _replay(curve: np.ndarray, minimum: FirstLastingMinimum) -> int | None:
    for value in np.asarray(curve, np.float64).tolist():
        if minimum.update(value):
            return minimum.best_iteration
    return None


def _require_length(length: int, needed: int, what: str) -> None:
    if length <= needed:
        raise ProtocolError(
            f"a curve of {length} iterations is too short for {what}, which needs more than "
            f"{needed}; train longer or choose a scaled criterion"
        )
