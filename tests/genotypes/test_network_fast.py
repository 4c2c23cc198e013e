"""The fast network against the plain one: the same function of the same parameters."""

from itertools import cycle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dipbench.errors import ImageError
from dipbench.genotypes import (
    network_fast_convolve,
    network_fast_float32,
    network_fast_upsample,
    processor,
)
from dipbench.genotypes.blocks import UpsampleBlock
from dipbench.genotypes.initialisation import initialise
from dipbench.genotypes.network import build_network, count_parameters, count_used_parameters
from dipbench.genotypes.network_fast import accelerate
from dipbench.genotypes.network_fast_convolve import (
    convolve,
    depth_wise,
    pointwise,
    suits_winograd,
)
from dipbench.genotypes.network_fast_float32 import convolution
from dipbench.genotypes.network_fast_layers import _bicubic, _phases, conv_after_nearest
from dipbench.genotypes.network_fast_upsample import apply_block
from dipbench.genotypes.network_fast_winograd import _transforms
from dipbench.genotypes.reference import REFERENCE
from dipbench.genotypes.upsample import VALID_UPSAMPLE_CODES, decode

AGREEMENT = 1e-9
ALL, NONE = "1" * 25, "0" * 25
# Chains that meet again, sources with the same and with different ways ahead, unused steps.
MIXED = "1011010111001011110110110"


def values(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, dtype=torch.float64, generator=generator)
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


def largest(found, expected):
    """The largest difference of two lists of tensors; a gradient of None counts as zeros."""
    found = [torch.zeros_like(e) if f is None else f for f, e in zip(found, expected, strict=True)]
    return max(float((f - e).detach().abs().max()) for f, e in zip(found, expected, strict=True))


def agree(found, expected, inputs):
    """Compare outputs, and gradients of a fixed random projection of them by the inputs."""
    assert largest([found], [expected]) < AGREEMENT
    direction = values(*expected.shape, seed=1).detach()
    gradients = [
        torch.autograd.grad((y * direction).sum() / y.numel(), inputs, allow_unused=True)
        for y in (found, expected)
    ]
    present = [
        torch.zeros_like(x) if g is None else g for g, x in zip(gradients[1], inputs, strict=True)
    ]
    assert largest(gradients[0], present) < AGREEMENT


def near(half, expected, inputs, exact):
    """Compare a result in bfloat16 of inputs of any type with what float64 makes of `exact`."""
    direction = values(*expected.shape, seed=3).detach().bfloat16()
    found = torch.autograd.grad((half * direction).sum(), inputs)
    wanted = torch.autograd.grad((expected * direction).sum(), exact)
    assert half.dtype == torch.bfloat16
    assert [each.dtype for each in found] == [each.dtype for each in inputs]
    for one, other in zip([half, *found], [expected, *wanted], strict=True):
        # What bfloat16 itself rounds off of inputs and result, 2^-9 of each.
        assert largest([one], [other]) < 0.02 * float(other.detach().abs().max())


def typed(tensor, dtype):
    return tensor.detach().to(dtype).requires_grad_()


def check_network(code, skip):
    network = build_network((code, skip), in_channels=2, out_channels=3)
    initialise(network, 0)
    network.double()
    z = values(1, 2, 64, 64).detach()
    agree(accelerate(network, torch.float64)(z), network(z), list(network.parameters()))


def check_block(code, monkeypatch):
    # So that a small input takes the ways that large ones do.
    monkeypatch.setattr(network_fast_convolve, "WINOGRAD_FROM", 8)
    monkeypatch.setattr(network_fast_convolve, "SMALL", 0)
    block = UpsampleBlock(decode(code))
    initialise(block, 0)
    block.double().to(memory_format=torch.channels_last)
    x = values(2, 128, 8, 8)
    agree(apply_block(block, x), block(x), [x, *block.parameters()])


