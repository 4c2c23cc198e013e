"""Restore one picture: train a model on it, choose which output to keep, and judge it."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from ..data import (
    Image,
    MaskInpainting,
    Observation,
    Task,
    load_image,
    load_observation,
    parse_task,
)
from ..data.images import Source
from ..data.tasks import check_observed
from ..errors import (
    DivergenceError,
    ImageError,
    ProtocolError,
    ScoreError,
    unknown,
)
from .devices import resolve_device, resolve_precision, thread_count
from .fitting import Training, fit
from .models import Model, model_name
from .perceptual import lpips
from .protocol import DiscrepancyStop, Iterations, Protocol, Rule, VarianceStop, get_protocol
from .published import published_protocol
from .quality import import_ssim, psnr, ssim
from .results import OUT_OF_TIME, Fit
from .stopping import NOISE_UNKNOWN, scaled_patience, variance_warmup

KEEP = {
    "stopped": "where the moving variance of the output is first lowest for long",
    "discrepancy": "where the output first comes as near to the picture as its noise is",
    "smooth": "the moving average of the outputs at the end",
    "last": "the last output",
    "lowest_loss": "the output of the lowest loss",
}
"""Which outputs can be kept; none of them needs the ground truth."""

Progress = Callable[[int, Training], None]


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored picture and how it came about.

    Attributes:
        image: float32 (C, H, W) in [0, 1].
        model: the model's full name.
        task: its text form.
        kept: which output `image` is, a key of `KEEP`.
        iteration: that it is of; of a moving average, the last that joined it.
        fired: whether the criterion that `kept` names ended the training; None where it names none.
        quality: `psnr` (dB), `ssim` and, where it is installed, `lpips` against the truth; empty
            where that is not known.
        protocol: the settings of the training.
        observation: what was restored.
        fit: the training.
    """

    image: np.ndarray = field(repr=False)
    model: str
    task: str
    kept: str
    iteration: int
    fired: bool | None
    quality: dict[str, float]
    protocol: Protocol = field(repr=False)
    observation: Observation = field(repr=False)
    fit: Fit = field(repr=False)


