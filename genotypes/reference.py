"""The named networks of the field by name, with their published settings, and how to build one."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ..errors import GenotypeError, unknown
from .families import concat_bicubic, conv_decoder, deep_decoder, dip, nas_dip, two_upsamplers
from .named import NamedNetwork, Settings, Shape
from .space import Genotype
from .upsample import codes_by_name

if TYPE_CHECKING:
    from torch import nn

_DRIFTING = Settings(
    {"inpainting": 25_000},
    learning_rate=1e-4,
    loss_reduction="sum",
    input_kind="drifting",
    input_scale=1.0,
    input_noise=1 / 30,
)
_NETWORKS = (
    dip(
        "dip-denoising",
        "DIP for noise of sigma 25",
        Settings({"denoising": 3000}, input_noise=1 / 30, backtracking_db=5.0),
        mode="bilinear",
    ),
    dip(
        "dip-denoising-50",
        "DIP for noise of sigma 50: the same network, more noise on its input",
        Settings({"denoising": 3000}, input_noise=1 / 20, backtracking_db=5.0),
        mode="bilinear",
    ),
    dip(
        "dip-sr-4",
        "DIP for super-resolution x4",
        Settings({"sr": 2000}, input_noise=0.03),
        mode="bilinear",
    ),
    dip(
        "dip-sr-8",
        "DIP for super-resolution x8: the same network, trained longer with more noise",
        Settings({"sr": 4000}, input_noise=0.05),
        mode="bilinear",
    ),
    dip(
        "dip-inpainting",
        "DIP for scattered missing pixels or text: wide skips, nearest resizing",
        Settings({"inpainting": 6000}, input_noise=0.03),
        skips=(128,) * 5,
        mode="nearest",
    ),
    dip(
        "dip-inpainting-region",
        "DIP for missing regions: a meshgrid as input, no skips",
        Settings({"inpainting": 5000}, input_kind="meshgrid", input_scale=1.0, input_noise=0.03),
        in_channels=2,
        skips=(0,) * 5,
        mode="nearest",
    ),
    dip(
        "dip-inpainting-hole",
        "DIP for a large hole: six levels, no skips, perturbed weights",
        # The authors' loop rebinds the perturbed weights without storing them, so in effect
        # it trained without; the setting is what they describe.
        Settings({"inpainting": 3000}, weight_noise=1 / 50),
        in_channels=1,
        widths=(16, 32, 64, 128, 128, 128),
        skips=(0,) * 6,
        mode="nearest",
        down_kernel=5,
        mixing=False,
    ),
    dip(
        "dip-jpeg",
        "DIP for JPEG artefacts: a small network",
        Settings({"denoising": 2400}, input_noise=1 / 30, backtracking_db=5.0),
        in_channels=3,
        widths=(8, 16, 32, 64, 128),
        skips=(0, 0, 0, 4, 4),
        mode="bilinear",
    ),
    concat_bicubic(Settings({"inpainting": 8000})),
    two_upsamplers("pixel-shuffle", _DRIFTING),
    two_upsamplers("transposed", _DRIFTING),
    deep_decoder(Settings()),
    nas_dip(
        "denoising",
        Genotype(158, "1111101111001110001100001"),
        Settings({"denoising": 3000}, input_noise=1 / 30, backtracking_db=5.0),
    ),
    nas_dip(
        "inpainting",
        Genotype(86, "1100001100101100101100101"),
        Settings({"inpainting": 11_000}, learning_rate=0.001, input_noise=0.03),
    ),
    nas_dip(
        "sr",
        Genotype(119, "1001011001011000011000011"),
        Settings({"sr": 2000}, input_noise=0.03),
    ),
    conv_decoder(
        Settings(
            {"denoising": 2500, "inpainting": 2500, "sr": 2500},
            input_kind="normal",
            input_scale=1.0,
        )
    ),
)

REFERENCE: dict[str, NamedNetwork] = {network.name: network for network in _NETWORKS}
"""The named networks by name."""

BY_TASK: dict[str, dict[str, str]] = {
    "dip": {
        "denoising": "dip-denoising",
        "denoising-50": "dip-denoising-50",
        "inpainting": "dip-inpainting",
        "inpainting-hole": "dip-inpainting-region",
        "sr": "dip-sr-4",
        "sr-8": "dip-sr-8",
    },
    "nas-dip": {kind: f"nas-dip-{kind}" for kind in ("denoising", "inpainting", "sr")},
}
"""Families whose bare name means the variant for the task: that of its longest beginning here.