@pytest.mark.parametrize("code", VALID_UPSAMPLE_CODES[::5])
def test_some_blocks_agree_with_the_plain_ones(code, monkeypatch):
    check_block(code, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("code", VALID_UPSAMPLE_CODES)
def test_all_blocks_agree_with_the_plain_ones(code, monkeypatch):
    check_block(code, monkeypatch)


@pytest.mark.parametrize(
    ("code", "skip"), [(312, MIXED), (316, ALL), (48, MIXED), (264, NONE), (177, ALL)]
)
def test_some_networks_agree_with_the_plain_ones(code, skip):
    check_network(code, skip)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "skip"), [*zip(VALID_UPSAMPLE_CODES, cycle([ALL, NONE, MIXED]), strict=False)]
)
def test_all_networks_agree_with_the_plain_ones(code, skip):
    check_network(code, skip)


@pytest.mark.parametrize("code", [4, 10, 137, 223, 315])
def test_first_outputs_in_float32_are_within_rounding(code):
    network = build_network((code, MIXED))
    initialise(network, 0)
    z = 0.1 * torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert float((accelerate(network)(z) - network(z)).abs().max()) < 1e-4


@pytest.mark.parametrize("slow", [False, True])
def test_bfloat16_is_near_and_its_gradients_are_float32(slow, monkeypatch):
    monkeypatch.setattr(network_fast_float32, "has_slow_bfloat16", lambda: slow)
    network = build_network((130, MIXED))
    initialise(network, 0)
    z = 0.1 * torch.rand(1, 1, 64, 64)
    output = accelerate(network, torch.bfloat16)(z)
    assert output.dtype == torch.float32
    assert float((output - network(z)).detach().abs().max()) < 0.1
    output.sum().backward()
    assert {p.grad.dtype for p in network.parameters() if p.grad is not None} == {torch.float32}


def test_repeats_to_the_bit():
    def gradients():
        network = build_network((14, ALL))
        initialise(network, 3)
        z = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) / 10
        accelerate(network)(z).square().sum().backward()
        return [p.grad for p in network.parameters() if p.grad is not None]

    assert all(torch.equal(a, b) for a, b in zip(gradients(), gradients(), strict=True))


def test_parameters_are_those_of_the_plain_network():
    network = build_network((33, MIXED))
    fast = accelerate(network)
    assert {id(p) for p in fast.parameters()} == {id(p) for p in network.parameters()}
    assert count_parameters(fast) == count_parameters(network)
    assert count_used_parameters(fast) == count_used_parameters(network)


def test_only_biases_that_a_normalisation_cancels_have_no_gradient():
    network = build_network((313, ALL))
    accelerate(network)(torch.rand(1, 1, 64, 64)).sum().backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None}
    assert idle
    assert all(name.endswith(".0.bias") or name.startswith("decoder") for name in idle)
    assert all(dict(network.named_parameters())[name].dim() == 1 for name in idle)


@pytest.mark.parametrize("sides", [(64, 96), (96, 64)])
def test_images_need_not_be_square(sides):
    network = build_network((74, MIXED)).double()
    z = values(1, 1, *sides).detach()
    with torch.no_grad():
        assert largest([accelerate(network, torch.float64)(z)], [network(z)]) < AGREEMENT


def test_refuses_sizes_that_do_not_fit():
    with pytest.raises(ImageError, match="multiples of 32"):
        accelerate(build_network((0, ALL)))(torch.zeros(1, 1, 32, 64))


def test_other_networks_are_left_as_they_are():
    network = nn.Conv2d(1, 1, 3)
    assert accelerate(network) is network
    z = torch.rand(1, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        expected = network(z)
    assert torch.equal(accelerate(network, torch.bfloat16)(z), expected)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 7])
@pytest.mark.parametrize(("images", "sides"), [(1, (32, 32)), (3, (8, 12)), (2, (64, 36))])
def test_winograd_equals_the_direct_convolution(kernel, images, sides, monkeypatch):
    monkeypatch.setattr(network_fast_convolve, "WINOGRAD_FROM", 8)
    monkeypatch.setattr(network_fast_convolve, "SMALL", 0)
    monkeypatch.setattr("dipbench.genotypes.network_fast_winograd.BAND", 2**16)
    x = values(images, 5, *(side + kernel - 1 for side in sides))
    weight = values(6, 5, kernel, kernel, seed=2)
    assert suits_winograd(x, kernel, (0, 0))
    agree(convolve(x, weight), F.conv2d(x, weight), [x, weight])


