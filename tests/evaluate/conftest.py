"""What the tests of evaluate/ share."""

import pytest

from dipbench.evaluate import SCORES, register_score


@pytest.fixture
def own_score():
    """Register a score under a name that is free again afterwards."""
    before = dict(SCORES)
    yield register_score
    SCORES.clear()
    SCORES.update(before)
