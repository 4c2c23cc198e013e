"""Several models on one observation, on equal terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import Image, Observation, Task
from ..data.images import Source
from ..data.resampling import padded_sides
from ..errors import DipbenchError, DivergenceError, GenotypeError, named
from ..genotypes.named import NamedNetwork
from ..genotypes.network import check_size
from ..seeds import checked_seed
from .baselines import BASELINES, check_baseline
from .devices import resolve_device, resolve_precision
from .memory import TooLittleMemoryError, memory_told
from .models import model_name, parse_model, side_multiple
from .quality import psnr
from .restoring import check_length, judge, restore, wished

if TYPE_CHECKING:
    from .fitting import Training

_EMA = 0.99


@dataclass(frozen=True, eq=False)
class Row:
    """One model's line of the comparison.

    Attributes:
        model: its full name.
        image: its result, float32 (C, H, W); None where it has none.
        kept: which output that is.
        fired: whether the criterion that `kept` names ended its training; None where it names none.
        status: of its training, as in `Fit`; `finished` where it has none, `failed` where there is
            too little memory for it, or another package's method raised an error.
        reason: why it ended early; empty where it did not.
        quality: `psnr` (dB), `ssim` and, where installed, `lpips`; empty without a truth.
        best_psnr_smooth: the highest PSNR of the moving average of its outputs, in dB, over the
            iterations that were run, which a rule without the truth may have ended early; to choose
            it takes the truth. None where there is none.
        iterations: of its training; 0 where it has none.
        seconds: wall time.
        parameters: of its network; None where it has none, or another package's.
    """

    model: str
    image: np.ndarray | None = field(repr=False)
    kept: str
    fired: bool | None
    status: str
    reason: str
    quality: dict[str, float]
    best_psnr_smooth: float | None
    iterations: int
    seconds: float
    parameters: int | None


def compare(
    observation: Observation | Image | Source,
    task: Task | str,
    models: Sequence[str],
    *,
    truth: Image | Source | None = None,
    keep: str | None = None,
    iterations: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Row]:
    """Restore one observation with several models, each with its published settings.

    Args:
        observation: what is known of the picture, as `restore` takes it.
        task: what was done to it.
        models: genotypes, named networks, and names of `BASELINES`.
        truth: for judging alone.
        keep: which output of our trainings is kept, as in `restore`; baselines have their own.
        iterations: of every training, instead of the published ones.
        seconds: end every training after this time, if it is not over before.
        seed: of all trainings.
        device: `auto`, `cpu` or `cuda`.
        precision: of our trainings, as in `restore`.
        threads: of the CPU, for our trainings; None takes all.
        progress: called with a model, the iterations done and their number.

    Returns:
        A row for each model. A `KeyboardInterrupt` ends the comparison: the model's it came in is
        then the last, of status `interrupted`, with what there is of it.

    Raises:
        DipbenchError: a model is unknown, not installed, not for the task or not for pictures so
            small; all are looked at before the first is trained.
        KeyboardInterrupt: it came before there was anything.

    >>> from dipbench.data import load_image, parse_task
    >>> from dipbench.evaluate.comparing import compare
    >>> task = parse_task("denoising-25")
    >>> noisy = task.observe(load_image("camera", size=64), seed=0)
    >>> rows = compare(noisy, task, ["deep-decoder"], iterations=2, keep="last", threads=1)
    >>> rows[0].model, rows[0].kept, rows[0].iterations
    ('deep-decoder', 'last', 2)
    """
    observation, task, keep, truth = wished(observation, task, keep, truth)
    check_length(iterations, seconds)
    checked_seed(seed, DipbenchError)
    resolve_precision(precision, resolve_device(device))
    if not models:
        raise GenotypeError("no models to compare: give some, such as dip,deep-decoder,bm3d")
    for model in models:
        if model in BASELINES:
            check_baseline(model, task)
        else:
            _check_model(model, task, observation)
    rows: list[Row] = []
    for model in dict.fromkeys(models):
        try:
            if model in BASELINES:
                row = _baseline(model, observation, task, truth, iterations, seconds, seed, device)
            else:
                row = _trained(
                    model,
                    observation,
                    task,
                    truth=truth,
                    keep=keep,
                    iterations=iterations,
                    seconds=seconds,
                    seed=seed,
                    device=device,
                    precision=precision,
                    threads=threads,
                    progress=_reporter(model, progress),
                )
        except KeyboardInterrupt:
            if not rows:
                raise
            name = model if model in BASELINES else model_name(model, str(task))
            row = _without_result(name, keep, "interrupted", "interrupted")
        rows.append(row)
        if row.status == "interrupted":
            break
    return rows


def _trained(
    model: str,
    observation: Observation,
    task: Task,
    *,
    truth: Image | None,
    keep: str,
    **settings: Any,
) -> Row:
    """The row of a model of ours: one that gives nothing must not lose the others'."""
    try:
        made = restore(observation, task, model, truth=truth, keep=keep, **settings)
    except (DivergenceError, TooLittleMemoryError) as error:
        status = "diverged" if isinstance(error, DivergenceError) else "failed"
        return _without_result(model_name(model, str(task)), keep, status, str(error))
    return Row(
        made.model,
        made.image,
        made.kept,
        made.fired,
        made.fit.status,
        made.fit.reason,
        made.quality,
        None if truth is None else made.fit.best_psnr_smooth,
        made.fit.length,
        made.fit.seconds,
        made.fit.parameters,
    )


def _without_result(name: str, kept: str, status: str, reason: str) -> Row:
    return Row(name, None, kept, None, status, reason, {}, None, 0, 0.0, None)


def _reporter(
    model: str, progress: Callable[[str, int, int], None] | None
) -> "Callable[[int, Training], None] | None":
    if progress is None:
        return None
    return lambda done, training: progress(model, done, training.iterations)


def _check_model(model: str, task: Task, observation: Observation) -> None:
    """See that a model is one, and makes pictures of the observation's size."""
    found = parse_model(model, str(task))
    if isinstance(found, NamedNetwork):
        found.check_sides(observation.restored_shape)
    else:
        sides = observation.restored_shape[1:]
        check_size(*padded_sides(*sides, side_multiple(model, str(task)))[0])


def _baseline(
    name: str,
    observation: Observation,
    task: Task,
    truth: Image | None,
    iterations: int | None,
    seconds: float | None,
    seed: int,
    device: str,
) -> Row:
    average: list[np.ndarray] = []
    best: list[float] = []

    def look(count: int, output: np.ndarray) -> None:
        if truth is None:
            return
        average[:] = [output if not average else _EMA * average[0] + (1 - _EMA) * output]
        best[:] = [max([*best, psnr(average[0], truth.array)])]

    chosen = {} if iterations is None else {"iterations": iterations}
    try:
        with memory_told(resolve_device(device)):
            made = BASELINES[name](
                observation, task, seconds=seconds, seed=seed, device=device, look=look, **chosen
            )
        quality = {} if truth is None else judge(made.image, truth.array)
    except TooLittleMemoryError as error:
        return _without_result(name, "result", "failed", str(error))
    except Exception as error:  # what another package raises is not foreseen
        return _without_result(name, "result", "failed", named(error))
    return Row(
        name,
        made.image,
        "last" if made.iterations else "result",
        None,
        "stopped" if made.reason else "finished",
        made.reason,
        quality,
        best[0] if best else None,
        made.iterations,
        made.seconds,
        None,
    )
