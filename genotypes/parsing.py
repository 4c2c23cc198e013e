"""Reading a genotype in any of the ways people write one; errors name the nearest valid one."""

import re
from difflib import get_close_matches

from ..errors import GenotypeError
from .upsample import CODE_COUNT, codes_by_name, decode, nearest_valid, why_invalid

SKIP_BITS = 25

_INDEX = re.compile(r"[0-9]{1,9}")
_SHORT = re.compile(r"([0-9]{1,9})_([^_]*)")
_HEXADECIMAL = re.compile(r"[01][0-9A-Fa-f]{6}")
_LONG = re.compile(r"[0-9]+_([0-9]{1,9})_iteration_[0-9]+_[a-z]+_[0-9]+_skip_([^_]*)")
_SHOWN = 90


def check(upsample: int, skip: str) -> None:
    """Raise GenotypeError unless `upsample` is a valid code and `skip` 25 characters 0 or 1.

    >>> check(240, "1" * 25)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    dipbench.errors.GenotypeError: upsample code 240 (pixel_shuffle-depth_wise_conv-3x3-none) ...
    """
    if not 0 <= upsample < CODE_COUNT:
        raise GenotypeError(
            f"upsample code {upsample} is outside 0..{CODE_COUNT - 1}; "
            f"the nearest valid genotype is {_text(0 if upsample < 0 else CODE_COUNT - 1, skip)}"
        )
    reason = why_invalid(upsample)
    if reason is not None:
        name = str(decode(upsample))
        raise GenotypeError(
            f"upsample code {upsample} ({name}) cannot be built: {reason}; "
            f"the nearest valid genotype is {_text(nearest_valid(name), skip)}"
        )
    if len(skip) != SKIP_BITS or set(skip) - set("01"):
        raise GenotypeError(
            f"skip bits {_shorten(skip)!r} are not {SKIP_BITS} characters 0 or 1; "
            f"the nearest valid genotype is {_text(upsample, skip)}"
        )


def read_text(text: str) -> tuple[int, str] | int:
    """The (upsample, skip) pair that `text` writes, still to be checked, or an index of the 522.

    Args:
        text: `bilinear-conv-3x3-relu/<bits>`, where the bits may be the seven hexadecimal digits
            that figures show, `172_<bits>`, the published long name
            `0_172_iteration_4000_sigma_25_skip_<bits>`, or the decimal text of an index.

    Raises:
        GenotypeError: `text` has none of these forms, or names no upsample block.

    >>> read_text("bilinear-conv-3x3-relu/" + "1" * 25)
    (4, '1111111111111111111111111')
    >>> read_text("bilinear-conv-3x3-relu/1E5F88E")
    (4, '1111001011111100010001110')
    >>> read_text("77")
    77
    """
    text = text.strip()
    if _INDEX.fullmatch(text):
        return int(text)
    pair = _SHORT.fullmatch(text) or _LONG.fullmatch(text)
    if pair:
        return int(pair[1]), pair[2]
    name, slash, skip = text.partition("/")
    if not slash and name in codes_by_name():
        raise GenotypeError(
            f"{name!r} is an upsample block without its skips: write {name}/ and {SKIP_BITS} bits, "
            "or seven hexadecimal digits as figures do, or give an index of the 522"
        )
    if not slash:
        raise _unreadable(text)
    code = codes_by_name().get(name)
    if code is None:
        raise GenotypeError(
            f"{_shorten(name)!r} is no upsample block of the search space; "
            f"the nearest valid genotype is {_text(nearest_valid(name[:_SHOWN]), skip)}"
        )
    return code, f"{int(skip, 16):025b}" if _HEXADECIMAL.fullmatch(skip) else skip


def _unreadable(text: str) -> GenotypeError:
    # Imported here because the 522 are genotypes themselves, read by this module.
    from .isnas522 import ISNAS522

    known = {form: str(g) for g in ISNAS522 for form in (str(g), g.short_name)}
    near = known[get_close_matches(text[:_SHOWN], known, n=1, cutoff=0.0)[0]]
    return GenotypeError(
        f"{_shorten(text)!r} names no genotype: give a text such as {str(ISNAS522[0])!r}, "
        f"{ISNAS522[0].short_name!r}, or an index 0..{len(ISNAS522) - 1}; "
        f"the nearest valid genotype of the {len(ISNAS522)} is {near}"
    )


def _text(upsample: int, skip: str) -> str:
    """The text form of a valid code with the bits of `skip`, mended where they are not 25 bits."""
    bits = "".join(bit for bit in skip if bit in "01")[:SKIP_BITS].ljust(SKIP_BITS, "0")
    return f"{decode(upsample)}/{bits}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
