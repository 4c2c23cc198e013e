"""In which order runs are handed out: every one once, the longest first, none more than thrice."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipbench.benchmark.building import Shard
from dipbench.benchmark.executors import ATTEMPTS, Unit
from dipbench.benchmark.executors.schedule import Schedule
from dipbench.benchmark.schema import RunKey


def key(index: int, image: str = "camera") -> RunKey:
    return RunKey("dip", image, "denoising-25", index)


costs_of_runs = st.dictionaries(
    st.builds(key, st.integers(0, 50), st.sampled_from(["camera", "coins"])),
    st.floats(0.1, 100),
    max_size=30,
)


@given(costs=costs_of_runs, workers=st.integers(1, 8), losses=st.lists(st.booleans(), max_size=40))
def test_every_run_is_made_or_given_up(
    costs: dict[RunKey, float], workers: int, losses: list[bool]
) -> None:
    schedule = Schedule(costs, workers, unit_seconds=20)
    made: list[RunKey] = []
    lost: Counter[RunKey] = Counter()
    while schedule:
        before = len(schedule)
        unit = schedule.take()
        assert len(schedule) == before - len(unit.keys)
        assert len({(one.image, one.task) for one in unit.keys}) == 1
        if losses and losses.pop():
            lost.update(unit.keys)
            made += schedule.lost(unit)
        else:
            schedule.measured(unit, sum(costs[one] for one in unit.keys))
            made += unit.keys
    assert sorted(made) == sorted(costs)
    assert schedule.cost_left == pytest.approx(0, abs=1e-6)
    assert all(count <= ATTEMPTS for count in lost.values())


def test_the_longest_runs_go_first_and_units_shrink_towards_the_end() -> None:
    costs = {key(index): float(1 + index % 10) for index in range(200)}
    schedule = Schedule(costs, 2, unit_seconds=30)
    first = schedule.take()
    assert [costs[one] for one in first.keys] == [10.0]
    assert schedule.expected_seconds(first) is None
    schedule.measured(first, 10.0)
    sizes = []
    while schedule:
        unit = schedule.take()
        expected = schedule.expected_seconds(unit)
        assert expected is not None
        assert expected <= 30
        sizes.append(expected)
    assert sizes[0] > 20
    assert sizes[-1] <= 2


def test_units_fill_a_worker_that_makes_several_runs_side_by_side() -> None:
    costs = {key(index): float(100 - index) for index in range(100)}
    schedule = Schedule(costs, 2, unit_seconds=1e-9, together=8)
    sizes = []
    while schedule:
        unit = schedule.take()
        schedule.measured(unit, 1.0)
        sizes.append(len(unit.keys))
    assert sizes[:9] == [8] * 9
    assert sizes[-3:] == [1, 1, 1], "the last runs are spread over the workers"


def test_what_is_left_is_known_by_its_cost() -> None:
    schedule = Schedule({key(index): float(index) for index in range(1, 5)}, 1)
    assert (schedule.cost_made, schedule.cost_left) == (0, 10)
    first, second = schedule.take(), schedule.take()
    schedule.measured(first, 1.0)
    assert (schedule.cost_made, schedule.cost_left) == (4, 6), "what is under way is left"
    for _ in range(ATTEMPTS):
        schedule.lost(second)
    assert (schedule.cost_made, schedule.cost_left) == (4, 3)


def test_runs_of_a_lost_unit_are_tried_alone_and_first() -> None:
    schedule = Schedule({key(index): 1.0 for index in range(50)}, 1, unit_seconds=5)
    schedule.measured(schedule.take(), 1.0)
    unit = schedule.take()
    assert len(unit.keys) == 5
    assert schedule.lost(unit) == ()
    assert [schedule.take() for _ in unit.keys] == [Unit((one,)) for one in unit.keys]
    alone = Unit((unit.keys[0],))
    assert schedule.lost(alone) == ()
    assert schedule.lost(alone) == alone.keys


def test_the_costliest_image_comes_first() -> None:
    costs = {key(0, "small"): 1.0, key(0, "large"): 9.0, key(1, "large"): 2.0}
    schedule = Schedule(costs, 4)
    order = [schedule.take().keys[0] for _ in costs]
    assert order == [key(0, "large"), key(1, "large"), key(0, "small")]


@given(items=st.lists(st.integers(), unique=True), count=st.integers(1, 20))
def test_shards_are_disjoint_and_complete(items: list[int], count: int) -> None:
    shards = [Shard(index, count).takes(items) for index in range(1, count + 1)]
    assert sorted(item for shard in shards for item in shard) == sorted(items)
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@given(index=st.integers(1, 1000), more=st.integers(0, 1000))
def test_a_shard_reads_as_it_is_written(index: int, more: int) -> None:
    assert Shard.parse(f"{index}/{index + more}") == Shard(index, index + more)
