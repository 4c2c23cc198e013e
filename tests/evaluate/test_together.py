"""Trainings in turns: each gives what it gives alone, whatever happens to the others."""

import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dipbench.errors import DeviceError
from dipbench.evaluate import fit, fitting
from dipbench.evaluate import together as together_module
from dipbench.evaluate.fitting import Training, prepare
from dipbench.evaluate.memory import TooLittleMemoryError
from dipbench.evaluate.protocol import StopRule, get_protocol
from dipbench.evaluate.results import Fit
from dipbench.evaluate.together import ATTEMPTS, PAUSE_SECONDS, train_together

PROTOCOL = get_protocol("quick").with_iterations(12)
alive: "WeakSet[nn.Module]" = WeakSet()
"""The networks below that exist."""


class Small(nn.Module):
    """A network of a few weights; `meddle` may change its output, or raise."""

    def __init__(self, meddle: Callable[[int, Tensor], Tensor] = lambda call, out: out) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.meddle, self.calls = meddle, 0
        alive.add(self)

    def forward(self, z: Tensor) -> Tensor:
        output = self.meddle(self.calls, torch.sigmoid(self.conv(z)))
        self.calls += 1
        return output


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turns of few iterations; and nothing is freed but what no one refers to."""
    monkeypatch.setattr(fitting, "CHUNK", 2)
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def start(seed: int = 0, make: Callable[[], Any] = Small, **given: Any) -> Training:
    given = {"protocol": PROTOCOL, "device": "cpu", **given}
    return prepare(make(), "camera", "denoising", seed=seed, **given)


def together(starts: Any, **given: Any) -> list[Fit | Exception]:
    """What became of each, in the order of the starts."""
    found = dict(train_together(starts, "cpu", **given))
    return [found[place] for place in range(len(starts))]


def same(one: Any, other: Fit) -> bool:
    return (
        isinstance(one, Fit)
        and (one.status, one.reason, one.seed) == (other.status, other.reason, other.seed)
        and all(np.array_equal(one.curves[kind], other.curves[kind]) for kind in other.curves)
        and all(np.array_equal(one.outputs[name], other.outputs[name]) for name in other.outputs)
    )


def raising(error: Exception, at: int = 7) -> Callable[[], nn.Module]:
    def meddle(call: int, output: Tensor) -> Tensor:
        if call == at:
            raise error
        return output

    return lambda: Small(meddle)


def diverging() -> nn.Module:
    return Small(lambda call, output: output * float("nan") if call == 6 else output)


def test_the_same_bits_as_each_alone() -> None:
    changes: list[dict[str, Any]] = [
        {"model": 273, "iterations": 3},
        {"model": "deep-decoder", "seed": 1},
        {"model": "deep-decoder", "seed": 2, "protocol": PROTOCOL.replace(backtracking_db=1.0)},
    ]
    shared = {"image": "camera", "task": "sr-4", "protocol": PROTOCOL, "device": "cpu"}
    given: list[dict[str, Any]] = [{**shared, "iterations": 5, **each} for each in changes]
    alone = [fit(**each) for each in given]
    for most in (2, 9):
        found = together([partial(prepare, **each) for each in given], most=most)
        assert all(same(one, other) for one, other in zip(found, alone, strict=True))


def test_divergence_stop_and_error_of_one_leave_the_others_alone() -> None:
    stopping = PROTOCOL.replace(stop=StopRule(drop_db=0.0, start=3))
    broken = ValueError("broken")
    found = together(
        [
            partial(start, 0),
            partial(start, 1, diverging),
            partial(start, 2, raising(broken)),
            partial(start, 3, protocol=stopping),
            partial(start, 4),
        ]
    )
    assert found[2] is broken
    stopped = start(3, protocol=stopping).run()
    assert stopped.status == "stopped"
    for place, other in ((0, start(0)), (1, start(1, diverging)), (4, start(4))):
        assert same(found[place], other.run())
    assert same(found[3], stopped)
    assert [each.status for each in found if isinstance(each, Fit)] == [
        "finished", "diverged", "stopped", "finished",
    ]  # fmt: skip


def test_an_error_at_the_start_is_that_runs_own() -> None:
    found = together([partial(start, 0), partial(start, device="cuda:99")])
    assert isinstance(found[0], Fit)
    assert isinstance(found[1], DeviceError)


def test_they_take_turns_and_end_in_their_own_time() -> None:
    calls: list[str] = []

    def named(name: str) -> nn.Module:
        def meddle(call: int, output: Tensor) -> Tensor:
            calls.append(name)
            return output

        return Small(meddle)

    starts = [
        partial(start, 0, partial(named, "a")),
        partial(start, 1, partial(named, "b"), iterations=4),
        partial(start, 2, partial(named, "c")),
    ]
    ends = [place for place, _ in train_together(starts, "cpu", most=2)]
    assert ends == [1, 0, 2]
    # The third starts once the second has made room for it.
    assert "".join(calls) == "aa" + 2 * "aabb" + "aa" + 2 * "aacc" + 4 * "cc"


def greedy(room_for: int) -> Callable[[], nn.Module]:
    """Networks of which so many fit at a time; what asks for more really gets no memory."""

    def meddle(call: int, output: Tensor) -> Tensor:
        if len(alive) > room_for:
            torch.empty(2**55)
        return output

    return lambda: Small(meddle)


@pytest.mark.parametrize("room_for", [1, 2, 3])
def test_out_of_memory_halves_the_number_and_loses_no_run(room_for: int) -> None:
    alone = [start(seed).run() for seed in range(6)]
    most_alive = []

    def counted(seed: int) -> Training:
        training = start(seed, greedy(room_for))
        most_alive.append(len(alive))
        return training

    found = together([partial(counted, seed) for seed in range(6)])
    assert all(same(one, other) for one, other in zip(found, alone, strict=True))
    # A training that failed or ended is gone at once: it was one too many, never two.
    assert max(most_alive) == room_for + 1
    assert len(alive) == 0


def test_one_that_does_not_fit_alone_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(together_module, "PAUSE_SECONDS", 0.0)
    found = together([partial(start, 0), partial(start, 1, greedy(0)), partial(start, 2)])
    assert isinstance(found[1], TooLittleMemoryError)
    assert "too little memory on cpu for one run: choose a smaller picture" in str(found[1])
    assert same(found[0], start(0).run())
    assert same(found[2], start(2).run())


def test_a_device_that_others_have_filled_for_a_while_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(together_module.time, "sleep", waited.append)
    full = iter([RuntimeError("CUDA out of memory.")] * (ATTEMPTS - 1))

    def meddle(call: int, output: Tensor) -> Tensor:
        for error in full:
            raise error
        return output

    found = together([partial(start, 1, lambda: Small(meddle))])
    assert same(found[0], start(1).run())
    assert waited == [PAUSE_SECONDS] * (ATTEMPTS - 1)


def test_what_may_be_too_little_memory_is_that_beside_others_and_else_an_error() -> None:
    words = "GET was unable to find an engine to execute this computation"

    def meddle(call: int, output: Tensor) -> Tensor:
        if len(alive) > 1:
            raise RuntimeError(words)
        return output

    starts = [partial(start, seed, lambda: Small(meddle)) for seed in range(3)]
    for one, seed in zip(together(starts), range(3), strict=True):
        assert same(one, start(seed).run())
    [alone] = together([partial(start, 0, raising(RuntimeError(words)))])
    assert str(alone) == words


def test_seconds_are_those_of_a_runs_own_turns() -> None:
    begin = time.perf_counter()
    found = together([partial(start, seed) for seed in range(4)])
    took = time.perf_counter() - begin
    seconds = [each.seconds for each in found if isinstance(each, Fit)]
    assert len(seconds) == 4
    assert 0 < sum(seconds) <= took


def test_nothing_to_train_is_nothing() -> None:
    assert together([]) == []
