"""The network of a genotype made fast: the same function of the same parameters.

`network.GenotypeNetwork` defines what is computed; this computes it with less arithmetic (shared
steps run once, on all that passes through them; see `network_fast_upsample`) and, if asked, in
bfloat16. Gradients arrive at the plain network's own parameters, in their own type.
"""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .network import GenotypeNetwork, check_size
from .network_fast_convolve import pointwise
from .network_fast_layers import batch_norm, conv_norm_act
from .network_fast_upsample import apply_block, begin, finish, is_affine
from .space import LEVELS


def accelerate(
    network: nn.Module, dtype: torch.dtype = torch.float32, rewrite: bool = True
) -> nn.Module:
    """The network's function, computed in `dtype` and as fast as is known here.

    The parameters stay those of `network`, where an optimiser and a checkpoint find them; they
    are laid out channels last. Networks other than those of genotypes are returned as they are
    (laid out channels last on CUDA, whose convolutions want it), or under autocast where another
    type than float32 is asked for.

    Args:
        network: its layers and `forward` as they were built, where it is rewritten.
        dtype: of the arithmetic.
        rewrite: compute a genotype's network by other steps than its own layers; not to be done to
            one that may have been changed.

    >>> from dipbench.genotypes.network import build_network
    >>> network, z = build_network(0), torch.rand(1, 1, 64, 64)
    >>> torch.allclose(accelerate(network)(z), network(z), atol=1e-4)
    True
    """
    if rewrite and isinstance(network, GenotypeNetwork):
        return FastNetwork(network, dtype)
    if any(parameter.is_cuda for parameter in network.parameters()):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network if dtype == torch.float32 else _Autocast(network, dtype)


class _Autocast(nn.Module):
    def __init__(self, plain: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.plain = plain
        self.dtype = dtype

    def forward(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, self.dtype):
            output: Tensor = self.plain(z)
        return output


class _Traveller(NamedTuple):
    """The mean of some `sources` on its way, with the levels that it has still to reach."""

    x: Tensor
    targets: frozenset[int]
    sources: int


class FastNetwork(nn.Module):
    """(N, in_channels, H, W) to (N, out_channels, H, W) in the type of the parameters."""

    def __init__(self, plain: GenotypeNetwork, dtype: torch.dtype) -> None:
        super().__init__()
        self.plain = plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dtype = dtype
        self._affine = is_affine(_block(plain.up[0]))

    def forward(self, z: Tensor) -> Tensor:
        """Map z (N, in_channels, H, W) to an image (N, out_channels, H, W).

        Raises:
            ImageError: a side is not a multiple of 32 or is below 64 pixels.
        """
        check_size(*z.shape[-2:])
        plain = self.plain
        encoded = [z.to(self.dtype).contiguous(memory_format=torch.channels_last)]
        for encode in plain.encoder:
            x = encoded[-1]
            for part in _block(encode):
                x = conv_norm_act(part, x)
            encoded.append(x)
        arriving: list[list[tuple[Tensor, int]]] = [[] for _ in range(LEVELS)]
        for level, connection, count in self._connections(encoded):
            arriving[level].append((connection, count))
        x = encoded[-1]
        for level in reversed(range(LEVELS)):
            x = apply_block(_block(plain.main_up[level]), x)
            for connection, count in arriving[level]:
                x = torch.add(x, connection, alpha=count)
            x = self._decode(level, x)
        head: Any = plain.head
        return torch.sigmoid(pointwise(x.to(head.weight.dtype), head.weight, head.bias))

    def _decode(self, level: int, x: Tensor) -> Tensor:
        norm, *parts = _block(self.plain.decoder[level])
        x = batch_norm(norm, x)
        for part in parts:
            x = conv_norm_act(part, x)
        return x

    def _connections(self, encoded: list[Tensor]) -> Iterator[tuple[int, Tensor, int]]:
        """Yield (level, what it receives, how often) for all connections of all levels."""
        targets = [frozenset(levels) for levels in self.plain.targets]
        for level in range(LEVELS):
            if level in targets[level]:
                yield level, conv_norm_act(self.plain.skip[level], encoded[level]), 1
        yield from self._travel(encoded, range(LEVELS)[::-1], targets, self._up, self._affine)
        yield from self._travel(encoded, range(LEVELS), targets, self._down, False)

    def _travel(
        self,
        encoded: list[Tensor],
        order: range,
        targets: list[frozenset[int]],
        step: Callable[[int, Tensor, int, int], list[Tensor]],
        merge: bool,
    ) -> Iterator[tuple[int, Tensor, int]]:
        """Walk the levels in `order`, all that is on its way through each step at once."""
        travelling: list[_Traveller] = []
        for position, level in enumerate(order):
            if travelling:
                # Of those that end here only the sum is wanted, which then is one traveller.
                travelling.sort(key=lambda each: each.targets == {level})
                ending = sum(each.targets == {level} for each in travelling)
                xs = [each.x for each in travelling]
                moved = step(level, torch.cat(xs) if len(xs) > 1 else xs[0], len(xs), ending)
                travelling = [
                    each._replace(x=x) for each, x in zip(travelling, moved, strict=False)
                ]
            yield from (
                (level, each.x, each.sources) for each in travelling if level in each.targets
            )
            ahead = frozenset(order[position + 1 :])
            travelling.append(_Traveller(encoded[level], targets[level], 1))
            travelling = [each._replace(targets=each.targets & ahead) for each in travelling]
            travelling = [each for each in travelling if each.targets]
            if merge:
                travelling = _merged(travelling)

    def _up(self, level: int, x: Tensor, passes: int, ending: int) -> list[Tensor]:
        block = _block(self.plain.up[level])
        return [finish(block, each) for each in _summed(begin(block, x), passes, ending)]

    def _down(self, level: int, x: Tensor, passes: int, ending: int) -> list[Tensor]:
        return _summed(conv_norm_act(self.plain.down[level - 1], x, passes), passes, ending)


def _summed(x: Tensor, passes: int, ending: int) -> list[Tensor]:
    """Each of the passes that x holds one after the other, the last `ending` of them as one sum."""
    each = x.chunk(passes)
    if ending < 2:
        return list(each)
    # Not a `sum` over a new dimension: its gradient would not be laid out channels last.
    return [*each[: passes - ending], reduce(torch.add, each[passes - ending :])]


def _merged(travelling: list[_Traveller]) -> list[_Traveller]:
    """Join those with the same way ahead: an affine step maps their mean to the mean of theirs."""
    found: dict[frozenset[int], _Traveller] = {}
    for each in travelling:
        other = found.get(each.targets)
        if other is None:
            found[each.targets] = each
            continue
        count = other.sources + each.sources
        x = other.x.lerp(each.x, each.sources / count)
        found[each.targets] = _Traveller(x, each.targets, count)
    return list(found.values())


def _block(part: nn.Module) -> Any:
    # The elements of a ModuleList are modules of any kind to the type checker.
    return part
