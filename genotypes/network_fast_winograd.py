"""Convolutions with fewer multiplications: Winograd's, on tiles of 4 x 4 output pixels.

A tile of m outputs of a kernel of r weights takes m + r - 1 multiplications in one dimension
instead of m r, as products of polynomials evaluated at m + r - 1 points (Toom and Cook; Winograd,
1980; Lavin and Gray, CVPR 2016). Exact but for rounding.
"""

import math
import threading
from functools import cache

import numpy as np
import torch
from torch import Tensor

TILE = 4
"""Side of the tiles of output pixels."""

BAND = 2**19
"""Transformed values that are worked on at a time: more are faster, and take more memory."""

POINTS = (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 0.75, -4 / 3)
"""Where the polynomials are evaluated, beside infinity; few and small ones round best."""


def winograd(x: Tensor, weight: Tensor) -> Tensor:
    """A convolution of stride 1 without padding, (N, in, H, W) to (N, out, H - r + 1, W - r + 1).

    Tiles and weights are transformed, multiplied point by point, and transformed back. Points
    stand first, so that the products are matrix products: (points, tiles, in) with (points, in,
    out). The image is walked in bands of tiles that fit a cache.

    Args:
        x: channels last, in float32 or float64; autograd does not see it.
        weight: (out, in, r, r) of the same type; the output's sides must be multiples of 4.

    >>> x, weight = torch.rand(1, 3, 10, 14), torch.rand(2, 3, 3, 3)
    >>> expected = torch.nn.functional.conv2d(x, weight)
    >>> torch.allclose(winograd(x, weight), expected, atol=1e-5)
    True
    """
    kernel = weight.shape[-1]
    to_tiles, to_weights, to_outputs = _transforms(kernel, x.dtype, x.device)
    weights = _points_first(to_weights, weight).transpose(1, 2)
    images, _, height, width = x.shape
    sides = height - kernel + 1, width - kernel + 1
    y = torch.empty(
        (images, len(weight), *sides),
        dtype=x.dtype,
        device=x.device,
        memory_format=torch.channels_last,
    )
    for seen, made in _bands(x.permute(0, 2, 3, 1), y.permute(0, 2, 3, 1), kernel):
        products = _product(_transformed(to_tiles, seen, "tiles"), weights, "outputs")
        places = _windows(_windows(made, 1, TILE), 3, TILE)
        places.copy_(_both(to_outputs, products, "tiles").view(places.shape))
    return y


def winograd_by_weight(grad: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """The gradient of `winograd` by its weight.

    The tiles are transformed again: kept, they would take several times the memory of x.

    >>> x, weight, grad = torch.rand(1, 3, 6, 6), torch.rand(2, 3, 3, 3), torch.ones(1, 2, 4, 4)
    >>> by_weight = winograd_by_weight(grad, x, weight)
    >>> torch.allclose(by_weight[0, 0, 0, 0], x[0, 0, :4, :4].sum(), atol=1e-4)
    True
    """
    kernel = weight.shape[-1]
    to_tiles, to_weights, to_outputs = _transforms(kernel, x.dtype, x.device)
    by_points = _scratch("weights", (len(to_weights) ** 2, *weight.shape[:2]), x).zero_()
    for seen, made in _bands(x.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1), kernel):
        by_y = _transformed(to_outputs.T, made, "outputs")
        by_points.baddbmm_(by_y.transpose(1, 2), _transformed(to_tiles, seen, "tiles"))
    by_weight = torch.empty_like(weight)
    for part in _parts(by_points):
        found = _both(to_weights.T, by_points[:, part], "tiles")
        by_weight[part] = found.view(kernel, kernel, -1, weight.shape[1]).permute(2, 3, 1, 0)
    return by_weight


def winograd_by_input(grad: Tensor, weight: Tensor) -> Tensor:
    """The gradient of `winograd` by its input.

    >>> winograd_by_input(torch.ones(1, 2, 4, 4), torch.ones(2, 3, 3, 3))[0, 0, 0, :2].round()
    tensor([2., 4.])
    """
    kernel = weight.shape[-1]
    to_tiles, to_weights, to_outputs = _transforms(kernel, grad.dtype, grad.device)
    weights = _points_first(to_weights, weight)
    images, _, height, width = grad.shape
    by_x = grad.new_zeros(images, height + kernel - 1, width + kernel - 1, weight.shape[1])
    for by_seen, made in _bands(by_x, grad.permute(0, 2, 3, 1), kernel):
        by_y = _transformed(to_outputs.T, made, "outputs")
        _add_transformed(by_seen, to_tiles.T, _product(by_y, weights, "tiles"))
    return by_x.permute(0, 3, 1, 2)


