import numpy as np
import pytest

from dipbench.analysis.search.fidelities import common_lengths
from dipbench.errors import QueryError


def test_runs_that_end_together_are_all_kept():
    reached = {name: np.arange(1, 91) for name in "abc"}
    places, models = common_lengths(reached, 10)
    assert models == ("a", "b", "c")
    assert (places + 1).tolist() == list(range(9, 91, 9))


def test_of_runs_that_end_apart_nine_in_ten_are_kept_and_every_one_reaches_the_end():
    reached = {str(length): np.arange(1, length + 1) for length in range(100, 500, 10)}
    places, models = common_lengths(reached, 7)
    assert len(models) == 36
    longest = reached[models[0]][places[-1]]
    assert longest == min(len(reached[model]) for model in models) == 140


def test_lengths_are_among_those_that_a_compact_curve_tells_of():
    reached = {"a": np.arange(8, 161, 8), "b": np.arange(8, 81, 8)}
    places, models = common_lengths(reached, 3)
    assert models == ("a", "b")
    assert reached["b"][places].tolist() == [32, 56, 80]


@pytest.mark.parametrize(
    ("reached", "count", "told"),
    [
        ({"a": np.arange(1, 9)}, 0, "give 1 or more"),
        ({}, 5, "nothing to simulate"),
        ({"a": np.arange(0)}, 5, "nothing to simulate"),
    ],
)
def test_what_cannot_be_simulated_is_told(reached, count, told):
    with pytest.raises(QueryError, match=told):
        common_lengths(reached, count)
