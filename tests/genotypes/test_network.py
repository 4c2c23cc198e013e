"""Networks of genotypes against the figures of the published code, and what they cost."""

import copy
import csv
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dipbench.errors import GenotypeError, ImageError
from dipbench.genotypes import ISNAS522, Genotype, sample
from dipbench.genotypes.blocks import UpsampleBlock
from dipbench.genotypes.network import (
    build_network,
    count_genotype_macs,
    count_macs,
    count_parameters,
    count_used_parameters,
    unused_modules,
)
from dipbench.genotypes.upsample import VALID_UPSAMPLE_CODES, decode

REFERENCE = Path(__file__).parents[1] / "reference"
PUBLISHED = json.loads((REFERENCE / "network_fingerprints.json").read_text())
with (REFERENCE / "upsample_codes.csv").open() as file:
    CODES = [row for row in csv.DictReader(file) if row["valid"] == "1"]
ALL, NONE = "1" * 25, "0" * 25


def skeleton(genotype, **channels):
    """A network of shapes without values: quick to build where the values do not matter."""
    with torch.device("meta"):
        return build_network(genotype, **channels)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: str(row["index"]))
def test_fingerprint_of_the_published_code(row, fingerprint):
    genotype = Genotype.parse((row["upsample"], row["skip"]))
    assert genotype == ISNAS522[row["index"]]
    net = skeleton(genotype).to_empty(device="cpu")
    assert count_parameters(net) == row["parameters"]
    assert count_used_parameters(net) == row["parameters_used"]
    expected = [row["mean"], row["std"], *row["probe"]]
    assert fingerprint(net, (1, 1, 64, 64)) == pytest.approx(expected, rel=1e-9, abs=0)


def test_every_valid_block_doubles_the_size():
    for row in CODES:
        with torch.device("meta"):
            block = UpsampleBlock(decode(int(row["upsample"])))
        assert block(torch.empty(1, 128, 4, 3, device="meta")).shape == (1, 128, 8, 6), row
        assert count_parameters(block) == int(row["parameters_128"]), row


def test_takes_any_number_of_channels_and_sides():
    net = skeleton((4, ALL), in_channels=3, out_channels=2)
    assert net(torch.empty(2, 3, 96, 64, device="meta")).shape == (2, 2, 96, 64)


@pytest.mark.parametrize("genotype", [*sample(12, seed=3), (4, ALL), (61, NONE)], ids=str)
def test_unused_modules_are_those_without_a_gradient(genotype):
    net = build_network(genotype)
    net(torch.rand(1, 1, 64, 64)).sum().backward()
    idle = {id(p) for p in net.parameters() if p.grad is None}
    assert idle == {id(p) for part in unused_modules(net) for p in part.parameters()}


def test_connections_equal_chains_walked_one_by_one():
    net = build_network((33, "1011010111001011110110110")).double()
    z = torch.rand(1, 1, 64, 64, dtype=torch.float64)

    def chain(source, level, x):
        if source == level:
            return net.skip[level](x)
        for i in range(source, level):
            x = net.down[i](x)
        for i in reversed(range(level, source)):
            x = net.up[i](x)
        return x

    encoded = [z]
    for encode in net.encoder:
        encoded.append(encode(encoded[-1]))
    x = encoded[-1]
    for level in reversed(range(5)):
        x = net.main_up[level](x)
        for source in range(5):
            if net.genotype.skip_matrix[level, source]:
                x = x + chain(source, level, encoded[source])
        x = net.decoder[level](x)
    assert torch.allclose(net(z), torch.sigmoid(net.head(x)), rtol=1e-12, atol=0)


def test_shared_steps_run_once_for_each_source():
    net = skeleton((4, ALL))
    runs = []
    for part in [*net.down, *net.up]:
        part.register_forward_hook(lambda part, *_: runs.append(part))
    net(torch.empty(1, 1, 64, 64, device="meta"))
    assert [runs.count(part) for part in net.down] == [1, 2, 3, 4]
    assert [runs.count(part) for part in net.up] == [4, 3, 2, 1]


def test_normalises_by_the_batch_in_every_mode():
    net = build_network(ISNAS522[9])
    z = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        trained = net(z)
        assert torch.equal(net.eval()(z), trained)
    assert not list(net.buffers())


@pytest.mark.parametrize("size", [(32, 64), (64, 32), (80, 64), (64, 100), (0, 64)])
def test_refuses_sizes_that_do_not_fit(size):
    with pytest.raises(ImageError, match=r"multiples of 32 and at least 64"):
        build_network(ISNAS522[3])(torch.zeros(1, 1, *size))


def test_refuses_what_is_no_genotype():
    with pytest.raises(GenotypeError):
        build_network("bilinear")


@pytest.mark.parametrize("layer", ["conv", "transposed", "depth_wise", "linear"])
def test_counts_multiply_accumulates_by_hand(layer):
    net, shape, expected = {
        "conv": (nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 10, 10), 25 * 8 * 3 * 9),
        "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 5), 50 * 4 * 6 * 9),
        "depth_wise": (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 4, 4), 16 * 8 * 9),
        "linear": (nn.Linear(7, 5), (2, 3, 7), 6 * 35),
    }[layer]
    assert count_macs(net, shape) == expected


def test_counting_leaves_the_network_alone():
    net = build_network((0, "1" * 25))
    before = copy.deepcopy(net.state_dict())
    ran = nn.Sequential(net)
    assert count_macs(ran, (1, 1, 128, 64)) == 2 * count_macs(ran, (1, 1, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(part._forward_hooks for part in net.modules())


def test_macs_leave_out_what_is_not_run():
    few, many = (count_macs(skeleton((4, bits)), (1, 1, 64, 64)) for bits in (NONE, ALL))
    assert 0 < few < many


@pytest.mark.parametrize("genotype", [*sample(6, seed=4), (4, ALL), (4, NONE)], ids=str)
def test_macs_by_levels_equal_those_counted_while_it_runs(genotype):
    genotype = Genotype.parse(genotype)
    net = skeleton(genotype, in_channels=2, out_channels=3)
    shape = (2, 2, 64, 96)
    counted = count_macs(nn.Sequential(net), shape)
    assert 2 * count_genotype_macs(genotype, 2, 3, (64, 96)) == counted
    assert count_macs(net, shape) == counted


def test_every_block_counts_as_when_it_runs():
    # At 64 x 64, the five blocks of the decoder's main path take 32 x 32 to 2 x 2 pixels.
    entering = sum(4**level for level in range(1, 6))
    without = count_genotype_macs(Genotype.parse("nearest-identity-none/" + NONE))
    for code in VALID_UPSAMPLE_CODES:
        block = decode(code)
        if block.activation == "none":
            with torch.device("meta"):
                ran = count_macs(UpsampleBlock(block), (1, 128, 1, 1))
            found = count_genotype_macs(Genotype(code, NONE)) - without
            assert found == entering * ran, str(block)


def test_macs_of_what_does_not_fit_are_not_counted():
    with pytest.raises(ImageError, match="multiples of 32"):
        count_macs(skeleton(3), (1, 1, 80, 64))