def restore(
    observation: Observation | Image | Source,
    task: Task | str,
    model: Model = "dip",
    *,
    truth: Image | Source | None = None,
    keep: str | None = None,
    iterations: int | None = None,
    protocol: str | Protocol | None = None,
    input_noise: float | None = None,
    input_noise_decay: float | None = None,
    seconds: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Restoration:
    """Restore a picture of which an observation is known.

    A truth is used for judging alone: the picture restored is the same without it. For `stopped`
    the training ends when the lowest moving variance has lasted a fifth of the iterations. For
    `discrepancy`, which takes denoising with a known sigma, it ends where `discrepancy_stop` says,
    and the picture is the moving average of the outputs there, of weight 1 - `variance_alpha` of
    the protocol: 0.9, unless it says otherwise.

    Args:
        observation: what is known, such as `task.observe` makes it, or as `load_observation`
            takes it.
        task: what was done to the picture; a bare `inpainting` is that of the pixels that the
            observation lacks.
        model: genotype, named network (`dip` is the variant for the task) or module, which is
            trained on in place: see `fit`.
        truth: the ground truth, as `load_image` takes it, of the restored picture's shape.
        keep: a key of `KEEP`; without one `discrepancy` where the noise is known, else `stopped`.
        iterations: instead of the protocol's.
        protocol: instead of the settings that the model was published with.
        input_noise: standard deviation of the noise added to the network's input afresh in each
            iteration, instead of the protocol's.
        input_noise_decay: factor on it from one iteration to the next, in (0, 1].
        seconds: end the training after this time, if it is not over before; the fit's status is
            then `stopped`. Looked at every few iterations, so that some are always done.
        seed: of network input, weights and input noise.
        device: `auto`, `cpu` or `cuda`.
        precision: of the network's arithmetic: `float32`, `bf16`, or `auto`, which is a given
            protocol's own, else float32.
        threads: of the CPU; None takes all. The bits of the result depend on it.
        progress: called every few iterations with the number done and the training.

    Returns:
        The picture; on a `KeyboardInterrupt`, and where the training diverged, what `keep` says,
        of the iterations before that: see the fit's status.

    Raises:
        DivergenceError: the training diverged at its first iteration.
        DipbenchError: an argument is unknown or unusable, the observation is of another task, or
            the truth of another shape.

    >>> from dipbench.data import load_image, parse_task
    >>> from dipbench.evaluate.restoring import restore
    >>> camera = load_image("camera", size=64)
    >>> noisy = parse_task("denoising-25").observe(camera, seed=0)
    >>> restored = restore(noisy, "denoising-25", "deep-decoder", iterations=5, keep="smooth")
    >>> restored.image.shape, restored.iteration, restored.quality
    ((1, 64, 64), 4, {})
    """
    observation, task, keep, truth = wished(observation, task, keep, truth)
    check_length(iterations, seconds)
    settings = _settings(model, task, protocol, iterations, keep, threads)
    settings = _with_noise(settings, input_noise, input_noise_decay)
    if precision != "auto" or protocol is None:
        resolved = resolve_precision(precision, resolve_device(device))
        settings = settings.replace(precision=resolved)
    clock = _Clock(seconds, progress)
    name = model_name(model, str(task))
    trained = fit(
        model,
        None if truth is None else Image(observation.sha256[:8], truth.array),
        task,
        seed=seed,
        protocol=settings,
        device=device,
        observation=observation,
        progress=clock,
    )
    if trained.length == 0:
        if trained.status == "diverged":
            raise DivergenceError(
                f"the training of {name} diverged: {trained.reason}; try another seed, model or "
                "precision"
            )
        raise KeyboardInterrupt
    fired = trained.status == "stopped" if settings.stop is not None else None
    if clock.over:
        reason = OUT_OF_TIME.format(seconds, trained.length)
        trained = replace(trained, status="stopped", reason=reason)
    image, iteration = _kept(trained, keep, settings)
    return Restoration(
        image=image,
        model=name,
        task=str(task),
        kept=keep,
        iteration=iteration,
        fired=fired,
        quality={} if truth is None else judge(image, truth.array),
        protocol=settings,
        observation=observation,
        fit=trained,
    )


def judge(image: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """`psnr` in dB, `ssim` and, where it can be had, `lpips` of a picture against the truth.

    >>> import numpy as np
    >>> from dipbench.evaluate.restoring import judge
    >>> judge(np.zeros((1, 64, 64)), np.full((1, 64, 64), 0.1))["psnr"].__round__(3)
    20.0
    """
    found = {"psnr": psnr(image, truth), "ssim": ssim(image, truth)}
    # What was restored must not be lost for weights that LPIPS cannot fetch.
    with suppress(ScoreError):
        found["lpips"] = lpips(image, truth)
    return found


def _settings(
    model: Model,
    task: Task,
    protocol: str | Protocol | None,
    iterations: int | None,
    keep: str,
    threads: int | None,
) -> Protocol:
    given = published_protocol(model, task) if protocol is None else get_protocol(protocol)
    if iterations is not None:
        given = given.with_iterations(iterations)
    stop: Rule | None = None
    if keep == "stopped":
        stop = VarianceStop(scaled_patience(given.iterations_for(task.kind)))
    elif keep == "discrepancy":
        stop = DiscrepancyStop(given.variance_alpha)
    return given.replace(stop=stop, size=None, threads=thread_count(threads))


def _with_noise(protocol: Protocol, noise: float | None, decay: float | None) -> Protocol:
    noise = protocol.input_noise if noise is None else float(noise)
    if decay is not None and not noise:
        raise ProtocolError(
            f"input_noise_decay {decay:g} has nothing to act on: give input_noise above 0 too"
        )
    decay = protocol.input_noise_decay if decay is None else float(decay)
    return protocol.replace(input_noise=noise, input_noise_decay=decay)


class _Clock:
    """Passes progress on and ends a training, as an interrupt would, when its time is up."""

    def __init__(self, seconds: float | None, progress: Progress | None) -> None:
        self._seconds, self._progress = seconds, progress
        self._start = time.perf_counter()
        self.over = False

    def __call__(self, done: int, training: Training) -> None:
        if self._progress is not None:
            self._progress(done, training)
        if self._seconds is None or time.perf_counter() - self._start < self._seconds:
            return
        # A training that has just ended by itself keeps its own status.
        if done < training.iterations and bool(training.tracker.active):
            self.over = True
            raise KeyboardInterrupt


def _kept(trained: Fit, keep: str, protocol: Protocol) -> tuple[np.ndarray, int]:
    output = {"stopped": "lowest_variance", "discrepancy": "recent"}.get(keep, keep)
    iteration = trained.length - 1
    if keep == "lowest_loss":
        iteration = int(trained.loss.argmin())
    elif keep == "stopped":
        warmup = min(variance_warmup(protocol.variance_alpha), iteration)
        iteration = warmup + int(trained.curves["variance"][warmup:].argmin())
    return trained.outputs[output].clip(0, 1), iteration


def task_of(observation: Observation, task: Task | str) -> Task:
    """The task that an observation is of; a bare `inpainting` is that of the pixels it lacks.

    Args:
        observation: what is known of a picture.
        task: what is said to be done to it.

    Raises:
        TaskError: `task` is unknown, or of another kind or zoom than the observation.

    >>> from dipbench.data import Observation
    >>> mask = np.ones((64, 64), dtype=bool)
    >>> mask[:8] = False
    >>> str(task_of(Observation(np.zeros((1, 64, 64)), mask), "inpainting"))
    'inpainting-mask-3197f8d9'
    """
    if task == "inpainting" and observation.mask is not None:
        return MaskInpainting(observation.mask)
    task = parse_task(task)
    check_observed(observation, task)
    return task


def best_kept(observation: Observation, task: Task) -> str:
    """Which output without the truth is nearest to it: see `dipbench stopping`.

    >>> from dipbench.data import Observation, parse_task
    >>> observation = Observation(np.full((1, 64, 64), 0.5))
    >>> best_kept(observation, parse_task("denoising-25"))
    'discrepancy'
    >>> best_kept(observation, parse_task("denoising-poisson-30"))
    'stopped'
    """
    return "stopped" if task.mean_squared_noise(observation) is None else "discrepancy"


def check_length(iterations: int | None, seconds: float | None) -> None:
    """Refuse a training that cannot be so long.

    Raises:
        ProtocolError: the iterations are no whole number from 1, or the seconds less than 0.
    """
    if iterations is not None:
        Iterations(iterations, iterations, iterations)
    if seconds is not None and not seconds >= 0:
        raise ProtocolError(f"a training cannot last {seconds:g} seconds: give 0 or more")


def wished(
    observation: Observation | Image | Source,
    task: Task | str,
    keep: str | None,
    truth: Image | Source | None,
) -> tuple[Observation, Task, str, Image | None]:
    """What is to be restored, read and checked before any long work: see `restore`.

    Raises:
        DipbenchError: an output that cannot be kept, a truth of another shape, or what `restore`
            refuses of an observation or a task.
        MissingExtraError: what judges by the truth is not installed.

    >>> from dipbench.data import Observation
    >>> noisy = Observation(np.zeros((1, 64, 64)))
    >>> wished(noisy, "denoising-25", None, None)[1:]
    (Denoising(sigma=25.0), 'discrepancy', None)
    """
    observation = load_observation(observation, task)
    truth = None if truth is None else load_image(truth, name="truth")
    task = task_of(observation, task)
    keep = keep or best_kept(observation, task)
    if keep not in KEEP:
        raise ProtocolError(unknown("output to keep", keep, KEEP))
    if keep == "discrepancy" and task.mean_squared_noise(observation) is None:
        raise ProtocolError(NOISE_UNKNOWN)
    if truth is not None and truth.shape != observation.restored_shape:
        raise ImageError(
            f"the truth has shape {truth.shape} (channels, height, width), what is restored "
            f"{observation.restored_shape}: give the picture that was degraded"
        )
    if truth is not None:
        import_ssim()  # by which it will be judged
    return observation, task, keep, truth