def _bands(x: Tensor, y: Tensor, kernel: int) -> list[tuple[Tensor, Tensor]]:
    """Cut x (N, H, W, in) and what is made of it, y (N, H - r + 1, W - r + 1, out), in bands."""
    images, height, width, out_channels = y.shape
    values = images * (width // TILE) * (TILE + kernel - 1) ** 2 * max(x.shape[-1], out_channels)
    tiles = height // TILE
    rows = TILE * math.ceil(tiles / math.ceil(tiles * values / BAND))
    starts = range(0, height, rows)
    return [(x[:, top : top + rows + kernel - 1], y[:, top : top + rows]) for top in starts]


def _transformed(matrix: Tensor, x: Tensor, place: str) -> Tensor:
    """Transform the windows of x (N, H, W, C), by rows, then by columns: (points, windows, C)."""
    for dimension in (1, 3):
        windows = _windows(x, dimension, matrix.shape[1])
        gathered = _scratch("windows", windows.shape, x).copy_(windows)
        x = _product(matrix, gathered.flatten(1), place).view(len(matrix), *windows.shape[1:])
    return x.flatten(2, 4).flatten(0, 1)


def _add_transformed(out: Tensor, matrix: Tensor, points: Tensor) -> None:
    """Transform (points, windows, C) to windows and add them to `out` (N, H, W, C)."""
    side, count = matrix.shape
    images, height, width, channels = out.shape
    tiles = (height - side) // TILE + 1
    windows = _product(matrix, points.view(count, -1), "windows")
    rows = _scratch("tiles", (count, images, tiles, width, channels), out).zero_()
    _add_windows(rows, 3, windows)
    _add_windows(out, 1, _product(matrix, rows.flatten(1), "windows"))


def _add_windows(out: Tensor, dimension: int, windows: Tensor) -> None:
    """Add windows (side, ...) to where `_windows` sees them in `out`, overlaps and all."""
    places = _windows(out, dimension, len(windows))
    windows = windows.view(places.shape)
    # Among TILE neighbouring places of a window no two windows meet.
    for start in range(0, len(windows), TILE):
        places[start : start + TILE] += windows[start : start + TILE]


def _windows(x: Tensor, dimension: int, side: int) -> Tensor:
    """View x as overlapping windows in one dimension: their places first, (side, ...)."""
    return x.unfold(dimension, side, TILE).movedim(-1, 0)


def _both(matrix: Tensor, x: Tensor, place: str) -> Tensor:
    """Transform x (columns x rows, ...), or (columns, rows, ...), in both: (columns, rows, -1)."""
    side = matrix.shape[1]
    half = _product(matrix, x.reshape(side, -1), "windows").view(len(matrix), side, -1)
    return _product(matrix.expand(len(matrix), -1, -1), half, place)


def _product(a: Tensor, b: Tensor, place: str) -> Tensor:
    """The matrix product, or products, of a and b in scratch memory."""
    out = _scratch(place, (*a.shape[:-1], b.shape[-1]), a)
    return torch.matmul(a, b, out=out)


class _Kept(threading.local):
    """Scratch memory of a thread by name and type: taking it anew costs a tenth of the time."""

    def __init__(self) -> None:
        self.memory: dict[tuple[str, torch.dtype], Tensor] = {}


_KEPT = _Kept()


def _scratch(name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Uninitialised memory, of the type of `like`, that the next taker of the name overwrites."""
    values = math.prod(shape)
    key = name, like.dtype
    if key not in _KEPT.memory or _KEPT.memory[key].numel() < values:
        with torch.inference_mode(mode=False):  # it is kept for trainings too
            _KEPT.memory[key] = like.new_empty(max(values, BAND))
    return _KEPT.memory[key][:values].view(shape)


def _points_first(to_weights: Tensor, weight: Tensor) -> Tensor:
    """The transformed weights (points, out, in) of a weight (out, in, r, r)."""
    points = _scratch("weights", (len(to_weights) ** 2, *weight.shape[:2]), weight)
    for part in _parts(points):
        seen = weight[part].permute(3, 2, 0, 1)
        gathered = _scratch("tiles", seen.shape, weight).copy_(seen)
        points[:, part] = _both(to_weights, gathered, "tiles").view_as(points[:, part])
    return points


def _parts(points: Tensor) -> list[slice]:
    """Cut the output channels of transformed weights (points, out, in) as images are."""
    step = max(1, BAND // points[:, 0].numel())
    return [slice(start, start + step) for start in range(0, points.shape[1], step)]


@cache
@torch.inference_mode(mode=False)  # it is kept for trainings too
def _transforms(
    kernel: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The matrices that transform tiles, weights and outputs, in one dimension."""
    points = np.array(POINTS[: TILE + kernel - 2])
    differences = points[:, None] - points[None, :]
    np.fill_diagonal(differences, 1)
    scale = differences.prod(axis=1)
    count = len(points) + 1
    outputs = np.zeros((TILE, count))
    outputs[:, :-1] = points ** np.arange(TILE)[:, None]
    outputs[-1, -1] = 1
    weights = np.zeros((count, kernel))
    weights[:-1] = points[:, None] ** np.arange(kernel) / scale[:, None]
    weights[-1, -1] = 1
    tiles = np.zeros((count, count))
    for index in range(count - 1):
        tiles[index, :-1] = np.poly(np.delete(points, index))[::-1]
    tiles[-1] = np.poly(points)[::-1]
    made = [torch.from_numpy(matrix).to(device, dtype) for matrix in (tiles, weights, outputs)]
    return made[0], made[1], made[2]
