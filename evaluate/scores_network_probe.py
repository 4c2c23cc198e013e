"""What a network-based score is called with: one model before training, on one observation."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Observation, Task
from ..data.resampling import pad_to_multiple, padded_sides
from ..errors import ScoreError
from ..genotypes import Genotype
from ..genotypes.network import GenotypeNetwork
from ..genotypes.network_fast import accelerate
from .caching import cached_property
from .fitting import Fit, Training
from .inputs import draw_input
from .models import BuiltModel, Model, build_model, model_name, outline, side_multiple
from .operators import forward_operator
from .protocol import Protocol


@dataclass(frozen=True)
class Probe:
    """One model with one initialisation, and the observation that it would be trained on.

    The ground truth is not here: a score sees what a restoration would see.

    Args:
        model: genotype or named network.
        image: name of the image.
        task: what was done to it.
        observation: what is known of it.
        protocol: how the model would be trained.
        seed: of weights and input.
        device: where the network is run.
    """

    model: Model
    image: str
    task: Task
    observation: Observation
    protocol: Protocol
    seed: int
    device: torch.device

    @property
    def seed_parts(self) -> tuple[int, str, str]:
        """What the draws of weights and input are for, the model aside."""
        return self.seed, self.image, str(self.task)

    @property
    def name(self) -> str:
        """The model's text form."""
        return model_name(self.model, str(self.task))

    @property
    def genotype(self) -> Genotype:
        """The model's genotype.

        Raises:
            ScoreError: the model is none of the search space.
        """
        network = self.outline.network
        if not isinstance(network, GenotypeNetwork):
            raise ScoreError(f"{self.name} is no genotype: it has no upsample block to score")
        return network.genotype

    @cached_property
    def outline(self) -> BuiltModel:
        """The network without weights, for scores that only count."""
        return outline(self.model, self._shape(), self.protocol, str(self.task))

    @cached_property
    def untrained(self) -> nn.Module:
        """The network before training, for all scores that leave it as it is."""
        self._fast  # noqa: B018 - lays its weights out: no bit is to depend on which score is first
        return self._built.network

    def network(self) -> nn.Module:
        """A fresh network to do with as one likes; the weights are the same at every call."""
        return self._build(self.observation.restored_shape[0]).network.to(self.device)

    def output(self, channels: int) -> Tensor:
        """The untrained output with that many channels, (1, channels, H, W)."""
        if channels == self.observation.restored_shape[0]:
            network, z = self._fast, self.z
        else:
            built = self._build(channels)
            network = accelerate(built.network.to(self.device))
            z = draw_input(built.input_shape, self.protocol, self.seed_parts).to(self.device)
        with torch.no_grad():
            return self.crop(network(z))

    @cached_property
    def z(self) -> Tensor:
        """The network's input, float32 (1, C, H, W), as the padded picture asks for."""
        shape = self._built.input_shape
        return draw_input(shape, self.protocol, self.seed_parts).to(self.device)

    @cached_property
    def observed(self) -> Tensor:
        """What is known of the image, float32 (1, C, h, w)."""
        return torch.tensor(self.observation.observed, device=self.device)[None]

    @cached_property
    def operator(self) -> Callable[[Tensor], Tensor]:
        """From a restoration (1, C, H, W) to what it would be observed as."""
        return forward_operator(self.observation, self.device)

    def pad(self, picture: np.ndarray) -> np.ndarray:
        """A picture (..., H, W) with the sides that the model makes, as in training."""
        return pad_to_multiple(picture, self._multiple)[0]

    def crop(self, output: Tensor) -> Tensor:
        """The picture's own area of a network's output."""
        rows, columns = self._area
        return output[..., rows, columns]

    def predict(self, network: nn.Module) -> Tensor:
        """The network's output as it would be observed, (1, C, h, w)."""
        return self.operator(self.crop(network(self.z)))

    @cached_property
    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """Each weight and the gradient in it of the loss before training, mean((A f - y)^2)."""
        network = self.network()
        (self.predict(network) - self.observed).square().mean().backward()
        weights = (weight for weight in network.parameters() if weight.grad is not None)
        return [(weight.detach(), weight.grad) for weight in weights if weight.grad is not None]

    def train(self, observation: Observation, steps: int) -> Fit:
        """Train for that many steps from the probe's own weights and input.

        The fit's last loss and output are those after `steps` steps. It is kept while the probe is,
        for all scores that ask for it.

        Raises:
            ScoreError: the training diverged.
        """
        asked = observation, steps
        if asked not in self._fits:
            self._fits[asked] = self._trained(*asked)
        return self._fits[asked]

    @cached_property
    def _fits(self) -> dict[tuple[Observation, int], Fit]:
        return {}

    def _trained(self, observation: Observation, steps: int) -> Fit:
        # The number of steps is fixed: no rule may end them before.
        protocol = self.protocol.replace(stop=None)
        fit = Training(
            self.model, observation, None, protocol, steps + 1, self.device, self.seed_parts
        ).run()
        if fit.status == "interrupted":
            raise KeyboardInterrupt
        if fit.status != "finished":
            raise ScoreError(f"training {fit.status}: {fit.reason}")
        return fit

    @cached_property
    def _built(self) -> BuiltModel:
        return self._build(self.observation.restored_shape[0])

    @cached_property
    def _fast(self) -> nn.Module:
        return accelerate(self._built.network.to(self.device))

    def _build(self, channels: int) -> BuiltModel:
        return build_model(self.model, self._shape(channels), self.protocol, self.seed_parts)

    def _shape(self, channels: int | None = None) -> tuple[int, int, int]:
        """Of what the network makes, with the observation's channels where no number is given."""
        own, height, width = self.observation.restored_shape
        return channels or own, *padded_sides(height, width, self._multiple)[0]

    @cached_property
    def _multiple(self) -> int:
        return side_multiple(self.model, str(self.task))

    @cached_property
    def _area(self) -> tuple[slice, slice]:
        return padded_sides(*self.observation.restored_shape[1:], self._multiple)[1]
