"""Commands that turn a picture into the weights of a network, and back."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data import load_image, save_image
from ..errors import ImageError, one_line
from ..files import published
from . import degraded, options
from .output import console, facts_table, notes, print_json, progress_bar, table
from .targets import PICTURES, check_apart, check_target

ENDING = (".dd",)
MOST_BYTES = 2**24
"""No file of the format is as large: larger ones are refused unread."""


def compress(
    image: Annotated[Path, typer.Argument(help="PNG, TIFF or JPEG.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The file to write: .dd", show_default=False)],
    model: Annotated[str, typer.Option(help="deep-decoder.")] = "deep-decoder",
    iterations: Annotated[int, typer.Option(min=1, help="Iterations of the training.")] = 4000,
    bits: Annotated[
        int | None,
        typer.Option(min=4, max=16, help="Bits of a weight; by default the cheapest number."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the network's input and weights.")] = 0,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Compress a picture into the weights of a Deep Decoder, beside JPEG and WebP at its size.

    In `--json` a PSNR of null is an infinite one: a codec kept the picture exactly; a quality of
    null is that of a lossless file.

    Example: `dipbench compress photo.png --out photo.dd`
    """
    check_target(out, ENDING, "--out")
    check_apart({"--out": out}, {"the picture": image})
    from ..evaluate.compression import compress as run

    picture = load_image(image, name="picture")
    with degraded.told_if_interrupted("nothing is written"), progress_bar() as bar:
        line = bar.add_task("compressing", total=iterations)

        def show(done: int, training: Any) -> None:
            losses = training.tracker.curves()["loss"]
            told = f"loss {losses[-1]:.6f}" if len(losses) else "compressing"
            bar.update(line, completed=done, description=told)

        made = run(
            picture,
            model,
            iterations=iterations,
            bits=bits,
            seed=seed,
            device=device,
            threads=threads,
            progress=show,
        )
    with published(out, ImageError) as temporary:
        temporary.write_bytes(made.data)
    status = degraded.ENDED_EARLY.get(made.status, 0)
    if status:
        notes.print(
            f"{made.status} after {made.iterations} iterations: {out} holds the best so far"
        )
    if as_json:
        left_out = ("data", "image")
        record = {name: value for name, value in vars(made).items() if name not in left_out}
        tried = [asdict(entry) for entry in made.tried]
        codecs = [asdict(coded) for coded in made.codecs]
        print_json(
            record
            | {"bytes": len(made.data), "tried": tried, "codecs": codecs, "written": str(out)}
        )
        raise typer.Exit(status)
    rows = [("deep-decoder", len(made.data), "", f"{made.psnr:.2f}", f"{made.ssim:.3f}")] + [
        (
            coded.codec,
            coded.bytes,
            coded.quality or "lossless",
            f"{coded.psnr:.2f}",
            f"{coded.ssim:.3f}",
        )
        for coded in made.codecs
    ]
    console.print(table(["codec", ">bytes", ">quality", ">PSNR dB", ">SSIM"], rows))
    depths = [(entry.bits, entry.bytes, f"{entry.psnr:.2f}") for entry in made.tried]
    console.print(table([">bits of a weight", ">bytes", ">PSNR dB"], depths))
    facts = {
        "bytes": len(made.data),
        "bits per pixel": round(made.bits_per_pixel, 3),
        "bits per weight": made.bits,
        "iterations": made.iterations,
        "parameter ratio": round(made.parameter_ratio, 3),
        "PSNR unquantised": f"{made.psnr_unquantised:.2f} dB",
        "written": str(out),
    }
    console.print(facts_table(facts))
    raise typer.Exit(status)


def decompress(
    file: Annotated[Path, typer.Argument(help="A .dd file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The picture: PNG or TIFF.", show_default=False)],
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Draw the picture of a .dd file.

    Example: `dipbench decompress photo.dd --out photo.png`
    """
    check_target(out, PICTURES, "--out")
    check_apart({"--out": out}, {"the .dd file": file})
    data = _read(file)
    from ..evaluate.compression import decompress as run

    try:
        picture, exact = run(data, threads)
    except ImageError as error:
        raise ImageError(f"{file}: {error}") from error
    save_image(out, picture)
    if as_json:
        print_json({"shape": list(picture.shape), "exact": exact, "written": str(out)})
        return
    if not exact:
        notes.print(
            "not to the bit what its maker saw: another processor, version of torch or number "
            "of threads takes sums in another order, which moves some pixels by a level"
        )
    channels, height, width = picture.shape
    console.print(f"{out}: {width} x {height} pixels, {'grey' if channels == 1 else 'colour'}")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ImageError(f"cannot read {file}: {one_line(error)}") from error
    if len(data) > MOST_BYTES:
        raise ImageError(f"{file} is no compressed picture: it has more than {MOST_BYTES:,} bytes")
    return data
