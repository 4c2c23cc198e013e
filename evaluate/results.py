"""What a training gave: its curves, the outputs that were kept, and what the network costs."""

from dataclasses import dataclass, field

import numpy as np

from ..errors import DipbenchError

STOPPED = "the protocol's stop rule fired at iteration {}"
"""The reason of a run with the status `stopped`."""
OUT_OF_TIME = "its {:g} seconds were over after {} iterations"
"""The reason of a training that was given so many seconds."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What a training of one model on one image gave.

    Attributes:
        status: `finished`, `stopped` (by the protocol's rule), `diverged` (a loss that is no
            number) or `interrupted`.
        reason: why it ended early, else empty.
        curves: one float32 array (length,) a kind: `loss` (squared error as trained on),
            `psnr_observed` (dB, against the observation), `variance` (moving variance of the
            output), and, where the truth is known, `psnr` and the smoothed ones (dB). Entry t is
            of the output before step t.
        outputs: float32 arrays (C, H, W): `last`, `smooth`, `recent` (the moving average that the
            moving variance is of), `lowest_loss`, `lowest_variance` (once that variance has
            settled), and, where the truth is known, `best` and `best_smooth`; zeros where no
            iteration was recorded.
        seconds: wall time of the loop.
        device: what it ran on.
        seed: of the run.
        input_sha256: of the network input z (float32, little-endian), which all models share.
        parameters: values of the network's parameters.
        parameters_used: those that its forward pass runs.
        macs: multiply-accumulates of one forward pass; None for a module of the caller's own.
    """

    status: str
    reason: str
    curves: dict[str, np.ndarray] = field(repr=False)
    outputs: dict[str, np.ndarray] = field(repr=False)
    seconds: float
    device: str
    seed: int
    input_sha256: str
    parameters: int
    parameters_used: int
    macs: int | None

    @property
    def length(self) -> int:
        """Iterations that were recorded."""
        return len(self.curves["loss"])

    @property
    def loss(self) -> np.ndarray:
        """The loss, float32 (length,)."""
        return self.curves["loss"]

    @property
    def psnr(self) -> np.ndarray:
        """PSNR of the output against the truth in dB, float32 (length,)."""
        return self._curve("psnr")

    @property
    def psnr_smooth(self) -> np.ndarray:
        """PSNR of the moving average of the outputs in dB, float32 (length,)."""
        return self._curve("psnr_smooth")

    @property
    def output(self) -> np.ndarray:
        """The last output, float32 (C, H, W)."""
        return self.outputs["last"]

    @property
    def output_smooth(self) -> np.ndarray:
        """The moving average of the outputs at the end, float32 (C, H, W)."""
        return self.outputs["smooth"]

    @property
    def best_psnr(self) -> float:
        """The highest PSNR in dB."""
        return float(self.psnr[self._highest("psnr")])

    @property
    def best_psnr_iteration(self) -> int:
        """The first iteration of the highest PSNR."""
        return self._highest("psnr")

    @property
    def best_psnr_smooth(self) -> float:
        """The highest smoothed PSNR in dB: the published ground truth."""
        return float(self.psnr_smooth[self._highest("psnr_smooth")])

    @property
    def best_psnr_smooth_iteration(self) -> int:
        """The first iteration of the highest smoothed PSNR."""
        return self._highest("psnr_smooth")

    def _curve(self, kind: str) -> np.ndarray:
        if kind not in self.curves:
            raise DipbenchError(f"this fit has no {kind} curve: it was made without a ground truth")
        return self.curves[kind]

    def _highest(self, kind: str) -> int:
        if not self.length:
            raise DipbenchError(f"no iteration of this fit is whole: {self.status}, {self.reason}")
        return int(self._curve(kind).argmax())