def test_a_large_kernel_in_bfloat16_is_computed_in_float32(monkeypatch):
    monkeypatch.setattr("dipbench.genotypes.network_fast_winograd.BAND", 2**14)
    monkeypatch.setattr(network_fast_convolve, "has_amx", lambda: False)
    monkeypatch.setattr(network_fast_float32, "has_slow_bfloat16", lambda: False)
    x, weight = values(1, 4, 64, 68), values(4, 4, 5, 5, seed=2)
    half, whole = typed(x, torch.bfloat16), typed(weight, torch.float32)
    assert suits_winograd(half, 5, (2, 2))
    assert not suits_winograd(half, 5, (2, 2), wider=True)
    assert not suits_winograd(half, 3, (1, 1))
    with monkeypatch.context() as amx:
        amx.setattr(network_fast_convolve, "has_amx", lambda: True)
        assert not suits_winograd(half, 5, (2, 2))
    near(convolve(half, whole, (2, 2)), F.conv2d(x, weight, padding=2), [half, whole], [x, weight])


@pytest.mark.parametrize("amx", [False, True])
@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("maker", ["GenuineIntel", "AuthenticAMD"])
def test_bfloat16_without_amx_is_slow_on_intel(maker, bf16, amx, monkeypatch):
    told = f"vendor_id : {maker}\nflags : fma{' avx512_bf16' * bf16}{' amx_bf16' * amx}\n"
    monkeypatch.setattr(processor, "description", lambda: told)
    assert processor.has_slow_bfloat16() == (maker == "GenuineIntel" and bf16 and not amx)
    assert processor.has_bfloat16() == (bf16 or amx)
    word = "AMX" if amx else "AVX512_BF16" if bf16 else torch.backends.cpu.get_cpu_capability()
    assert processor.units() == word


@pytest.mark.parametrize("code", [1, *VALID_UPSAMPLE_CODES[::7]])
def test_blocks_agree_where_products_are_taken_in_float32(code, monkeypatch):
    for module in (network_fast_convolve, network_fast_upsample):
        monkeypatch.setattr(module, "prefers_float32", lambda x: True)
    check_block(code, monkeypatch)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (7, 1)])
@pytest.mark.parametrize(("sides", "mode"), [((12, 8), "reflect"), ((64, 68), "constant")])
def test_bfloat16_where_it_is_slow_is_computed_in_float32(kernel, stride, sides, mode, monkeypatch):
    monkeypatch.setattr(network_fast_float32, "has_slow_bfloat16", lambda: True)
    x, weight = values(2, 4, *sides), values(6, 4, kernel, kernel, seed=2)
    half, whole = typed(x, torch.bfloat16), typed(weight, torch.float32)
    margin = kernel // 2
    expected = F.conv2d(F.pad(x, 4 * [margin], mode=mode), weight, stride=stride)
    made = convolve(half, whole, (margin, margin), mode, stride)
    assert made.is_contiguous(memory_format=torch.channels_last)
    near(made, expected, [half, whole], [x, weight])


@pytest.mark.parametrize(("stride", "more"), [(1, 0), (2, 1)])
def test_transposed_convolutions_computed_in_float32(stride, more):
    x, weight = values(2, 4, 8, 8), values(4, 6, 5, 5, seed=2)
    half, whole = typed(x, torch.bfloat16), typed(weight, torch.float32)
    expected = F.conv_transpose2d(x, weight, None, stride, 2, more)
    made = convolution(half, whole, stride, 2, more, transposed=True)
    assert made.is_contiguous(memory_format=torch.channels_last)
    near(made, expected, [half, whole], [x, weight])


def test_a_product_of_two_types_keeps_that_of_the_image():
    x, weight = values(2, 4, 8, 8), values(6, 4, 1, 1, seed=2)
    half, whole = typed(x, torch.bfloat16), typed(weight, torch.float32)
    near(pointwise(half, whole), F.conv2d(x, weight), [half, whole], [x, weight])


