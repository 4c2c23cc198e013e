"""Parts: files of finished runs, written while a benchmark is built and merged at its end.

A part is named by chance and by the hash of its bytes, so that damage anywhere in it is found.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import StoreError
from ..files import published
from .schema import RUNS_SCHEMA, Run, RunKey

_MADE = b"made"
_CURVE = "curve:"
_OUTPUT = "output"
_KEYS = list(RunKey._fields)


Made = Mapping[str, Any]
"""How the runs of a part came about, as far as it is known: `environment`, versions and hardware;
`protocol`, its record; `imported`, true of published runs."""


def write_part(folder: Path, runs: Sequence[Run], made: Made = MappingProxyType({})) -> Path:
    """Publish a part that holds `runs` under a unique name and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    table, buffer = runs_to_table(runs), BytesIO()
    table = table.replace_schema_metadata({_MADE: json.dumps(dict(made))})
    curves = [name for name in table.column_names if name.startswith(_CURVE)]
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=19,
        # The bytes of numbers that follow each other are alike place by place.
        column_encoding={f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in curves},
        use_dictionary=[name for name in table.column_names if name not in curves],
    )
    content = buffer.getvalue()
    path = folder / f"{token_hex(4)}-{_short_hash(content)}.parquet"
    with published(path) as temporary:
        temporary.write_bytes(content)
    return path


def receive_part(folder: Path, name: str, content: bytes) -> None:
    """Publish a part that was written elsewhere, under its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    with published(folder / name) as temporary:
        temporary.write_bytes(content)


def runs_to_table(runs: Sequence[Run]) -> pa.Table:
    """One row a run: its columns, and a list column for each kind of curve."""
    rows = [run.columns() for run in runs]
    names = [name for name in RUNS_SCHEMA.names if name != "row"]
    columns = {
        name: pa.array([row.get(name) for row in rows], RUNS_SCHEMA.field(name).type)
        for name in names
    }
    kinds = list(dict.fromkeys(kind for run in runs for kind in run.curves))
    for kind in kinds:
        curves = [run.curves.get(kind) for run in runs]
        columns[_CURVE + kind] = pa.array(curves, pa.list_(pa.float32()))
    if any(run.output is not None for run in runs):
        columns[_OUTPUT] = pa.array([_pack(run.output) for run in runs], pa.binary())
        shapes = [None if run.output is None else json.dumps(run.output.shape) for run in runs]
        columns[f"{_OUTPUT}_shape"] = pa.array(shapes, pa.string())
    return pa.table(columns)


def table_to_runs(table: pa.Table) -> Iterator[Run]:
    """The runs of a part's table, curves as float32 arrays."""
    kinds = [name for name in table.column_names if name.startswith(_CURVE)]
    curves = {kind: table[kind].combine_chunks() for kind in kinds}
    facts = table.select([name for name in table.column_names if name in RUNS_SCHEMA.names])
    outputs = table.column_names.count(_OUTPUT) and table.select([_OUTPUT, f"{_OUTPUT}_shape"])
    for index, row in enumerate(facts.to_pylist()):
        key = RunKey(*(row.pop(name) for name in _KEYS))
        status, reason = row.pop("status"), row.pop("reason")
        own = {
            kind.removeprefix(_CURVE): np.asarray(values[index].values.to_numpy(), np.float32)
            for kind, values in curves.items()
            if values[index].is_valid
        }
        output = _unpack(*outputs.slice(index, 1).to_pylist()[0].values()) if outputs else None
        yield Run(key, status, reason, own, row, output)


def read_part(path: Path) -> list[Run]:
    """All runs of a part.

    Raises:
        StoreError: if the part is damaged.
    """
    return list(table_to_runs(_read_table(path)))


def read_made(path: Path) -> Made:
    """How the runs of a part came about; nothing is known of one that is damaged or gone."""
    try:
        made: Made = json.loads((pq.read_schema(path.absolute()).metadata or {}).get(_MADE, b"{}"))
    except (OSError, ValueError, pa.ArrowException):
        return {}
    return made


def part_observations(path: Path) -> set[tuple[str, str, str | None]]:
    """(image, task, SHA-256 of what was trained on, if it says) of the runs; see `read_made`."""
    columns = ["image", "task", "observation_sha256"]
    try:
        rows = pq.read_table(path.absolute(), columns=columns).to_pylist()
    except (OSError, ValueError, pa.ArrowException):
        return set()
    return {(row["image"], row["task"], row.get("observation_sha256")) for row in rows}


def in_common(environments: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What several environments have in common.

    >>> in_common([{"torch": "2.13.0", "python": "3.11"}, {"torch": "2.13.0", "python": "3.12"}])
    {'torch': '2.13.0'}
    """
    first, *others = environments
    return {name: held for name, held in first.items() if all(e.get(name) == held for e in others)}


def table_keys(table: pa.Table) -> list[tuple[RunKey, str]]:
    """Key and status of each row of a runs table."""
    columns = table.select([*_KEYS, "status"]).to_pydict().values()
    return [(RunKey(*key), status) for *key, status in zip(*columns, strict=True)]


def part_keys(path: Path) -> list[tuple[RunKey, str]]:
    """Key and status of each run of a part.

    Raises:
        StoreError: if the part is damaged.
    """
    return table_keys(_read_table(path, [*_KEYS, "status"]))


def list_parts(folder: Path) -> list[Path]:
    """The published parts of a folder, by name."""
    return sorted(folder.glob("*.parquet"))


def glance(path: Path) -> list[tuple[RunKey, str]]:
    """Keys and statuses of a part, for those who watch: nothing for one damaged or merged."""
    try:
        return table_keys(pq.read_table(path.absolute(), columns=[*_KEYS, "status"]))
    except (OSError, pa.ArrowException):
        return []


def set_aside(path: Path) -> Path:
    """Rename a damaged file to `*.corrupt` so that it is kept but no longer read."""
    target = path.with_name(path.name + ".corrupt")
    with suppress(FileNotFoundError):  # another process has just done so
        path.replace(target)
    return target


Keys = tuple[dict[Path, list[tuple[RunKey, str]]], list[Path]]
"""Keys and statuses by part, and the damaged parts."""


def readable_keys(parts: Iterable[Path]) -> Keys:
    """Keys and statuses by part, and the damaged parts."""
    found: dict[Path, list[tuple[RunKey, str]]] = {}
    damaged = []
    for part in parts:
        try:
            found[part] = part_keys(part)
        except StoreError:
            damaged.append(part)
        except FileNotFoundError:
            continue  # merged and removed while we looked
    return found, damaged


def finished_keys(parts: Iterable[Path]) -> Keys:
    """`readable_keys`; damaged parts are set aside and returned under their new names."""
    found, damaged = readable_keys(parts)
    return found, [set_aside(part) for part in damaged]


def remove_parts(parts: Iterable[Path]) -> None:
    """Remove parts whose runs are in a committed generation."""
    for part in parts:
        part.unlink(missing_ok=True)


def _read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    content = path.read_bytes()
    if not path.stem.endswith(f"-{_short_hash(content)}"):
        raise StoreError(f"{path} is damaged: its content is not what its name says")
    return pq.read_table(BytesIO(content), columns=columns)


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _pack(output: np.ndarray | None) -> bytes | None:
    return None if output is None else output.astype(np.float16).tobytes()


def _unpack(packed: bytes | None, shape: str | None) -> np.ndarray | None:
    if packed is None or shape is None:
        return None
    return np.frombuffer(packed, np.float16).reshape(json.loads(shape))
