"""`cached_property` for objects that several threads work on, each on its own.

Before Python 3.12 that of `functools` held one lock for all objects of a class while it computed,
so that scores and spectra were made one after the other however many threads there were.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or sys.version_info >= (3, 12):
    from functools import cached_property
else:

    class cached_property:  # noqa: N801 - stands in for that of functools
        """A property that is computed once, and then lies among the object's attributes."""

        def __init__(self, function):
            self._function = function
            self.__doc__ = function.__doc__

        def __set_name__(self, owner, name):
            self._name = name

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            value = instance.__dict__[self._name] = self._function(instance)
            return value


__all__ = ["cached_property"]
