"""From what a user names as a model to a network with its seeded weights and its input's shape."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..genotypes import Genotype
from ..genotypes.initialisation import initialise
from ..genotypes.named import NamedNetwork
from ..genotypes.network import MULTIPLE, build_network
from ..genotypes.reference import BY_TASK, REFERENCE, parse_genotype, reference_for
from .protocol import Protocol

Model = Any
"""A genotype in any form that `Genotype.parse` takes, a named network, or a module."""


@dataclass(frozen=True)
class BuiltModel:
    """A network ready to train: its weights drawn, and the (C, H, W) of the input it asks for."""

    name: str
    network: nn.Module
    input_shape: tuple[int, int, int]


def parse_model(model: Model, task: str) -> Genotype | NamedNetwork:
    """The genotype or named network that a user names.

    Args:
        model: a genotype in any form, or a name; a family's (`dip`) means its variant for the
            task.
        task: its text form, or its kind alone.

    Raises:
        GenotypeError: if it names neither.

    >>> parse_model("dip", "sr").name
    'dip-sr-4'
    """
    if isinstance(model, str) and (model in REFERENCE or model in BY_TASK):
        return reference_for(model, task)
    return parse_genotype(model)


def model_name(model: Model, task: str) -> str:
    """The full text form of what a user names; `module` for a module.

    Raises:
        GenotypeError: as `parse_model` does.

    >>> model_name("dip", "sr"), model_name("0", "sr")
    ('dip-sr-4', 'nearest-sep_conv-7x7-relu/0000011001001001100111101')
    """
    if isinstance(model, nn.Module):
        return "module"
    return _text(parse_model(model, task))


def _text(found: Genotype | NamedNetwork) -> str:
    return found.name if isinstance(found, NamedNetwork) else str(found)


def side_multiple(model: Model, task: str) -> int:
    """What both sides of a model's output must be multiples of; images are padded to it.

    >>> side_multiple("dip-pixel-shuffle", "inpainting"), side_multiple(0, "inpainting")
    (64, 32)
    """
    if isinstance(model, nn.Module):
        return MULTIPLE
    found = parse_model(model, task)
    return found.multiple if isinstance(found, NamedNetwork) else MULTIPLE


def build_model(
    model: Model,
    image_shape: tuple[int, int, int],
    protocol: Protocol,
    seed_parts: tuple[object, ...],
) -> BuiltModel:
    """Build the network for images of a shape and draw its weights.

    A module is taken as it is, with the weights it has. A named network has the input that its
    publication gives it; a genotype has the protocol's.

    Args:
        model: genotype, named network or module.
        image_shape: (C, H, W), sides multiples of what `side_multiple` says.
        protocol: gives the channels of the input.
        seed_parts: (run seed, image, task); the model's name and each module's are added.

    >>> from dipbench.evaluate.protocol import get_protocol
    >>> built = build_model(0, (3, 64, 64), get_protocol("isnas"), (0, "camera", "denoising-25"))
    >>> built.name, built.input_shape
    ('nearest-sep_conv-7x7-relu/0000011001001001100111101', (3, 64, 64))
    """
    built = outline(model, image_shape, protocol, str(seed_parts[-1]))
    if not isinstance(model, nn.Module):
        built.network.to_empty(device="cpu")
        initialise(built.network, *seed_parts, built.name)
    return built


def outline(
    model: Model, image_shape: tuple[int, int, int], protocol: Protocol, task: str
) -> BuiltModel:
    """As `build_model`, without weights: on the `meta` device, which is all that counting needs.

    >>> from dipbench.evaluate.protocol import get_protocol
    >>> planned = outline(0, (1, 64, 64), get_protocol("isnas"), "denoising-25")
    >>> next(planned.network.parameters()).device
    device(type='meta')
    """
    channels, height, width = image_shape
    input_shape = (protocol.input_channels_for(channels), height, width)
    if isinstance(model, nn.Module):
        return BuiltModel("module", model, input_shape)
    found = parse_model(model, task)
    with torch.device("meta"):  # where nothing is drawn that `initialise` draws again
        if isinstance(found, NamedNetwork):
            input_shape = found.input_shape(image_shape)
            network = found.build(image_shape)
        else:
            network = build_network(found, input_shape[0], channels)
    # Whatever torch's default is at the caller's.
    return BuiltModel(_text(found), network.float(), input_shape)