DIP's publication trains one network with other settings for sigma 25 and 50, and for x4 and x8; it
leaves the skips out for regions and widens them for scattered pixels and text. A mask from a file
counts as scattered: name `dip-inpainting-region` where it is not.
"""

STRONG = 37.5
"""From this sigma on, noise counts as that of 50."""


def build_reference(name: str, image_shape: Shape) -> nn.Module:
    """Build a named network for images of (C, H, W), with PyTorch's default initialisation.

    Args:
        name: a key of `REFERENCE`.
        image_shape: channels, height and width of the image to restore.

    Raises:
        GenotypeError: there is no network of that name.
        ImageError: the network cannot make images of that size.

    >>> import torch
    >>> net = build_reference("deep-decoder", (3, 64, 64))
    >>> z = torch.rand(1, *REFERENCE["deep-decoder"].input_shape((3, 64, 64)))
    >>> z.shape, net(z).shape
    (torch.Size([1, 16, 4, 4]), torch.Size([1, 3, 64, 64]))
    """
    network = get_reference(name)
    network.input_shape(image_shape)
    return network.build(image_shape)


def get_reference(name: str) -> NamedNetwork:
    """The named network of that name.

    Raises:
        GenotypeError: there is none, or it is a family's.

    >>> get_reference("dip-jpeg").published.iterations
    {'denoising': 2400}
    """
    if name in BY_TASK:
        variants = ", ".join(BY_TASK[name].values())
        raise GenotypeError(f"{name} is a family of networks: give one of {variants}")
    if name not in REFERENCE:
        raise GenotypeError(unknown("named network", name, REFERENCE, limit=30))
    return REFERENCE[name]


def reference_for(name: str, task: str) -> NamedNetwork:
    """The named network of that name, where a family's name means its variant for the task.

    Args:
        name: a key of `REFERENCE`, or `dip` or `nas-dip`.
        task: a task's text form, or its kind alone.

    Raises:
        GenotypeError: there is no network of that name, or no variant for that task.

    >>> reference_for("dip", "sr").name, reference_for("dip", "inpainting-hole-25").name
    ('dip-sr-4', 'dip-inpainting-region')
    """
    if name not in BY_TASK:
        return get_reference(name)
    variants = BY_TASK[name]
    sigma = re.fullmatch(r"denoising-(\d+(\.\d+)?)", task)
    asked = "denoising-50" if sigma and float(sigma[1]) >= STRONG else task
    suitable = [begin for begin in variants if f"{asked}-".startswith(f"{begin}-")]
    if not suitable:
        raise GenotypeError(unknown(f"kind of task for {name}", task, variants))
    return REFERENCE[variants[max(suitable, key=len)]]


def check_fits(model: str, task: str, image_shape: Shape) -> None:
    """See that a named network makes images of a shape, padded as a training pads them.

    Genotypes do of all that `load_image` takes.

    Args:
        model: a genotype, or a name as in `reference_for`.
        task: its text form.
        image_shape: channels, height and width of the image to restore.

    Raises:
        GenotypeError: the family of that name has no variant for the task.
        ImageError: the network cannot make images of that size.

    >>> check_fits("dip-pixel-shuffle", "denoising-25", (1, 100, 120))
    """
    if model not in REFERENCE and model not in BY_TASK:
        return
    reference_for(model, task).check_sides(image_shape)


def parse_genotype(model: object) -> Genotype:
    """`Genotype.parse`, whose error lists the named networks where the text is more like a name.

    Raises:
        GenotypeError: it names no genotype.

    >>> parse_genotype(0).upsample
    172
    """
    try:
        return Genotype.parse(model)
    except GenotypeError as error:
        if isinstance(model, str) and is_a_name(model):
            listed = unknown("model", model, _names(), limit=len(_names()))
            raise GenotypeError(f"{listed}; or give a genotype") from error
        raise


def is_a_name(text: str) -> bool:
    """Whether a text that is no model is more like the name of a network than like a genotype.

    >>> is_a_name("unet"), is_a_name("dipp"), is_a_name("bilinear-conv-3x3"), is_a_name("0,1")
    (True, True, False, False)
    """
    if "/" in text or not text[:1].isalpha():
        return False
    return bool(get_close_matches(text, _names())) or not get_close_matches(text, codes_by_name())


def _names() -> list[str]:
    return list(dict.fromkeys([*BY_TASK, *REFERENCE]))
