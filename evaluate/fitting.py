"""The one optimisation loop: train a network on one image, as every task and protocol asks."""

import time
from collections.abc import Callable
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Image, Observation, Task, load_image, parse_task
from ..data.resampling import padded_sides
from ..data.tasks import check_observed
from ..errors import DipbenchError
from ..genotypes.network import count_macs, count_parameters, count_used_parameters
from ..genotypes.network_fast import accelerate
from ..genotypes.reference import check_fits
from ..seeds import checked_seed, stable_seed
from .devices import cpu_threads, described, resolve_device, torch_type
from .graphs import WARM_UP, capture, new_stream, own_stream
from .inputs import draw_input
from .memory import memory_told
from .models import Model, build_model, side_multiple
from .operators import forward_operator
from .optimising import MemoryOrderAdam
from .protocol import DiscrepancyStop, Protocol, get_protocol
from .results import STOPPED, Fit
from .tracking import Tracker

CHUNK = 10
"""Iterations between two looks of the host at the device; results do not depend on it."""

BACKTRACKING_EVERY = 100


def fit(
    model: Model,
    image: Image | np.ndarray | str | None,
    task: Task | str,
    iterations: int | None = None,
    seed: int = 0,
    protocol: str | Protocol = "isnas",
    device: str = "auto",
    *,
    observation: Observation | None = None,
    observation_seed: int = 0,
    progress: Callable[[int, "Training"], None] | None = None,
) -> Fit:
    """Train a model on one image and record its curves.

    Args:
        model: a genotype (any form that `Genotype.parse` takes), the name of a named network, or
            a module, which maps an input of the image's size, padded to multiples of 32, to an
            output of that size. A module is trained on in place, from the weights that it has.
        image: the ground truth; where the protocol has a `size`, its largest centred square is
            resized to that. None where only `observation` is known.
        task: what was done to the image, and so how an output is compared with the observation.
        iterations: instead of the protocol's number for this kind of task.
        seed: of the run: network input, weights (but a module's) and input noise.
        protocol: a protocol or its name.
        device: `auto`, `cpu`, `cuda` or `cuda:0`.
        observation: what is trained on, instead of drawing it from the image.
        observation_seed: of the draw of the observation.
        progress: called every few iterations with the number done and the training.

    Returns:
        The curves and outputs; a `KeyboardInterrupt` ends the run early and keeps what there is.

    Raises:
        DipbenchError: if an argument names nothing known, the device is not there, neither image
            nor observation is given, image, observation and output are not of one shape, or the
            run does not fit into memory.

    >>> from dipbench.evaluate import fit
    >>> result = fit(0, "camera", "denoising-25", iterations=2, protocol="quick")
    >>> result.status, result.length, result.output.shape
    ('finished', 2, (1, 64, 64))
    """
    with memory_told(resolve_device(device)):
        training = prepare(
            model, image, task, iterations, seed, protocol, device, observation, observation_seed
        )
        with cpu_threads(training.protocol.threads):
            return training.run(progress)


def prepare(
    model: Model,
    image: Image | np.ndarray | str | None,
    task: Task | str,
    iterations: int | None = None,
    seed: int = 0,
    protocol: str | Protocol = "isnas",
    device: str = "auto",
    observation: Observation | None = None,
    observation_seed: int = 0,
) -> "Training":
    """A training that has yet to be run; what `fit` says of its arguments holds.

    >>> prepare(0, "camera", "denoising-25", protocol="quick").iterations
    300
    """
    protocol = get_protocol(protocol)
    task = parse_task(task)
    if iterations is not None:
        protocol = protocol.with_iterations(iterations)
    if image is not None:
        image = load_image(image, size=protocol.size)
    if observation is None:
        if image is None:
            raise DipbenchError("nothing to train on: give an image or an observation")
        observation = task.observe(image, observation_seed)
    else:
        check_observed(observation, task)
    if image is not None and image.shape != observation.restored_shape:
        raise DipbenchError(
            f"the observation is of an image of shape {observation.restored_shape}, not of one "
            f"of {image.shape}: give the image that was degraded"
        )
    by_noise = isinstance(protocol.stop, DiscrepancyStop)
    noise = task.mean_squared_noise(observation) if by_noise else None
    name = image.name if image is not None else observation.sha256[:8]
    return Training(
        model,
        observation,
        None if image is None else image.array,
        protocol,
        protocol.iterations_for(task.kind),
        resolve_device(device),
        (checked_seed(seed, DipbenchError), name, str(task)),
        noise,
    )


