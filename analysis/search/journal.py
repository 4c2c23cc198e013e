"""What a search on one picture has done so far, on disk: it can be killed and taken up again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import NoneType
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ...benchmark.joining import differing_settings
from ...errors import StoreError, one_line
from ...files import published

SETTINGS = "search.json"

_NUMBER = int, float
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "scores": {
        "model": (str,),
        "score": (*_NUMBER, NoneType),
        "reason": (str,),
        "seconds": _NUMBER,
    },
    "trained": {
        "model": (str,),
        "score": _NUMBER,
        "status": (str,),
        "signal": (*_NUMBER, NoneType),
        "loss": (*_NUMBER, NoneType),
        "variance_at_noise": (*_NUMBER, NoneType),
        "iterations": (int,),
        "seconds": _NUMBER,
    },
}
"""What a record of each kind holds; a search that is taken up relies on it."""


class Journal:
    """Records in JSON lines and the outputs of the trained models, in a folder or in memory.

    A line that a kill cut short is left out when the search is taken up.

    Args:
        folder: where; None keeps everything in memory.
        settings: of the search; a folder that holds another search is refused.

    Raises:
        StoreError: the folder cannot be written, is damaged, or holds another search.

    >>> journal = Journal(None, {"task": "denoising-25"})
    >>> journal.add("scores", {"model": "a", "score": 1.0})
    >>> journal.records("scores")
    [{'model': 'a', 'score': 1.0}]
    """

    def __init__(self, folder: Path | None, settings: Mapping[str, Any]) -> None:
        self._folder = folder
        self._records: dict[str, list[dict[str, Any]]] = {}
        self._outputs: dict[str, np.ndarray] = {}
        if folder is not None:
            self._open(folder, json.loads(json.dumps(settings)))

    def add(self, kind: str, record: dict[str, Any]) -> None:
        """Append a record of a kind, such as `scores`."""
        self.records(kind).append(record)
        if self._folder is not None:
            with _writing(self._folder), self._file(kind).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, allow_nan=False) + "\n")

    def records(self, kind: str) -> list[dict[str, Any]]:
        """All records of a kind, in the order in which they were made."""
        if kind not in self._records:
            self._records[kind] = self._read(kind)
        return self._records[kind]

    def save_output(self, model: str, output: np.ndarray) -> None:
        """Keep the output of a trained model, (C, H, W)."""
        if self._folder is None:
            self._outputs[model] = output
            return
        with (
            _writing(self._folder),
            published(self._output_file(model)) as temporary,
            temporary.open("wb") as file,
        ):
            np.save(file, output, allow_pickle=False)

    def output(self, model: str) -> np.ndarray | None:
        """The output of a trained model, or None where there is none."""
        if self._folder is None:
            return self._outputs.get(model)
        path = self._output_file(model)
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                return np.asarray(np.load(file, allow_pickle=False))
        except (ValueError, OSError, EOFError, BadZipFile) as error:
            raise StoreError(f"{path} is damaged: delete it, and it is trained again") from error

    def _open(self, folder: Path, settings: Mapping[str, Any]) -> None:
        path = folder / SETTINGS
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                self._check_same(_settings_of(path), settings)
            else:
                with published(path) as temporary:
                    temporary.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
            for kind in _FIELDS:
                self._end_last_line(kind)

    def _check_same(self, there: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        differing = [
            _told(key, there, settings) for key in settings if there.get(key) != settings[key]
        ]
        if differing:
            raise StoreError(
                f"{self._folder} holds a search with another {', '.join(differing)}: take it up "
                "with the same arguments, or choose another folder"
            )

    def _end_last_line(self, kind: str) -> None:
        path = self._file(kind)
        if path.is_file() and not path.read_bytes().endswith(b"\n"):
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def _read(self, kind: str) -> list[dict[str, Any]]:
        path = self._file(kind)
        if self._folder is None or not path.is_file():
            return []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(_damaged(path)) from error
        records = []
        for line in lines:
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if not _is_whole(kind, record):
                raise StoreError(_damaged(path))
            records.append(record)
        return records

    def _file(self, kind: str) -> Path:
        return (self._folder or Path()) / f"{kind}.jsonl"

    def _output_file(self, model: str) -> Path:
        return (self._folder or Path()) / f"output-{sha256(model.encode()).hexdigest()[:16]}.npy"


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """One line for what the system refuses, such as on a full disk."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {one_line(error)}") from error


def _settings_of(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(_damaged(path)) from error
    if not isinstance(found, dict):
        raise StoreError(_damaged(path))
    return found


def _is_whole(kind: str, record: Any) -> bool:
    fields = _FIELDS.get(kind, {})
    return isinstance(record, dict) and all(
        field in record and isinstance(record[field], types) for field, types in fields.items()
    )


def _damaged(path: Path) -> str:
    return f"{path} is damaged: choose another folder"


def _told(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """A setting in which two searches differ; of a protocol those of its own."""
    if name == "protocol" and isinstance(there.get(name), dict):
        return f"protocol ({', '.join(differing_settings(there[name], here[name]))})"
    return "number of models" if name == "models" else name
