"""dipbench: a benchmark dataset for neural architecture search on Deep Image Prior.

>>> import dipbench
>>> dipbench.Genotype.parse(0).upsample
172
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .benchmark import Benchmark, Result, load
from .data import Denoising, Inpainting, SuperResolution, parse_task
from .errors import (
    DeviceError,
    DipbenchError,
    DivergenceError,
    DownloadError,
    GenotypeError,
    ImageError,
    MissingExtraError,
    ProtocolError,
    QueryError,
    ScoreError,
    StoreError,
    TaskError,
)
from .genotypes import ISNAS522, Genotype

if TYPE_CHECKING:
    from .analysis.search.isnas import search

__all__ = [
    "ISNAS522",
    "Benchmark",
    "Denoising",
    "DeviceError",
    "DipbenchError",
    "DivergenceError",
    "DownloadError",
    "Genotype",
    "GenotypeError",
    "ImageError",
    "Inpainting",
    "MissingExtraError",
    "ProtocolError",
    "QueryError",
    "Result",
    "ScoreError",
    "StoreError",
    "SuperResolution",
    "TaskError",
    "load",
    "parse_task",
    "search",
]


def __dir__() -> list[str]:
    return [*__all__, "analysis", "benchmark", "data", "errors", "evaluate", "genotypes"]


def __getattr__(name: str) -> Any:
    """Import what brings pandas along, or takes its time, only when it is asked for."""
    if name == "search":
        return import_module(".analysis.search.isnas", __name__).search
    if name == "analysis":
        return import_module(".analysis", __name__)
    if name == "__version__":
        return import_module("importlib.metadata").version("dipbench")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
