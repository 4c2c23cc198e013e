"""Properties that are computed once, and by several threads side by side."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from dipbench.evaluate.caching import cached_property


class Two:
    together = Barrier(2, timeout=20)

    def __init__(self) -> None:
        self.computed = 0

    @cached_property
    def value(self) -> int:
        """What it says."""
        self.together.wait()
        self.computed += 1
        return 7


def test_two_threads_compute_those_of_two_objects_at_the_same_time() -> None:
    objects = [Two(), Two()]
    with ThreadPoolExecutor(2) as pool:
        # One after the other, neither would pass the barrier.
        assert list(pool.map(lambda one: one.value, objects)) == [7, 7]
    assert [one.value + one.computed for one in objects] == [8, 8]
    assert Two.value.__doc__ == "What it says."
