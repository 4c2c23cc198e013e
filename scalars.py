"""What counts as a number, and as a whole one, where Python and NumPy have several kinds."""

from typing import TypeGuard

import numpy as np


def is_integer(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number of Python's or NumPy's, and no bool.

    >>> is_integer(2), is_integer(2.0), is_integer(True)
    (True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number from 1.

    >>> is_count(1), is_count(0), is_count(1.0)
    (True, False, False)
    """
    return is_integer(value) and value >= 1


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a real number of Python's or NumPy's, and no bool.

    >>> is_number(0.5), is_number(2), is_number("2"), is_number(True)
    (True, True, False, False)
    """
    numbers = (int, float, np.integer, np.floating)
    return isinstance(value, numbers) and not isinstance(value, bool)
