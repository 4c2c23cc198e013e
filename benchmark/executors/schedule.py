"""In which order runs are handed out, and how many at a time: longest first, minutes a unit."""

from collections import Counter, defaultdict, deque
from collections.abc import Mapping

from ..schema import RunKey
from . import ATTEMPTS, Unit

UNIT_SECONDS = 180.0
"""How long a unit is meant to last."""

UNITS_LEFT_PER_WORKER = 2
"""Towards the end units become smaller, so that no worker is left alone with a long one."""


class Schedule:
    """The runs that wait, handed out as units of one image and task.

    Args:
        costs: by run, in any measure that grows with the time it takes.
        workers: how many units are worked on side by side.
        unit_seconds: how long a unit is meant to last.
        together: runs that a worker makes side by side: a unit has as many while there are enough.

    Attributes:
        cost_made: of the units made.
        cost_left: of all others but those given up.
    """

    def __init__(
        self,
        costs: Mapping[RunKey, float],
        workers: int,
        unit_seconds: float = UNIT_SECONDS,
        together: int = 1,
    ) -> None:
        self.workers = workers
        self.cost_made = 0.0
        self.cost_left = sum(costs.values())
        self._costs = costs
        self._unit_seconds = unit_seconds
        self._together = together
        self._again: deque[RunKey] = deque()
        self._waiting: dict[tuple[str, str], deque[RunKey]] = defaultdict(deque)
        for key in sorted(costs, key=lambda key: -costs[key]):
            self._waiting[key.pair].append(key)
        self._cost_waiting = self.cost_left
        self._attempts: Counter[RunKey] = Counter()
        self._seconds = 0.0

    def __len__(self) -> int:
        return len(self._again) + sum(map(len, self._waiting.values()))

    def expected_seconds(self, unit: Unit) -> float | None:
        """How long a unit will take, by those measured; None before the first."""
        return self._cost(unit) * self._seconds / self.cost_made if self.cost_made else None

    def take(self) -> Unit:
        """The next unit: what was lost before first, then the longest runs that wait."""
        keys = [self._again.popleft()] if self._again else self._longest()
        unit = Unit(tuple(keys))
        self._cost_waiting -= self._cost(unit)
        return unit

    def measured(self, unit: Unit, seconds: float) -> None:
        """A unit was made in so many seconds."""
        self.cost_made += self._cost(unit)
        self.cost_left -= self._cost(unit)
        self._seconds += seconds

    def lost(self, unit: Unit) -> tuple[RunKey, ...]:
        """A unit was lost: its runs are tried again one by one; returned are those given up."""
        self._attempts.update(unit.keys)
        given_up = tuple(key for key in unit.keys if self._attempts[key] >= ATTEMPTS)
        again = [key for key in unit.keys if key not in given_up]
        self._again.extend(again)
        self._cost_waiting += self._cost(Unit(tuple(again)))
        self.cost_left -= self._cost(Unit(given_up))
        return given_up

    def _longest(self) -> list[RunKey]:
        pair = max(self._waiting, key=lambda pair: self._costs[self._waiting[pair][0]])
        queue = self._waiting[pair]
        least = min(self._together, len(self) // self.workers)
        taken = [queue.popleft()]
        room = self._room() - self._costs[taken[0]]
        while queue and (len(taken) < least or self._costs[queue[0]] <= room):
            room -= self._costs[queue[0]]
            taken.append(queue.popleft())
        if not queue:
            del self._waiting[pair]
        return taken

    def _room(self) -> float:
        """The cost that the next unit may have."""
        if not self._seconds:
            return 0.0
        even = self._cost_waiting / (self.workers * UNITS_LEFT_PER_WORKER)
        return min(self._unit_seconds * self.cost_made / self._seconds, even)

    def _cost(self, unit: Unit) -> float:
        return sum(self._costs[key] for key in unit.keys)
