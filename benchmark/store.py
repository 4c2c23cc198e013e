"""The files of a benchmark: a generation is committed by the rename of `benchmark.json` alone."""

import errno
import hashlib
import json
import re
import shutil
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from secrets import token_hex
from shlex import quote
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import StoreError, named, one_line
from ..files import file_sha256, published
from .card import CARD, write_card
from .schema import MIGRATIONS, SCHEMA_VERSION

MANIFEST = "benchmark.json"
SELF_SHA256 = "sha256"
IMPORTED_FROM = "imported_from"
"""What the manifest of an imported benchmark calls its sources; a trained one has none."""

CURVE_STRIDE = "curve_stride"
PARTS = "parts"
GENERATION_FILES = re.compile(
    r"((runs|scores)-\d+(-[0-9a-f]{8})?\.parquet|(curves|images|outputs)-\d+(-[0-9a-f]{8})?\.h5)"
)
LEFTOVER_SECONDS = 3600
"""How old what a dead writer left must be to be removed."""

BEACON = ".beacon-"
"""How the file is called by which workers elsewhere know a builder's folder."""

TOKEN = "[0-9a-f]" * 8
"""What a temporary file's name has before its ending, as a pattern."""
LEFTOVERS = (
    "builders/*.json",
    "workers/*.json",
    *(
        f"{place}{name}"
        for place in ("", f"{PARTS}/", "score-parts/", "builders/", "workers/")
        for name in (f".*.{TOKEN}.tmp", f".probe-{TOKEN}")
    ),
)
"""What writers that died may leave, as patterns; the living write theirs again and again."""


@dataclass(frozen=True)
class Manifest:
    """What `benchmark.json` says.

    Attributes:
        name: the benchmark's name.
        generation: number of this state of the files, from 1.
        protocol: the protocol's record.
        tasks: text forms of the tasks.
        images: SHA-256 by image name.
        observation_seed: what observations were drawn with; None where they came from elsewhere.
        environment: the versions and the platform that its runs have in common.
        content_sha256: hash over keys, summaries and curves, whatever the order of rows.
        files: by role (`runs`, `curves`, `images`, `scores`, `outputs`) the file's name, size in
            bytes and SHA-256.
        further: fields that this version does not know, kept as they are.
    """

    name: str
    generation: int
    protocol: Mapping[str, Any]
    tasks: tuple[str, ...]
    images: Mapping[str, str]
    observation_seed: int | None
    environment: Mapping[str, Any]
    content_sha256: str
    files: Mapping[str, Mapping[str, Any]]
    further: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_imported(self) -> bool:
        """Whether its runs were published by others, and not trained here."""
        return IMPORTED_FROM in self.further

    @property
    def stride(self) -> int | None:
        """Of how many iterations a compact benchmark's curves keep one; None for all."""
        return self.further.get(CURVE_STRIDE)

    def to_json(self) -> str:
        """The file's text, with a hash of itself."""
        known = {key: value for key, value in vars(self).items() if key != "further"}
        record = {"schema": SCHEMA_VERSION, **known, **self.further}
        return json.dumps({**record, SELF_SHA256: record_sha256(record)}, indent=2) + "\n"

    def check(self) -> None:
        """See that every field is of the kind that its users expect.

        Raises:
            TypeError: if one is not.
            ValueError: if a file lies outside the benchmark's folder.
        """
        kinds = {
            "name": str,
            "generation": int,
            "protocol": dict,
            "observation_seed": int | None,
            "images": dict,
            "environment": dict,
            "content_sha256": str,
            "files": dict,
        }
        for field_name, kind in kinds.items():
            if not isinstance(getattr(self, field_name), kind):
                raise TypeError(f"{field_name} is not of the kind {kind}")
        if not all(isinstance(text, str) for text in (*self.tasks, *self.images.values())):
            raise TypeError("tasks and images must be texts")
        if self.stride is not None and not (isinstance(self.stride, int) and self.stride > 0):
            raise TypeError("the curves' stride is no number above 0")
        for role, entry in self.files.items():
            if not isinstance(entry, dict) or not isinstance(entry["size"], int):
                raise TypeError(f"the {role} file has no size")
            if not isinstance(entry["sha256"], str) or not isinstance(entry["name"], str):
                raise TypeError(f"the {role} file has no name or SHA-256")
            if Path(entry["name"]).name != entry["name"]:
                raise ValueError(f"the {role} file lies outside the folder")


