"""Functions of a symmetric operator known only by its products, by Lanczos' method."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Product = Callable[[Values], Values]


def spectral_measure(
    product: Product, start: Values, steps: int, node_at_zero: bool = False
) -> tuple[Values, Values]:
    """Nodes and weights of the Gauss quadrature of a vector's spectral measure.

    For a symmetric K and unit vector v = start / |start|, sum(weights * g(nodes)) approximates
    v' g(K) v, exactly once the Krylov space is exhausted (Golub and Meurant, "Matrices, Moments
    and Quadrature", 1994). Every new vector is made orthogonal to all earlier ones. Where K has no
    negative eigenvalue and g is exp(-t x), Gauss's quadrature lies below v' g(K) v, and that of
    Gauss and Radau, which has a node at 0 too, above it.

    Args:
        product: maps x (n,) to K x.
        start: (n,), not zero.
        steps: products at most.
        node_at_zero: that of Gauss and Radau, unless the Krylov space is exhausted.

    Returns:
        Nodes and weights, (steps,) or fewer, and one more with the node at 0.

    >>> import numpy as np
    >>> from dipbench.evaluate.lanczos import spectral_measure
    >>> nodes, weights = spectral_measure(lambda x: np.array([1.0, 4.0]) * x, np.ones(2), 5)
    >>> nodes.round(6).tolist(), weights.round(6).tolist()
    ([1.0, 4.0], [0.5, 0.5])
    """
    basis = [start / np.linalg.norm(start)]
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    for _ in range(min(steps, start.size)):
        image = product(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        for _ in range(2):  # one pass leaves rounding that grows from step to step
            image = image - np.array(basis).T @ (np.array(basis) @ image)
        norm = float(np.linalg.norm(image))
        if norm <= 1e-10 * max(map(abs, diagonal)):
            break
        off_diagonal.append(norm)
        basis.append(image / norm)
    is_exhausted = len(off_diagonal) < len(diagonal)
    if node_at_zero and not is_exhausted:
        inverse = np.linalg.inv(_tridiagonal(diagonal, off_diagonal))
        diagonal.append(float(off_diagonal[-1] ** 2 * inverse[-1, -1]))
    nodes, vectors = np.linalg.eigh(_tridiagonal(diagonal, off_diagonal))
    return nodes, vectors[0] ** 2


def _tridiagonal(diagonal: Sequence[float], off_diagonal: Sequence[float]) -> Values:
    """The symmetric matrix; of the off-diagonal as many as it has place for."""
    below = np.diag(off_diagonal[: len(diagonal) - 1], -1)
    return np.asarray(np.diag(diagonal) + below + below.T)


def linearised_risk(
    product: Product, residual: Values, sigma: float, probes: Iterable[Values], steps: int
) -> float:
    """Stein's estimate of the error of gradient flow on a linearised model, best over time.

    With K = J J', gradient flow from f_0 reaches f_t = f_0 + (I - exp(-t K)) (y - f_0), and

        SURE(t) = |y - f_t|^2 / N - sigma^2 + 2 sigma^2 / N tr(I - exp(-t K))

    estimates its mean squared error from y alone, for Gaussian noise of deviation sigma. Both
    terms are read from quadratures of K, the trace with random probes: the first by that of Gauss
    and Radau, the second by that of Gauss, so that neither is estimated too low.

    Args:
        product: maps x (N,) to K x.
        residual: y - f_0, (N,).
        sigma: deviation of the noise.
        probes: vectors (N,) of independent signs.
        steps: Lanczos steps for each vector.

    Returns:
        The minimum over t from 0 to 1e5 / the largest eigenvalue. More steps lower it, to what
        the probes estimate; that can be negative, as any unbiased estimate of a small number can.

    >>> import numpy as np
    >>> from dipbench.evaluate.lanczos import linearised_risk
    >>> ones = np.ones(4)
    >>> round(linearised_risk(lambda x: x, 0.1 * ones, 0.2, [ones], 4), 6)
    -0.03
    """
    energy = float(residual @ residual) / residual.size
    measure = spectral_measure(product, residual, steps, node_at_zero=True)
    traces = [spectral_measure(product, probe, steps) for probe in probes]
    largest = max(nodes.max() for nodes, _ in [measure, *traces])
    if largest <= 0:
        return energy - sigma**2
    # Products in single precision know an eigenvalue to about 1e-7 of the largest: later times
    # would tell what was rounded.
    times = np.concatenate([[0.0], np.logspace(-2, 5, 141)]) / largest
    misfit = energy * _quadrature(measure, np.exp, -2 * times)
    freedom = np.mean([1 - _quadrature(trace, np.exp, -times) for trace in traces], axis=0)
    return float(np.min(misfit - sigma**2 + 2 * sigma**2 * freedom))


def _quadrature(
    measure: tuple[Values, Values], function: Callable[[Values], Values], factors: Values
) -> Values:
    """The integrals of function(factor * node) for each factor."""
    nodes, weights = measure
    # The kernel has no negative eigenvalue; rounding can give one, and exp would blow it up.
    return np.asarray(function(factors[:, None] * np.maximum(nodes, 0)) @ weights)
