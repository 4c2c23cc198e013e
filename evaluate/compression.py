"""Compress a picture into the weights of a Deep Decoder, and draw it from them again.

After Heckel and Hand, "Deep Decoder" (ICLR 2019). The published ratio counts parameters; a file
counts bytes, so the weights are quantised, packed, and judged by what the packed ones draw.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from math import isfinite

import numpy as np
import torch
from torch import Tensor, nn

from ..data import Image, Observation, load_image
from ..data.images import Source
from ..data.resampling import padded_sides
from ..errors import DipbenchError, DivergenceError, GenotypeError, unknown
from ..genotypes.decoders import DeepDecoder
from ..seeds import checked_seed
from .codecs import Coded, standard_codecs
from .compressed import (
    IN_CHANNELS,
    MULTIPLE,
    Code,
    check_bounds,
    quantise_tensor,
    read_code,
    write_code,
)
from .devices import cpu_threads, resolve_device, thread_count
from .fitting import Training
from .inputs import draw_input
from .memory import memory_told
from .protocol import PROTOCOLS, Protocol
from .quality import import_ssim, psnr, ssim

MODELS = ("deep-decoder",)
CHOICE_OF_BITS = (6, 7, 8, 10, 12)
LOSS_ALLOWED_DB = 0.1
"""The coarsest weights are taken that cost no more than this against the best of the choice."""

_SEED_PARTS = ("compress", "deep-decoder")
_TOO_LARGE = "this picture", "choose a smaller one or another device"
Progress = Callable[[int, Training], None]


@dataclass(frozen=True)
class Tried:
    """A number of bits for each weight and what it gives."""

    bits: int
    bytes: int
    psnr: float


@dataclass(frozen=True, eq=False)
class Compression:
    """A compressed picture and what it cost.

    Attributes:
        data: the file's bytes.
        image: what they decode to, float32 (C, H, W) on 8-bit levels.
        bits: of a weight.
        bits_per_pixel: of the whole file.
        parameter_ratio: values of the picture over the network's as published (`parameter_ratio`).
        psnr: of `image` against the picture, in dB.
        ssim: likewise.
        psnr_unquantised: of the network before its weights were quantised, in dB.
        tried: the choices of bits.
        codecs: what JPEG and WebP make best in no more bytes.
        iterations: of the training.
        status: of the training, as in `Fit`: of one that did not finish the best until then.
    """

    data: bytes = field(repr=False)
    image: np.ndarray = field(repr=False)
    bits: int
    bits_per_pixel: float
    parameter_ratio: float
    psnr: float
    ssim: float
    psnr_unquantised: float
    tried: tuple[Tried, ...]
    codecs: tuple[Coded, ...]
    iterations: int
    status: str


def parameter_ratio(channels: int, height: int, width: int) -> float:
    """Values of a picture over the network's, counted as published.

    68,864 trained values without the last layer's, 1,280 running statistics of BatchNorm (which
    this format does without), and the input's values (which are drawn from a seed).

    >>> from dipbench.evaluate.compression import parameter_ratio
    >>> round(parameter_ratio(3, 512, 512), 2)
    9.09
    """
    trained = 16 * 128 + 4 * 128**2 + 5 * 2 * 128
    input_values = IN_CHANNELS * -(-height // MULTIPLE) * -(-width // MULTIPLE)
    return channels * height * width / (trained + 5 * 2 * 128 + input_values)


def compress(
    image: Image | Source,
    model: str = "deep-decoder",
    *,
    iterations: int = 4000,
    bits: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Compression:
    """Fit a Deep Decoder to a picture and pack its weights.

    Args:
        image: of 1 or 3 channels, as `load_image` takes it.
        model: `deep-decoder`, the one network that is smaller than a picture.
        iterations: of the training; the weights of the lowest loss, looked at every few
            iterations, are kept, on a divergence or a `KeyboardInterrupt` the best so far.
        bits: of each weight; None chooses by what the choice costs.
        seed: of the network's input and first weights, from 0 to 2^64 - 1.
        device: `auto`, `cpu` or `cuda`.
        threads: of the CPU; None takes all.
        progress: called every few iterations with the number done and the training.

    Raises:
        DipbenchError: The model is another, the picture, bits or seed out of the format's bounds
            (both before any training), or nothing was trained.

    >>> from dipbench.data import load_image
    >>> from dipbench.evaluate.compression import compress, decompress
    >>> made = compress(load_image("camera", size=64), iterations=3, bits=8, threads=1)
    >>> bool((decompress(made.data, threads=1)[0] == made.image).all())
    True
    """
    if model not in MODELS:
        raise GenotypeError(unknown("model to compress with", model, MODELS))
    image = load_image(image)
    channels, height, width = image.shape
    seed, depths = checked_seed(seed, DipbenchError), CHOICE_OF_BITS if bits is None else (bits,)
    for depth in depths:
        check_bounds(channels, height, width, depth, seed)
    import_ssim()  # by which the result will be judged
    network, done, status = _train(image, iterations, seed, device, threads, progress)
    tensors = [parameter.detach().cpu().numpy() for parameter in network.parameters()]

    def code(depth: int, digest: bytes = bytes(32)) -> Code:
        packed = tuple(quantise_tensor(tensor, depth) for tensor in tensors)
        return Code(channels, height, width, depth, seed, digest, packed)

    tried, pictures = [], {}
    with cpu_threads(thread_count(threads)), memory_told("cpu", *_TOO_LARGE):
        for depth in depths:
            size = len(write_code(code(depth)))
            pictures[depth] = _draw(code(depth))
            tried.append(Tried(depth, size, psnr(pictures[depth], image.array)))
        unquantised = psnr(_levels(_forward(network.cpu(), code(8))) / 255, image.array)
    best = max(entry.psnr for entry in tried)
    chosen = next(entry for entry in tried if entry.psnr >= best - LOSS_ALLOWED_DB)
    picture = pictures[chosen.bits]
    data = write_code(code(chosen.bits, _digest(picture)))
    return Compression(
        data=data,
        image=picture,
        bits=chosen.bits,
        bits_per_pixel=8 * len(data) / (height * width),
        parameter_ratio=parameter_ratio(*image.shape),
        psnr=chosen.psnr,
        ssim=ssim(picture, image.array),
        psnr_unquantised=unquantised,
        tried=tuple(tried),
        codecs=tuple(standard_codecs(image.array, len(data))),
        iterations=done,
        status=status,
    )


def decompress(data: bytes, threads: int | None = None) -> tuple[np.ndarray, bool]:
    """Draw the picture of a file's bytes, which may come from anyone.

    Returns:
        float32 (C, H, W) on 8-bit levels, and whether it is to the bit what its maker saw. On
        another processor, version of torch or number of threads it may not be: sums are taken in
        another order, and a value near the middle of two levels falls on the other one.

    Raises:
        ImageError: The bytes are no such file, are damaged, or ask for too much.
        DeviceError: This machine has too little memory for the picture.
    """
    code = read_code(data)
    with (
        cpu_threads(thread_count(threads)),
        memory_told("cpu", "this picture", "draw it on a machine with more"),
    ):
        picture = _draw(code)
    return picture, _digest(picture) == code.picture_sha256


def _train(
    image: Image,
    iterations: int,
    seed: int,
    device: str,
    threads: int | None,
    progress: Progress | None,
) -> tuple[nn.Module, int, str]:
    protocol = _protocol(threads).with_iterations(iterations)
    where = resolve_device(device)
    best: list[tuple[float, dict[str, Tensor]]] = []
    _, (rows, columns) = padded_sides(*image.shape[1:], MULTIPLE)

    @torch.no_grad()
    def keep(done: int, state: Training) -> None:
        # The last recorded loss is of the weights before the last step, these are after it.
        output = state.network(state.input)[0, :, rows, columns]
        loss = float((output - torch.tensor(image.array).to(output)).square().mean())
        if isfinite(loss) and (not best or loss < best[0][0]):
            weights = {key: value.clone() for key, value in state.network.state_dict().items()}
            best[:] = [(loss, weights)]
        if progress is not None:
            progress(done, state)

    with cpu_threads(thread_count(threads)), memory_told(where, *_TOO_LARGE):
        training = Training(
            "deep-decoder",
            Observation(image.array),
            None,
            protocol,
            iterations,
            where,
            (seed, *_SEED_PARTS),
        )
        result = training.run(keep)
    if not best and result.status == "interrupted":
        raise KeyboardInterrupt
    if not best:
        raise DivergenceError(f"nothing was trained: {result.reason or 'stopped at once'}")
    training.network.load_state_dict(best[0][1])
    return training.network, result.length, result.status


def _protocol(threads: int | None) -> Protocol:
    return PROTOCOLS["isnas"].replace(
        name="compress", stop=None, input_noise=0.0, threads=thread_count(threads)
    )


def _draw(code: Code) -> np.ndarray:
    """The picture of a code: float32 (C, H, W) on 8-bit levels."""
    with torch.device("meta"):  # where nothing is drawn
        network = DeepDecoder(IN_CHANNELS, code.channels)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for parameter, (scale, levels) in zip(network.parameters(), code.tensors, strict=True):
            values = (levels * scale).astype(np.float32).reshape(parameter.shape)
            parameter.copy_(torch.from_numpy(values))
    return _levels(_forward(network, code)) / np.float32(255)


@torch.no_grad()
def _forward(network: nn.Module, code: Code) -> np.ndarray:
    (height, width), (rows, columns) = padded_sides(code.height, code.width, MULTIPLE)
    shape = IN_CHANNELS, height // MULTIPLE, width // MULTIPLE
    z = draw_input(shape, _protocol(1), (code.seed, *_SEED_PARTS))
    picture: np.ndarray = network(z)[0, :, rows, columns].numpy()
    return picture


def _levels(output: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(np.nan_to_num(output).clip(0, 1) * 255), np.float32)


def _digest(picture: np.ndarray) -> bytes:
    return sha256(np.rint(picture * 255).astype(np.uint8).tobytes()).digest()
