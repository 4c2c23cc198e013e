"""One training-free score of many models on one observation, several models at a time."""

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from ..data import Observation, Task
from ..errors import ScoreError, named
from ..seeds import stable_seed
from .devices import resolve_device, single_threads
from .protocol import Protocol
from .registry import Score
from .scores import compute
from .scores_network_probe import Probe
from .spectra import Spectra


def screen(
    models: Iterable[str],
    score: Score,
    observation: Observation,
    task: Task,
    protocol: Protocol,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int = 1,
) -> Iterator[list[dict[str, Any]]]:
    """Score untrained models, a batch at a time; the observation's side is worked out once.

    As in the published searches weights are drawn afresh for each model, outputs have the image's
    channels and size, and for super-resolution pass the operator first; but one input z, which they
    drew afresh too, serves all models.

    Args:
        models: text forms.
        score: of an output, or of an output and the observation.
        observation: what is known of the picture.
        task: what was done to it.
        protocol: of the input.
        seed: of weights and input.
        device: `auto`, `cpu` or `cuda`.
        threads: models at a time, a CPU thread each.

    Yields:
        A record for each model of a batch: model, score (None where there is none), reason and
        seconds, its share of the batch's wall time.

    >>> from dipbench.data import load_image, parse_task
    >>> from dipbench.evaluate.protocol import get_protocol
    >>> from dipbench.evaluate.registry import get_score
    >>> from dipbench.evaluate.screening import screen
    >>> from dipbench.genotypes import ISNAS522
    >>> task = parse_task("denoising-25")
    >>> small = task.observe(load_image("camera", size=64), seed=0)
    >>> score = get_score("psd_db_strip_mse")
    >>> batches = screen([str(ISNAS522[0])], score, small, task, get_protocol("isnas"))
    >>> [sorted(record) for record in next(batches)]
    [['model', 'reason', 'score', 'seconds']]
    """
    image = Spectra(observation.observed)
    where = resolve_device(device)
    waiting = iter(models)

    def one(model: str) -> dict[str, Any]:
        probe = Probe(
            model=model,
            image=observation.sha256[:8],
            task=task,
            observation=observation,
            protocol=protocol,
            seed=stable_seed("score", seed),
            device=where,
        )
        try:
            output = probe.output(observation.restored_shape[0])
            if observation.zoom > 1:
                output = probe.operator(output)
            value, reason = compute(score, Spectra(output[0].cpu().numpy()), image), ""
        except Exception as error:  # one model that has no score must not end the search
            value, reason = None, named(error)
        return {"model": model, "score": value, "reason": reason}

    with single_threads(threads) as pool:
        while batch := list(islice(waiting, 4 * threads)):
            start = time.perf_counter()
            records = list(pool.map(one, batch))
            seconds = (time.perf_counter() - start) / len(batch)
            yield [{**record, "seconds": seconds} for record in records]


def is_settled(record: Mapping[str, Any]) -> bool:
    """Whether scoring again gives the same: a score, or that there is none on this output.

    Memory that ran out or a device that failed may be there another time.

    Args:
        record: as `screen` yields it.

    >>> from dipbench.evaluate.screening import is_settled
    >>> is_settled({"model": "a", "score": None, "reason": "ScoreError: score a is nan"})
    True
    >>> is_settled({"model": "a", "score": None, "reason": "RuntimeError: out of memory"})
    False
    """
    return record["score"] is not None or record["reason"].startswith(f"{ScoreError.__name__}: ")