class Training:
    """The state of one run: network, optimiser, input and what is tracked, all on the device.

    It trains even where its caller has switched gradients off.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        model: Model,
        observation: Observation,
        truth: np.ndarray | None,
        protocol: Protocol,
        iterations: int,
        device: torch.device,
        seed_parts: tuple[int, str, str],
        noise: float | None = None,
    ) -> None:
        self.protocol = protocol
        self.iterations = iterations
        self.device = device
        self.seed = seed_parts[0]
        self.done = 0
        self._stream = new_stream(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        # A module of the caller's own may have changed layers, not run on shapes alone, nor do the
        # same every time.
        own = isinstance(model, nn.Module)
        self._may_capture = self._stream is not None and not own
        self._checkpoint: tuple[float, dict[str, Tensor]] | None = None
        if isinstance(model, str):
            check_fits(model, str(seed_parts[-1]), observation.restored_shape)
        channels, height, width = observation.restored_shape
        multiple = side_multiple(model, str(seed_parts[-1]))
        (rows, columns), self._area = padded_sides(height, width, multiple)
        built = build_model(model, (channels, rows, columns), protocol, seed_parts)
        self._macs = None if own else count_macs(built.network, (1, *built.input_shape))
        drawn = draw_input(built.input_shape, protocol, seed_parts)
        self._input_sha256 = sha256(drawn.numpy().astype("<f4").tobytes()).hexdigest()
        with own_stream(self._stream):
            self.network: nn.Module = built.network.to(device)
            precision = torch_type(protocol.precision, device)
            self._run = accelerate(self.network, precision, rewrite=not own)
            self.input = drawn.to(device)
            self._noise = torch.Generator(device).manual_seed(stable_seed("jitter", *seed_parts))
            self._deviation = torch.tensor(
                float(protocol.input_noise), dtype=torch.float32, device=device
            )
            self._observed = torch.tensor(observation.observed, device=device)[None]
            self._operator = forward_operator(observation, device, torch.float32)
            share = 1.0 if observation.mask is None else float(np.mean(observation.mask))
            self.tracker = Tracker(
                shape=(1, channels, height, width),
                truth=None if truth is None else torch.tensor(truth, device=device)[None],
                protocol=protocol,
                iterations=iterations,
                observed_values=share * observation.observed.size,
                device=device,
                noise=noise,
            )
            weights = [p for p in self.network.parameters() if p.requires_grad]
            if not weights:
                raise DipbenchError("the model has no trainable weight: there is nothing to fit")
            self._optimiser = MemoryOrderAdam(weights, protocol.learning_rate)
        self._start = time.perf_counter()

    def run(self, progress: Callable[[int, "Training"], None] | None = None) -> Fit:
        """Train to the end, a divergence, the protocol's stop or an interrupt."""
        try:
            with own_stream(self._stream):
                while self.going:
                    self.advance(CHUNK)
                    if progress is not None:
                        progress(self.done, self)
        except KeyboardInterrupt:
            return self.result(interrupted=True)
        return self.result()

    @property
    def going(self) -> bool:
        """Whether there is more to do; the host waits for the iterations that are under way."""
        with own_stream(self._stream):
            return self.done < self.iterations and bool(self.tracker.active)

    @torch.inference_mode(False)
    @torch.enable_grad()
    def advance(self, count: int) -> None:
        """Do so many further iterations, or as many as are left, without a look at the device."""
        with own_stream(self._stream):
            for _ in range(min(count, self.iterations - self.done)):
                self._iterate()
                self.done += 1

    def result(self, interrupted: bool = False) -> Fit:
        """What the training has given so far."""
        with own_stream(self._stream):
            curves, outputs = self.tracker.curves(), self.tracker.outputs()
            status, reason = self._outcome(interrupted, len(curves["loss"]))
        return Fit(
            status=status,
            reason=reason,
            curves=curves,
            outputs=outputs,
            seconds=time.perf_counter() - self._start,
            device=described(self.device),
            seed=self.seed,
            input_sha256=self._input_sha256,
            parameters=count_parameters(self.network),
            parameters_used=count_used_parameters(self.network),
            macs=self._macs,
        )

    def _outcome(self, interrupted: bool, length: int) -> tuple[str, str]:
        if interrupted:
            return "interrupted", f"interrupted after {length} iterations"
        if bool(self.tracker.active):
            return "finished", ""
        # A stop counts the iteration that fired it, a divergence leaves its own out.
        if bool(self.tracker.diverged):
            return "diverged", f"the loss is no finite number at iteration {length}"
        return "stopped", STOPPED.format(length - 1)

    def _iterate(self) -> None:
        """One iteration: replayed where it is captured and does what every other one does."""
        if self._may_capture and self.done == WARM_UP:
            self._graph = capture(self._step, self._optimiser.fused, self._noise)
        if self._graph is None or self._looks_back():
            self._step()
        else:
            self._graph.replay()

    def _step(self) -> None:
        self._optimiser.zero_grad()
        self._perturb_weights()
        output = self._restore()
        error = self._operator(output) - self._observed
        loss = error.square().sum()
        if self.protocol.loss_reduction == "mean":
            loss = loss / error.numel()
        loss.backward()
        self.tracker.record(output.detach(), loss.detach(), error.detach())
        if not self._backtracked():
            self._optimiser.step()

    def _restore(self) -> Tensor:
        """The network's output, float32, on the area of the image."""
        output: Tensor = self._run(self._noisy_input())
        output = output[..., self._area[0], self._area[1]].float()
        if output.shape != self.tracker.shape:
            raise DipbenchError(
                f"the network gives an output of shape {tuple(output.shape)}: expected "
                f"{self.tracker.shape} after cropping to the image"
            )
        return output

    def _noisy_input(self) -> Tensor:
        noise = torch.empty_like(self.input).normal_(generator=self._noise) * self._deviation
        self._deviation.mul_(self.protocol.input_noise_decay)
        noisy = self.input + noise
        if self.protocol.input_kind == "drifting":
            now = self.input.clone()
            self.input.copy_(noisy)
            return now
        return noisy

    @torch.no_grad()
    def _perturb_weights(self) -> None:
        if not self.protocol.weight_noise:
            return
        for weight in self.network.parameters():
            if weight.dim() == 4 and weight.requires_grad:
                noise = torch.empty_like(weight).normal_(generator=self._noise)
                weight.add_(noise * weight.std(correction=0) * self.protocol.weight_noise)

    def _backtracked(self) -> bool:
        """Whether the last good weights replace those that just let the observed PSNR fall.

        After Ulyanov et al., whose code looks at every iteration but each hundredth. Here it is
        each hundredth alone: weights that pass become the good ones, before the step that they
        have not been judged by.
        """
        limit = self.protocol.backtracking_db
        if limit is None or not self._looks_back():
            return False
        observed = self.tracker.psnr_observed()
        if self._checkpoint is not None and not observed >= self._checkpoint[0] - limit:
            self.network.load_state_dict(self._checkpoint[1])
            return True
        state = self.network.state_dict()
        self._checkpoint = observed, {key: value.clone() for key, value in state.items()}
        return False

    def _looks_back(self) -> bool:
        return self.protocol.backtracking_db is not None and self.done % BACKTRACKING_EVERY == 0
