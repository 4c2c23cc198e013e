import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.errors import ScoreError
from dipbench.evaluate.histogram import density_heights

FLOATS = st.floats(-1e3, 1e3, allow_subnormal=False)


@given(
    arrays.arrays(
        np.float64,
        st.integers(1, 60),
        elements=st.one_of(FLOATS, st.integers(-50, 50).map(lambda n: n / 100)),
    )
)
def test_heights_equal_numpys_on_edges_too(values):
    span = values.max() - values.min()
    if 0 < span < 1e-9:
        return
    expected, _ = np.histogram(values, bins=100, density=True)
    found = density_heights(values[None], np.ones(len(values)))
    np.testing.assert_array_equal(found, expected)


def test_values_that_differ_by_rounding_alone_have_none():
    values = np.array([[1.0, np.nextafter(1.0, 2), 1.0]])
    with pytest.raises(ScoreError, match="equal to rounding"):
        density_heights(values, np.ones(3))


def test_a_weight_counts_a_value_that_often():
    values = np.random.default_rng(0).normal(size=(2, 50))
    weights = np.array([1.0, 2.0] * 25)
    repeated = np.repeat(values, weights.astype(int), axis=1)
    expected, _ = np.histogram(repeated, bins=100, density=True)
    assert density_heights(values, weights) == pytest.approx(expected, rel=1e-12)


def test_large_offsets_are_binned_as_numpy_bins_them():
    values = 1e8 + np.random.default_rng(1).integers(0, 100, 5000) / 7
    expected, _ = np.histogram(values, bins=100, density=True)
    np.testing.assert_array_equal(density_heights(values[None], np.ones(5000)), expected)
