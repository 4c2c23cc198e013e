"""Several trainings side by side on one device: small networks leave most of a GPU idle."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from . import fitting
from .devices import cpu_threads, resolve_device
from .fitting import Training
from .gpus import Room
from .memory import is_out_of_memory, may_be_out_of_memory, too_little_memory
from .results import Fit

MOST = 16
"""Trainings side by side at most."""

ATTEMPTS, PAUSE_SECONDS = 3, 10.0
"""How often a run is tried that finds too little memory though alone, and how long it waits."""


def train_together(
    starts: Sequence[Callable[[], Training]], device: str, most: int = MOST
) -> Iterator[tuple[int, Fit | Exception]]:
    """Train runs in turns, some iterations each, and yield what came of each as it ends.

    On CUDA each has a stream of its own, so that their kernels overlap; on a CPU one waits for
    the other. The first shows what memory a training takes, and others join it while that much is
    free. One that runs out of memory starts anew later, with half as many beside it. The seconds of
    a fit are those of its own turns, which add up to the time that all took.

    Args:
        starts: each makes the training of one run, such as by `fitting.prepare`.
        device: where they all run.
        most: trainings side by side at most.

    Yields:
        The place of a run in `starts`, and its fit or the exception that ended it: a
        `TooLittleMemoryError` if it does not fit even alone.

    >>> from functools import partial
    >>> from dipbench.evaluate.fitting import prepare
    >>> starts = [
    ...     partial(prepare, "deep-decoder", "camera", "denoising-25", count, protocol="quick")
    ...     for count in (2, 1)
    ... ]
    >>> sorted((place, fit.length) for place, fit in train_together(starts, "cpu"))
    [(0, 2), (1, 1)]
    """
    room = Room(resolve_device(device))
    waiting = deque(_Run(place, start) for place, start in enumerate(starts))
    running: list[_Run] = []
    while waiting or running:
        if waiting and len(running) < most and (not running or room.for_one_more()):
            running.append(waiting.popleft())
        for run in list(running):
            with room.measured():
                ended = run.take_turn()
            if ended is None:
                continue
            running.remove(run)
            if is_out_of_memory(ended) or (running and may_be_out_of_memory(ended)):
                # Not kept: an exception holds the tensors of the calls that it came through.
                ended = None
                if not running:
                    run.alone += 1
                    # Another process may have filled the device for a while.
                    if run.alone < ATTEMPTS:
                        time.sleep(PAUSE_SECONDS)
                    else:
                        ended = too_little_memory(device)
            room.release()
            if ended is not None:
                yield run.place, ended
                continue
            run.seconds = 0.0
            most = max(1, (len(running) + 1) // 2)
            waiting.appendleft(run)


@dataclass
class _Run:
    """A run that takes its turns; its training is made in the first one."""

    place: int
    start: Callable[[], Training]
    training: Training | None = None
    seconds: float = 0.0
    alone: int = 0

    def take_turn(self) -> Fit | Exception | None:
        """Go on for some iterations; what came of the run, once it has ended."""
        begin = time.perf_counter()
        try:
            if self.training is None:
                self.training = self.start()
            with cpu_threads(self.training.protocol.threads):
                if self.training.going:
                    self.training.advance(fitting.CHUNK)
                    return None
            made = self.training.result()
        except Exception as error:
            self.training = None
            return error
        finally:
            self.seconds += time.perf_counter() - begin
        self.training = None
        return replace(made, seconds=self.seconds)
