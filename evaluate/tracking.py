"""What a training records in each iteration, on the device and without a copy to the host."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ProtocolError
from .protocol import DiscrepancyStop, PeakStop, Protocol, VarianceStop
from .stopping import NOISE_UNKNOWN, variance_warmup


class Tracker:
    """Curves, moving averages and best outputs of one run.

    Every update is a device operation on buffers made once, so that an iteration never waits for
    the host and can be replayed as a graph. Once the loss is no finite number (`diverged`) or the
    protocol's stop rule has fired, `active` turns false and further iterations change nothing.

    Args:
        shape: (1, C, H, W) of an output.
        truth: the ground truth of that shape, or None where it is not known.
        protocol: names the moving averages, the stop rule and the moving variance's weight.
        iterations: how many there will be at most.
        observed_values: values of the observation that were really observed.
        device: where the buffers live.
        noise: the mean squared noise of the observation, which a `DiscrepancyStop` needs.

    Raises:
        ProtocolError: it needs it, and it is not known.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        truth: Tensor | None,
        protocol: Protocol,
        iterations: int,
        observed_values: float,
        device: torch.device,
        noise: float | None = None,
    ) -> None:
        self.shape = shape
        # Whatever torch's default is at the caller's.
        real: dict[str, Any] = {"dtype": torch.float32, "device": device}
        self._truth = truth
        blind = protocol.stops_by_truth and truth is None
        self._stop = None if blind else protocol.stop
        if isinstance(protocol.stop, DiscrepancyStop) and noise is None:
            raise ProtocolError(NOISE_UNKNOWN)
        self._noise = torch.tensor(torch.nan if noise is None else noise, **real)
        self._mean_error = torch.zeros((), **real)
        self._observed_values = observed_values
        of_truth = () if truth is None else ("psnr", *protocol.smooth_kinds)
        self._kinds = ("loss", "psnr_observed", "variance", *of_truth)
        self._curves = torch.zeros(len(self._kinds), iterations, **real)
        self._step = torch.zeros(1, dtype=torch.long, device=device)
        self.active = torch.ones((), dtype=torch.bool, device=device)
        self.diverged = torch.zeros((), dtype=torch.bool, device=device)
        self.length = torch.zeros((), dtype=torch.long, device=device)
        # The first output starts every average: its weight is 1, later ones have the protocol's.
        weights = [*(1 - weight for weight in protocol.ema), protocol.variance_alpha]
        self._steady = torch.tensor(weights, **real).reshape(-1, 1, 1, 1)
        self._weights = torch.ones_like(self._steady)
        self._averages = torch.zeros(len(weights), *shape[1:], **real)
        self._variance = torch.zeros((), **real)
        self._variance_warmup = variance_warmup(protocol.variance_alpha)
        self._last = torch.zeros(shape, **real)
        self._highest_psnr = torch.full((), -torch.inf, **real)
        names = ["lowest_loss", "lowest_variance"] + ["best", "best_smooth"] * (truth is not None)
        self._marks = {name: torch.full((), -torch.inf, **real) for name in names}
        self._marked_at = {
            name: torch.zeros((), dtype=torch.long, device=device)
            for name in ("lowest_variance", "best_smooth")
        }
        self._kept = {name: torch.zeros(shape, **real) for name in names}

    @torch.no_grad()
    def record(self, output: Tensor, loss: Tensor, error: Tensor) -> None:
        """Take in one iteration.

        Args:
            output: (1, C, H, W), before the optimiser's step.
            loss: scalar, as trained on.
            error: output under the task's operator minus the observation.
        """
        self.diverged |= self.active & ~loss.isfinite()
        self.active &= ~self.diverged
        variance = self._average(output)
        squared_error = error.square().sum() / self._observed_values
        row = [loss, psnr_of(squared_error), variance]
        marks = {"lowest_loss": -loss, "lowest_variance": -variance}
        if self._truth is not None:
            smooth_errors = (self._averages[:-1] - self._truth).square().mean(dim=(1, 2, 3))
            psnr, smooth = psnr_of((output - self._truth).square().mean()), psnr_of(smooth_errors)
            row += [psnr, *smooth]
            marks |= {"best": psnr, "best_smooth": smooth[0]}
        self._curves.index_copy_(1, self._step, torch.stack(row)[:, None])
        self._keep(marks, output)
        self.length += self.active
        if self._stop is not None:
            self._apply_stop(row, squared_error)
        self._step += 1

    def curves(self) -> dict[str, np.ndarray]:
        """Each kind's float32 array (length,)."""
        values = self._curves[:, : int(self.length)].cpu().numpy().copy()
        return dict(zip(self._kinds, values, strict=True))

    def psnr_observed(self) -> float:
        """The last iteration's PSNR in dB against the observation; a copy to the host."""
        return float(self._curves[self._kinds.index("psnr_observed"), self._step - 1])

    def last(self) -> np.ndarray:
        """The last output, float32 (C, H, W)."""
        last: np.ndarray = self._last[0].cpu().numpy().copy()
        return last

    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs kept, each float32 (C, H, W)."""
        kept = {"last": self._last[0], "smooth": self._averages[0], "recent": self._averages[-1]}
        kept |= {name: value[0] for name, value in self._kept.items()}
        return {name: value.cpu().numpy().copy() for name, value in kept.items()}

    def _average(self, output: Tensor) -> Tensor:
        """Move the averages on and return the moving variance, a mean over the output's values.

        The variance is Wang et al.'s, v = (1 - a)(v + a |x - m|^2), with the average m before
        the output x joined it; the first output gives 0.
        """
        old = self._averages[-1]
        alpha = self._weights[-1]
        moved = (output[0] - old).square().mean()
        variance = (1 - alpha.squeeze()) * (self._variance + alpha.squeeze() * moved)
        self._variance.copy_(torch.where(self.active, variance, self._variance))
        averages = self._averages.lerp(output, self._weights)
        self._averages.copy_(torch.where(self.active, averages, self._averages))
        self._weights.copy_(self._steady)
        return variance

    def _keep(self, marks: dict[str, Tensor], output: Tensor) -> None:
        self._last.copy_(torch.where(self.active, output, self._last))
        step = self._step.squeeze()
        for name, mark in marks.items():
            better = self.active & (mark > self._marks[name])
            if name == "lowest_variance":
                better |= self.active & (step <= self._variance_warmup)
            if name in self._marked_at:
                at = self._marked_at[name]
                at.copy_(torch.where(better, step, at))
            candidate = self._averages[:1] if name == "best_smooth" else output
            self._kept[name].copy_(torch.where(better, candidate, self._kept[name]))
            self._marks[name].copy_(torch.where(better, mark, self._marks[name]))

    def _apply_stop(self, row: list[Tensor], squared_error: Tensor) -> None:
        rule = self._stop
        if isinstance(rule, VarianceStop):
            fired = self._step - self._marked_at["lowest_variance"] >= rule.patience
        elif isinstance(rule, PeakStop):
            fired = self._step - self._marked_at["best_smooth"] >= rule.peak_patience
        elif isinstance(rule, DiscrepancyStop):
            moved = self._mean_error.lerp(squared_error, rule.alpha)
            self._mean_error.copy_(torch.where(self._step.squeeze() == 0, squared_error, moved))
            fired = self._mean_error <= self._noise
        elif rule is not None:
            psnr = row[3]
            fired = (psnr < self._highest_psnr - rule.drop_db) & (self._step >= rule.start)
            self._highest_psnr.copy_(torch.maximum(psnr, self._highest_psnr))
        self.active &= ~fired.squeeze()


def psnr_of(mean_squared_error: Tensor) -> Tensor:
    """PSNR in dB for a peak of 1, of a tensor of mean squared errors."""
    return -10.0 * mean_squared_error.log10()
