"""What a plan will cost, before it is started."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..data import Image, parse_task
from ..evaluate.devices import resolve_device
from ..evaluate.fitting import fit
from .costs import run_cost
from .plan import Plan
from .schema import RunKey

TIMED_ITERATIONS = {"cpu": 4, "cuda": 100}
"""On a GPU the first few capture the others."""

KINDS_BESIDES_SMOOTHED = 4
BYTES_PER_VALUE = 4


@dataclass(frozen=True)
class Estimate:
    """Runs, hours with all workers at work, and gigabytes of curves before compression."""

    runs: int
    hours: float
    gigabytes: float


def estimate(
    plan: Plan, keys: Iterable[RunKey], images: list[Image], workers: int, device: str = "auto"
) -> Estimate:
    """Estimate the cost of a plan's runs from the seconds that one of them takes.

    Of each size of image, the run in the middle by multiply-accumulates trains for a few
    iterations; the others are taken to cost in proportion to theirs. That a GPU makes several runs
    side by side is left out.

    Args:
        plan: of the runs.
        keys: those of its runs that are to be trained.
        images: the plan's.
        workers: runs side by side.
        device: where they will run.
    """
    by_name = {image.name: image for image in images}
    costs: defaultdict[tuple[int, int, int], dict[RunKey, float]] = defaultdict(dict)
    values = 0
    for key in keys:
        shape = by_name[key.image].shape
        costs[shape][key] = run_cost(plan, key, shape)
        values += _iterations(plan, key)
    seconds = 0.0
    for alike in costs.values():
        middle = sorted(alike, key=alike.__getitem__)[len(alike) // 2]
        timed = _seconds(plan, middle, by_name[middle.image], device)
        seconds += timed * sum(alike.values()) / alike[middle]
    kinds = KINDS_BESIDES_SMOOTHED + len(plan.protocol.ema)
    return Estimate(
        runs=sum(map(len, costs.values())),
        hours=seconds / 3600 / workers,
        gigabytes=values * kinds * BYTES_PER_VALUE / 1e9,
    )


def _seconds(plan: Plan, key: RunKey, image: Image, device: str) -> float:
    """What a run would take, from a few iterations; one more before loads what they need."""
    count = TIMED_ITERATIONS[resolve_device(device).type]
    for iterations in (1, count):
        made = fit(key.model, image, key.task, iterations, 0, plan.protocol, device)
        if made.status == "interrupted":
            raise KeyboardInterrupt
    return made.seconds / count * _iterations(plan, key)


def _iterations(plan: Plan, key: RunKey) -> int:
    return plan.protocol.iterations_for(parse_task(key.task).kind)
