"""Scores of many models, streamed: one record per model, initialisation and score."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from functools import cache, partial
from typing import Any, Literal, get_args

import numpy as np
import torch

from ..data import Image, Observation, Task, load_image, parse_task
from ..errors import DeviceError, MissingExtraError, ScoreError, listed_names, named, unknown
from ..scalars import is_count
from ..seeds import checked_seed, stable_seed
from .devices import resolve_device, single_threads
from .memory import memory_told
from .models import Model
from .protocol import Protocol, get_protocol
from .registry import Score, get_score
from .scores import PUBLISHED, checked_value, compute
from .scores_network_probe import Probe
from .spectra import Spectra

How = Literal["table", "search"]

Record = dict[str, Any]

COSTLY_INITIALISATIONS = 4
"""At most, per model, for scores that need backward passes, where no number is given."""


def initialisations_of(score: Score, asked: int, costly: int = COSTLY_INITIALISATIONS) -> int:
    """On how many initialisations a score is taken.

    Args:
        score: it needs no pass at all, forward passes only, or backward ones too.
        asked: where it needs forward passes.
        costly: at most, where it needs backward ones too.

    >>> [initialisations_of(get_score(name), 32) for name in ("macs", "psd_99_per_bw", "grad_norm")]
    [1, 32, 4]
    """
    if score.cost.backward:
        return min(asked, costly)
    return asked if score.cost.forward else 1


def score_models(
    models: Iterable[Model],
    image: Image | np.ndarray | str,
    task: Task | str,
    names: Iterable[str] = PUBLISHED,
    how: How = "search",
    *,
    initialisations: int = 32,
    costly_initialisations: int = COSTLY_INITIALISATIONS,
    first: int = 0,
    seed: int = 0,
    size: int | None = None,
    channels: int | None = None,
    protocol: str | Protocol = "isnas",
    observation_seed: int = 0,
    observation: Observation | None = None,
    device: str = "auto",
    threads: int = 1,
) -> Generator[Record, None, None]:
    """Score models one after the other, keeping the value of every initialisation.

    How the untrained output of an array score is made:

    - `table`: one channel whatever the image, as the published table's outputs were (those were
      512x512: pass `size=512`).
    - `search`: the image's channels; for super-resolution every score is of what would be observed
      of the output.

    In both, an output is compared with a small image through the operator of super-resolution, and
    unmasked with a masked one.

    Every initialisation draws weights and input z afresh and without jitter; z is shared by all
    models. Scores of the network are always made as in `search` and recorded so.

    Args:
        models: genotypes or names of networks; taken as they are needed.
        image: the ground truth; scores see its observation alone.
        task: what is done to it.
        names: of the scores.
        how: `table` or `search`.
        initialisations: for each score that needs forward passes.
        costly_initialisations: at most, for each score that needs backward ones too. A score that
            needs no pass at all is taken once.
        first: the number of the first initialisation; those below are left out.
        seed: of all initialisations.
        size: side that the image is resized to, as in `load_image`.
        channels: of the output, instead of those that `how` says.
        protocol: input of the network, and training for the scores that take some steps of it.
        observation_seed: of the draw of the observation.
        observation: what is known of the image, instead of drawing it.
        device: `auto`, `cpu` or `cuda`.
        threads: initialisations at a time, a CPU thread each, so that values do not depend on their
            number; on a GPU they are made one after the other.

    Yields:
        Records with the keys model, image, task, score, initialisation, value, how and reason.
        A score that raised, or gave anything but a finite number, has value None and the reason;
        so have all scores of a model that cannot be built for this image.

    Raises:
        DipbenchError: if a model, image, task, score or setting is unknown or unusable, or memory,
            the device or a package is lacking.

    >>> from dipbench.evaluate.scoring import score_models
    >>> records = score_models([0], "camera", "denoising-25", ["psd_99_per_bw"], size=64)
    >>> first = next(records)
    >>> first["score"], first["initialisation"], first["how"], first["value"] > 0
    ('psd_99_per_bw', 0, 'search', True)
    """
    check_way(how)
    models, names = listed_names("models", models), listed_names("scores", names)
    for told, count in (
        ("initialisations", initialisations),
        ("costly_initialisations", costly_initialisations),
        ("threads", threads),
    ):
        if not is_count(count):
            raise ScoreError(f"{told} must be a whole number from 1, got {count!r}")
    chosen = list(dict.fromkeys(get_score(name) for name in names))
    protocol = get_protocol(protocol)
    task = parse_task(task)
    truth = load_image(image, size=size)
    maker = _Maker(
        how=how,
        scores=chosen,
        counts=(initialisations, costly_initialisations),
        channels=channels or (1 if how == "table" else truth.channels),
        observation=observation or task.observe(truth, observation_seed),
        probe=(truth.name, task, protocol, checked_seed(seed, ScoreError), resolve_device(device)),
    )
    at_a_time = threads if maker.device.type == "cpu" else 1
    return _streamed(maker, models, range(first, maker.most), at_a_time)


def _streamed(
    maker: "_Maker", models: Iterable[Model], indices: range, threads: int
) -> Generator[Record, None, None]:
    """All records in order, while the next initialisations are made."""
    waiting: deque[Future[list[Record]]] = deque()
    with single_threads(threads) as pool:
        for model in models:
            for index in indices:
                waiting.append(pool.submit(maker.records, model, index))
                if len(waiting) == 2 * threads:
                    yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def check_way(how: str) -> None:
    """See that a way of making outputs is one.

    Raises:
        ScoreError: if it is none.

    >>> check_way("table")
    """
    if how not in get_args(How):
        raise ScoreError(unknown("way to make outputs", how, get_args(How)))


class _Maker:
    """What all models of one stream share: the observation and its spectra."""

    def __init__(
        self,
        how: How,
        scores: list[Score],
        counts: tuple[int, int],
        channels: int,
        observation: Observation,
        probe: tuple[str, Task, Protocol, int, torch.device],
    ) -> None:
        self.how, self.scores = how, scores
        self.count = {score.name: initialisations_of(score, *counts) for score in scores}
        self.channels = channels
        self.observation = observation
        self.image = Spectra(observation.observed)
        self.name, self.task, self.protocol, self.seed, self.device = probe

    @property
    def most(self) -> int:
        """Initialisations of a model, for the score that asks for most."""
        return max(self.count.values(), default=0)

    def records(self, model: Model, index: int) -> list[Record]:
        """The records of one initialisation of a model."""
        if callable(model):
            raise ScoreError("a module has weights of its own: give a genotype or a network's name")
        probe = self._probe(model, index)
        output: Callable[[bool], Spectra] = cache(partial(self._output, probe))
        records = []
        for one in self.scores:
            if index >= self.count[one.name]:
                continue
            value, reason = self._value(one, probe, output)
            records.append(
                {
                    "model": probe.name,
                    "image": self.name,
                    "task": str(self.task),
                    "score": one.name,
                    "initialisation": index,
                    "value": value,
                    "how": "search" if one.inputs == "network" else self.how,
                    "reason": reason,
                }
            )
        return records

    def _value(
        self, one: Score, probe: Probe, output: Callable[[bool], Spectra]
    ) -> tuple[float | None, str]:
        """A score's value, or None and why there is none: one bad score must not end the stream."""
        remedy = "choose fewer threads, a smaller size or another device"
        try:
            with memory_told(self.device, f"{one.name} of {probe.name}", remedy):
                if one.inputs == "network":
                    return checked_value(one, one.function(probe)), ""
                observed = self.how == "search" or one.inputs == "output+image"
                return compute(one, output(observed and self.observation.zoom > 1), self.image), ""
        except (DeviceError, MissingExtraError):
            raise  # so would all others
        except Exception as error:
            return None, named(error)

    def _probe(self, model: Model, index: int) -> Probe:
        return Probe(
            model=model,
            image=self.name,
            task=self.task,
            observation=self.observation,
            protocol=self.protocol,
            seed=stable_seed("score", self.seed, index),
            device=self.device,
        )

    def _output(self, probe: Probe, observed: bool) -> Spectra:
        """The untrained output, or what would be observed of it."""
        output = probe.output(self.channels)
        return Spectra((probe.operator(output) if observed else output)[0].cpu().numpy())
