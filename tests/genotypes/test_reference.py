"""The named networks against the figures of their authors' code, and how they are looked up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dipbench.errors import DipbenchError, GenotypeError, ImageError
from dipbench.evaluate.baselines import import_deepinv
from dipbench.genotypes.initialisation import initialise
from dipbench.genotypes.network import count_macs, count_parameters, count_used_parameters
from dipbench.genotypes.reference import (
    BY_TASK,
    REFERENCE,
    build_reference,
    check_fits,
    reference_for,
)

FIGURES = Path(__file__).parents[1] / "reference"
PUBLISHED = json.loads((FIGURES / "named_networks.json").read_text())
CONV_DECODER = json.loads((FIGURES / "conv_decoder.json").read_text())["networks"]
NAMES = {
    "dip (denoising, super-resolution)": "dip-denoising dip-denoising-50 dip-sr-4 dip-sr-8",
    "dip inpainting, masks of scattered pixels or text": "dip-inpainting",
    "dip inpainting, regions without skips": "dip-inpainting-region",
    "dip large hole, depth 6": "dip-inpainting-hole",
    "dip small (JPEG artefacts)": "dip-jpeg",
}
CASES = [(name, row) for key, row in PUBLISHED.items() for name in NAMES.get(key, key).split()]


def without_values(name, image_shape):
    """A network of shapes without values: quick to build where the values do not matter."""
    with torch.device("meta"):
        return build_reference(name, image_shape)


@pytest.mark.parametrize(("name", "row"), CASES, ids=[name for name, _ in CASES])
def test_fingerprint_of_the_authors_code(name, row, fingerprint):
    image_shape = tuple(row["output"])
    net = without_values(name, image_shape).to_empty(device="cpu")
    assert [1, *REFERENCE[name].input_shape(image_shape)] == row["input"]
    assert count_parameters(net) == row["parameters"]
    assert count_used_parameters(net) == row["parameters_used"]
    expected = [row["mean"], row["std"], *row["probe"]]
    assert fingerprint(net, row["input"]) == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("row", CONV_DECODER, ids=lambda row: str(row["output"]))
def test_conv_decoder_has_the_fingerprint_of_deepinv(row, fingerprint):
    image_shape = tuple(row["output"])
    net = build_reference("conv-decoder", image_shape)
    assert count_parameters(net) == row["parameters"]
    expected = [row["mean"], row["std"], *row["probe"]]
    input_shape = (1, *REFERENCE["conv-decoder"].input_shape(image_shape))
    assert fingerprint(net, input_shape) == pytest.approx(expected, rel=1e-9, abs=0)


def test_conv_decoder_equals_the_installed_deepinv(fingerprint):
    try:
        deepinv = import_deepinv()
    except DipbenchError as error:
        pytest.skip(str(error))
    theirs = fingerprint(deepinv.models.ConvDecoder((3, 80, 64)), (1, 256, 4, 4))
    ours = fingerprint(build_reference("conv-decoder", (3, 80, 64)), (1, 256, 4, 4))
    assert ours == pytest.approx(theirs, rel=1e-9, abs=0)


def test_deep_decoder_has_the_published_size():
    net = without_values("deep-decoder", (3, 512, 512))
    assert count_parameters(net) == 68_864 + 384
    z = torch.empty(1, *REFERENCE["deep-decoder"].input_shape((3, 512, 512)), device="meta")
    assert z.shape == (1, 16, 32, 32)
    assert net(z).shape == (1, 3, 512, 512)


@pytest.mark.parametrize("name", REFERENCE)
def test_is_built_for_any_image_that_fits(name):
    network = REFERENCE[name]
    assert network.name == name
    side = max(network.smallest, 64)
    for image_shape in [(1, side, side), (3, side, side + network.multiple)]:
        net = build_reference(name, image_shape)
        initialise(net, 0, name)
        z = torch.rand(1, *network.input_shape(image_shape))
        with torch.no_grad():
            out = net(z)
        assert out.shape == (1, *image_shape)
        assert out.isfinite().all()
        assert not list(net.buffers())
    assert count_macs(net, tuple(z.shape)) > 0


@pytest.mark.parametrize("name", REFERENCE)
def test_the_smallest_image_fits_and_no_smaller_one(name):
    network = REFERENCE[name]
    side = network.smallest
    out = build_reference(name, (1, side, side))(
        torch.rand(1, *network.input_shape((1, side, side)))
    )
    assert out.shape == (1, 1, side, side)
    for wrong in [(1, side - network.multiple, side), (1, side, side - network.multiple)]:
        with pytest.raises(ImageError, match=f"{name} cannot make an image"):
            build_reference(name, wrong)


def test_sides_must_be_multiples():
    with pytest.raises(ImageError, match="multiples of 64"):
        build_reference("dip-transposed", (3, 160, 128))


def test_a_family_means_its_variant_for_the_task():
    assert reference_for("dip", "denoising").name == "dip-denoising"
    assert reference_for("dip", "inpainting").name == "dip-inpainting"
    assert reference_for("dip", "sr").name == "dip-sr-4"
    assert reference_for("nas-dip", "sr").name == "nas-dip-sr"
    assert reference_for("dip-jpeg", "sr").name == "dip-jpeg"
    assert all(name in REFERENCE for kinds in BY_TASK.values() for name in kinds.values())


def test_unknown_names_list_what_there_is():
    with pytest.raises(GenotypeError, match="did you mean 'deep-decoder'"):
        build_reference("deep-decoders", (3, 64, 64))
    with pytest.raises(GenotypeError, match="unknown kind of task for dip"):
        reference_for("dip", "deblurring")


def test_published_settings():
    settings = {name: network.published for name, network in REFERENCE.items()}
    assert settings["dip-denoising"].iterations == {"denoising": 3000}
    assert settings["dip-denoising"].input_noise == 1 / 30
    assert settings["dip-inpainting-region"].input_kind == "meshgrid"
    assert settings["dip-transposed"].loss_reduction == "sum"
    assert settings["dip-pixel-shuffle"].input_kind == "drifting"
    assert settings["nas-dip-inpainting"].learning_rate == 0.001
    kinds = {kind for published in settings.values() for kind in published.iterations}
    assert kinds == {"denoising", "inpainting", "sr"}
    assert {s.input_kind for s in settings.values()} == {
        "uniform",
        "normal",
        "meshgrid",
        "drifting",
    }


def test_the_list_is_read_without_torch():
    code = "import sys, dipbench.genotypes.reference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_strong_noise_begins_at_its_bound() -> None:
    assert reference_for("dip", "denoising-37.5").name == "dip-denoising-50"
    assert reference_for("dip", "denoising-37.4").name == "dip-denoising"


def test_a_family_is_told_from_a_network():
    with pytest.raises(
        GenotypeError, match="nas-dip is a family of networks: give one of nas-dip-"
    ):
        build_reference("nas-dip", (1, 64, 64))
    with pytest.raises(GenotypeError, match="unknown kind of task for dip"):
        reference_for("dip", "denoise-.")


@pytest.mark.parametrize("name", REFERENCE)
def test_a_network_makes_the_least_picture_that_it_says(name):
    network = REFERENCE[name]
    least = network.smallest - network.multiple + 1
    check_fits(name, "denoising", (1, least, least))
    padded = -(-least // network.multiple) * network.multiple
    network.input_shape((1, padded, padded))
    with pytest.raises(ImageError, match=f"{least} pixels or more"):
        check_fits(name, "denoising", (1, least - 1, 512))