@pytest.mark.parametrize("amx", [False, True])
@pytest.mark.parametrize(
    ("code", "large"), [(132, True), (148, False)], ids=["convolved", "transposed"]
)
def test_with_amx_only_large_convolutions_come_before_the_resizing(code, large, amx, monkeypatch):
    phased = []

    def seen(x, weight):
        phased.append(weight)
        return conv_after_nearest(x, weight)

    monkeypatch.setattr(network_fast_upsample, "conv_after_nearest", seen)
    for module in (network_fast_upsample, network_fast_convolve):
        monkeypatch.setattr(module, "has_amx", lambda: amx)
    monkeypatch.setattr(network_fast_float32, "has_slow_bfloat16", lambda: False)
    whole = UpsampleBlock(decode(code))
    initialise(whole, 0)
    x = values(1, 128, 32, 32).detach()
    made = apply_block(whole, x.bfloat16())
    assert bool(phased) == (large or not amx)
    expected = whole.double()(x)
    assert largest([made], [expected]) < 0.02 * float(expected.detach().abs().max())


@pytest.mark.parametrize("mode", ["constant", "reflect"])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 5)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (7, 1)])
def test_padded_convolutions(kernel, stride, padding, mode):
    x, weight = values(2, 4, 9, 8), values(6, 4, kernel, kernel, seed=2)
    padded = F.pad(x, [*padding, *padding], mode=mode)
    expected = F.conv2d(padded, weight, stride=stride)
    agree(convolve(x, weight, padding, mode, stride), expected, [x, weight])


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("sides", [(8, 8), (5, 9)])
def test_nearest_then_convolution_at_low_resolution(kernel, sides):
    x, weight = values(2, 3, *sides), values(4, 3, kernel, kernel, seed=2)
    expected = F.conv2d(F.interpolate(x, scale_factor=2), weight, padding=kernel // 2)
    agree(conv_after_nearest(x, weight), expected, [x, weight])


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_depthwise_gradients_in_strips(kernel):
    x, weight = values(2, 6, 7, 9), values(6, 1, kernel, kernel, seed=2)
    expected = F.conv2d(x, weight, padding=kernel // 2, groups=6)
    agree(depth_wise(x, weight), expected, [x, weight])


def test_no_activation_or_bias_is_written_into_a_view():
    # Autograd would lay such a view's gradient out anew, and what follows would be slow.
    x = torch.ones(1, 128, 8, 8).contiguous(memory_format=torch.channels_last).requires_grad_()
    written = {
        code
        for code in VALID_UPSAMPLE_CODES
        for step in steps_back(apply_block(UpsampleBlock(decode(code)), x))
        if "CopySlices" in step.name()
    }
    assert not written


def steps_back(output):
    """All nodes of the graph that gradients of the output pass through."""
    waiting, seen = [output.grad_fn], set()
    while waiting:
        step = waiting.pop()
        if step is not None and step not in seen:
            seen.add(step)
            waiting += [further for further, _ in step.next_functions]
    return seen


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gpu_gives_the_outputs_of_the_cpu(dtype):
    network = build_network((14, MIXED))
    initialise(network, 0)
    z = 0.1 * torch.rand(1, 1, 64, 64)
    expected = network(z).detach().numpy()
    output = accelerate(network.cuda(), dtype)(z.cuda())
    output.sum().backward()
    assert np.abs(output.detach().cpu().numpy() - expected).max() < 0.1


@pytest.mark.parametrize("name", ["dip-jpeg", "deep-decoder", "dip-transposed"])
def test_levels_of_named_networks_are_float32_in_bf16(name: str) -> None:
    named = REFERENCE[name]
    network = accelerate(named.build((1, 128, 128)), torch.bfloat16)
    output = network(torch.rand(1, *named.input_shape((1, 128, 128))))
    assert output.dtype == torch.float32
    assert not torch.equal(output, output.bfloat16().float())


@pytest.mark.parametrize("model", [3, 13, 81])
def test_what_inference_has_cached_serves_a_training(model: int) -> None:
    for cached in (_phases, _bicubic, _transforms):
        cached.cache_clear()
    network, z = accelerate(build_network(model, 3, 3)), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        network(z)
    network(z).sum().backward()