def record_sha256(record: Mapping[str, Any]) -> str:
    """The SHA-256 of a manifest's record but for that hash, whatever its spacing and order."""
    rest = {key: value for key, value in record.items() if key != SELF_SHA256}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def find_manifest(folder: Path) -> Manifest | None:
    """Read and check `benchmark.json`, where there is one.

    Raises:
        StoreError: as `read_manifest`, if there is one.
    """
    return read_manifest(folder) if (folder / MANIFEST).is_file() else None


def read_manifest(folder: Path) -> Manifest:
    """Read and check `benchmark.json`.

    Raises:
        StoreError: if the folder is no benchmark, is not finished, or is of a newer schema.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(_why_no_store(folder))
    try:
        record = read_record(folder)
        record.pop(SELF_SHA256, None)
        schema = record.pop("schema")
        if not isinstance(schema, int):
            raise TypeError("the schema version is no number")
        if schema > SCHEMA_VERSION:
            raise StoreError(
                f"{folder} has schema {schema}, newer than this version's {SCHEMA_VERSION}: "
                "update dipbench"
            )
        for version in range(schema, SCHEMA_VERSION):
            record = MIGRATIONS[version](record)
        known = {name: record.pop(name) for name in Manifest.__dataclass_fields__ if name in record}
        manifest = Manifest(**{**known, "tasks": tuple(known["tasks"]), "further": record})
        manifest.check()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise unreadable(path, error) from error
    return manifest


def unreadable(path: Path, error: BaseException) -> StoreError:
    """What is raised for a file that cannot be read: it is damaged, if the system does not object.

    >>> print(unreadable(Path("a.h5"), OSError(errno.ENOLCK, "No locks available")))
    a.h5 cannot be read: No locks available
    """
    if isinstance(error, OSError) and error.errno not in (None, errno.EIO):
        return StoreError(f"{path} cannot be read: {one_line(error)}")
    return StoreError(f"{path} is damaged ({named(error)}): restore it from a copy")


def read_record(folder: Path) -> dict[str, Any]:
    """The fields of `benchmark.json` as they are written there.

    Raises:
        OSError | ValueError | TypeError: if it cannot be read.
    """
    record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise TypeError("it holds no fields")
    return record


def _why_no_store(folder: Path) -> str:
    if not folder.exists():
        return f"no benchmark at {folder}: there is no such folder"
    if not folder.is_dir():
        return f"no benchmark at {folder}: it is a file, give the folder that a benchmark lies in"
    if (orphan := orphaned(folder)) and not any((folder / PARTS).glob("*.parquet")):
        return f"{folder} holds {orphan.name} without its {MANIFEST}: restore that from a copy"
    if (folder / "plan.json").is_file():
        return f"{folder} is not finished yet: run {command('finish', folder)} to read it"
    return f"no benchmark at {folder}: it holds no {MANIFEST}; `dipbench train` makes one"


def orphaned(folder: Path) -> Path | None:
    """A file of runs whose `benchmark.json` is not there, or not yet, if there is one."""
    if (folder / MANIFEST).is_file():
        return None
    runs = (path for path in folder.glob("runs-*") if GENERATION_FILES.fullmatch(path.name))
    return next(runs, None)


def file_of(folder: Path, manifest: Manifest, role: str) -> Path:
    """The path of the file in that role, its size checked.

    Raises:
        StoreError: if the benchmark has no such file, or it is missing or cut short.
    """
    if role not in manifest.files:
        remedy = f": {command('score', folder)} makes them" if role == "scores" else ""
        raise StoreError(f"the benchmark at {folder} holds no {role}{remedy}")
    entry = manifest.files[role]
    path = folder / str(entry["name"])
    size = path.stat().st_size if path.is_file() else None
    if size != entry["size"]:
        if size is None:
            raise StoreError(
                f"{path} is missing: if the benchmark has grown since it was opened, load it "
                "again; else restore the file from a copy"
            )
        raise StoreError(
            f"{path} has {size} bytes instead of {entry['size']}: restore it from a copy"
        )
    return path


def read_table(
    folder: Path, manifest: Manifest, role: str, dictionaries: Sequence[str] = ()
) -> pa.Table:
    """A Parquet file of the benchmark, page checksums verified.

    Args:
        folder: the benchmark.
        manifest: of it.
        role: of the file.
        dictionaries: columns of texts that are read as codes, which takes a tenth of the time and
            memory where few differ.

    Raises:
        StoreError: if it is missing or damaged.
    """
    path = file_of(folder, manifest, role)
    try:
        return pq.read_table(
            path.absolute(),  # a relative one with a colon Arrow would take for an address
            page_checksum_verification=True,
            memory_map=True,
            read_dictionary=list(dictionaries),
        )
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def write_table(table: pa.Table, path: Path) -> None:
    """Publish a Parquet file with checksums on its pages."""
    # Numbers that hardly repeat: place by place their bytes are alike, and few are random.
    doubles = [field.name for field in table.schema if pa.types.is_float64(field.type)]
    with published(path) as temporary:
        pq.write_table(
            table,
            temporary.absolute(),
            compression="zstd",
            column_encoding=dict.fromkeys(doubles, "BYTE_STREAM_SPLIT"),
            use_dictionary=[name for name in table.column_names if name not in doubles],
            write_page_checksum=True,
        )


def commit(
    folder: Path, manifest: Manifest, roles: Mapping[str, Path], after: int | None = None
) -> Manifest:
    """Make `roles` the files of a new generation, then remove files that no one names any more.

    Args:
        folder: the benchmark.
        manifest: the new manifest but for its files.
        roles: path by role of files already published in the folder.
        after: number of the generation that this one was made from, 0 for none; None does not
            ask.

    Raises:
        StoreError: if another generation than `after` is there, whose changes would be lost.
    """
    before = find_manifest(folder)
    found = before.generation if before else 0
    if after is not None and found != after:
        raise StoreError(
            f"{folder} has generation {found} where {after} was read: another process changed it "
            "meanwhile; run this again"
        )
    # What a file that stays was committed as: its damage since would become its content.
    held = {str(entry["name"]): entry for entry in before.files.values()} if before else {}
    files = {
        role: held.get(path.name)
        or {"name": path.name, "size": path.stat().st_size, "sha256": file_sha256(path)}
        for role, path in roles.items()
    }
    complete = replace(manifest, files=files)
    # The files of the generation before stay: a reader that opened it may still want its curves.
    kept = {path.name for path in roles.values()}
    kept |= set(held)
    with published(folder / MANIFEST) as temporary:
        temporary.write_text(complete.to_json(), encoding="utf-8")
    for path in folder.iterdir():
        if GENERATION_FILES.fullmatch(path.name) and path.name not in kept:
            path.unlink(missing_ok=True)
    try:
        write_card(folder, complete)
    except (OSError, pa.ArrowException) as error:
        # The data are committed: whoever made them must not make them again.
        warnings.warn(f"{folder / CARD} could not be written: {one_line(error)}", stacklevel=2)
    return complete


def command(name: str, folder: Path) -> str:
    """A command on a benchmark, as a message shows it: to be pasted whatever the folder's name.

    >>> command("finish", Path("my store"))
    "`dipbench finish 'my store'`"
    """
    return f"`dipbench {name} {quote(str(folder))}`"


@contextmanager
def writing(folder: Path, then: str | None = None) -> Iterator[None]:
    """Tell in one line of a full disk, or of a file that fails, while a benchmark is written.

    Args:
        folder: that is written to.
        then: what goes on once that is mended; without it, training does.

    Raises:
        StoreError: instead of an OSError, but for a pipe that whoever is told has closed.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        why = one_line(error)
        place = error.filename or folder
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "make room" if full else "see to that"
        again = command("train --out", folder)
        told = StoreError(
            f"cannot {'write to' if full else 'read or write'} {place} ({why}): what is finished "
            f"is kept; {mend}, then {then or f'go on with {again}'}"
        )
        told.errno = error.errno
        raise told from error


def remove_leftovers(folder: Path, patterns: Iterable[str] = LEFTOVERS) -> None:
    """Remove what writers that died have left, once it is an hour old."""
    for path in chain(*(folder.glob(pattern) for pattern in patterns)):
        with suppress(FileNotFoundError):
            newest = max(each.stat().st_mtime for each in (path, *path.glob("*")))
            if time.time() - newest > LEFTOVER_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def remove_bare(folder: Path) -> None:
    """Remove a folder that holds nothing but the locks of those who were refused."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"builders"}:
        shutil.rmtree(folder)


def check_writable(folder: Path) -> None:
    """Make the folder and see that files can be written there.

    Raises:
        StoreError: if they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{token_hex(4)}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {one_line(error)}; choose another folder"
        ) from error
