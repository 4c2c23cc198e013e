"""From a name to a network: weights by seed and name, and the input it asks for."""

import os

import pytest
import torch
from torch import nn

from dipbench.errors import GenotypeError
from dipbench.evaluate.devices import thread_count
from dipbench.evaluate.models import build_model, parse_model, side_multiple
from dipbench.evaluate.protocol import get_protocol
from dipbench.genotypes import ISNAS522, Genotype

PARTS = (0, "camera", "denoising-25")
QUICK = get_protocol("quick")


def weights(model: object, parts: tuple[object, ...] = PARTS) -> torch.Tensor:
    network = build_model(model, (1, 64, 64), QUICK, parts).network
    return torch.cat([parameter.detach().ravel() for parameter in network.parameters()])


def test_every_form_of_a_genotype_is_one_model() -> None:
    forms = [49, ISNAS522[49], str(ISNAS522[49]), ISNAS522[49].short_name]
    assert {build_model(form, (1, 64, 64), QUICK, PARTS).name for form in forms} == {
        str(ISNAS522[49])
    }
    assert torch.equal(weights(forms[0]), weights(forms[-1]))


def test_weights_depend_on_seed_image_task_and_model() -> None:
    first = weights(49)
    for parts in [(1, *PARTS[1:]), (0, "coins", PARTS[2]), (0, "camera", "sr-4")]:
        assert not torch.equal(weights(49, parts), first)
    # A genotype that differs in one skip bit has modules of the same names and shapes.
    genotype = ISNAS522[49]
    flipped = ("0" if genotype.skip[0] == "1" else "1") + genotype.skip[1:]
    sibling = weights(Genotype(genotype.upsample, flipped))
    assert sibling.shape == first.shape
    assert not torch.equal(sibling, first)


@pytest.mark.parametrize(
    ("changes", "channels"),
    [({}, 3), ({"input_channels": 5}, 5), ({"input_kind": "meshgrid"}, 2)],
)
def test_the_input_has_the_protocols_channels(changes: dict, channels: int) -> None:
    built = build_model(49, (3, 64, 96), QUICK.replace(**changes), PARTS)
    assert built.input_shape == (channels, 64, 96)
    assert built.network(torch.zeros(1, *built.input_shape)).shape == (1, 3, 64, 96)


def test_a_module_is_taken_as_it_is() -> None:
    module = nn.Conv2d(3, 3, 1)
    before = module.weight.clone()
    built = build_model(module, (3, 64, 64), QUICK, PARTS)
    assert built.network is module
    assert torch.equal(module.weight, before)


def test_a_family_of_named_networks_means_its_variant_for_the_task() -> None:
    assert parse_model("dip", "sr") != parse_model("dip", "denoising")
    parts = 0, "camera", "inpainting-hole-25"
    assert build_model("dip", (1, 64, 64), QUICK, parts).name == "dip-inpainting-region"
    assert side_multiple(49, "sr") == side_multiple(nn.Identity(), "sr") == 32


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(GenotypeError):
        build_model("no-such-network", (1, 64, 64), QUICK, PARTS)


def test_the_environment_says_how_many_threads_there_are(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert thread_count(None) == 1
    assert thread_count(3) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert thread_count(None) == len(os.sched_getaffinity(0))
