"""How a benchmark was made, as a report tells it: protocol, machines, hashes, licence."""

from importlib import metadata
from typing import Any

from ..benchmark.card import CARD_SECTIONS, LICENCE
from ..benchmark.store import Manifest
from .report_tables import ask
from .worth import summary_words

COUNTS = {
    "models": "len(bench.models)",
    "images": "len(bench.images)",
    "tasks": "len(bench.tasks)",
    "seeds": 'bench.to_frame()["seed"].nunique(dropna=False)',
    "runs": "len(bench.to_frame())",
    "usable runs": 'bench.to_frame()["status"].isin(["finished", "stopped"]).sum()',
}
"""Counts of the overview: the query of each."""
HOURS = 'bench.to_frame()["seconds"].sum() / 3600'
UNSTATED = "not stated in the benchmark"


def facts(bench: Any, by: str | int) -> dict[str, Any]:
    """Names and counts, and the groups of facts of the last section, all plain values."""
    frame = bench.to_frame()
    manifest: Manifest = bench.manifest
    hours = float(ask(bench, HOURS))
    return {
        "name": manifest.name,
        "folder": bench.folder.resolve().name,
        "by": by if isinstance(by, str) else int(by),
        "by_words": summary_words(by),
        "oracle": isinstance(by, str) and by.startswith("best"),
        "counts": {name: int(ask(bench, query)) for name, query in COUNTS.items()},
        "count_queries": list(COUNTS.values()),
        "hours": round(hours, 2) if hours else None,
        "hours_query": HOURS,
        "groups": {
            "Protocol": _flat(manifest.protocol),
            "Environment": _flat(manifest.environment)
            | {
                "devices": _listed(frame["device"]),
                "code": _listed(frame["commit"]),
            },
            "Images, SHA-256": dict(manifest.images),
            "Benchmark": {
                "name": manifest.name,
                "generation": manifest.generation,
                "content, SHA-256": manifest.content_sha256,
                "observation seed": manifest.observation_seed,
                **_flat({k: v for k, v in manifest.further.items() if k != CARD_SECTIONS}),
            },
            "Files, SHA-256": {
                str(entry["name"]): str(entry["sha256"]) for entry in manifest.files.values()
            },
            "Licence": {
                "of the data": str(manifest.further.get(LICENCE, UNSTATED)),
                "of dipbench": "Apache-2.0",
                "this page was made by": f"dipbench {metadata.version('dipbench')}",
            },
        },
    }


def _flat(record: Any) -> dict[str, str]:
    """A record as one level of names and texts.

    >>> _flat({"a": {"b": 1}, "c": None, "d": [1, 2]})
    {'a: b': '1', 'c': 'none', 'd': '1, 2'}
    """
    found: dict[str, str] = {}
    for name, value in record.items():
        words = str(name).replace("_", " ")
        if isinstance(value, dict):
            found |= {f"{words}: {inner}": text for inner, text in _flat(value).items()}
        elif isinstance(value, list | tuple):
            found[words] = ", ".join(map(str, value))
        else:
            number = f"{value:.6g}" if isinstance(value, float) else str(value)
            found[words] = "none" if value is None else number
    return found


def _listed(column: Any) -> str:
    values = sorted({str(value) for value in column.dropna() if str(value)})
    return "; ".join(values) if values else "not recorded"
