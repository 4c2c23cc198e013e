"""What an import did, and what is to be known before the runs it brought are compared."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from .intake import HASHES, Intake, Problem
from .pictures import StoredObservations, count_outputs
from .schema import RUNS_SCHEMA, RunKey
from .scorefiles import committed_scores
from .store import file_of, find_manifest, read_manifest, read_table

_TOLERANCE_DB = 1e-4


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        runs: Runs that the benchmark holds now.
        imported: Runs that are new.
        already: Runs that it held before.
        scores: Values of training-free scores that it holds now.
        duplicates: Files that hold a run once more.
        refused: Files that are broken, unsafe, or contradict others.
        not_understood: Files that belong to no published tree.
        counts: How many of these three there are; of very many the first are listed alone.
        warnings: What to know before runs are compared.
    """

    runs: int
    imported: int
    already: int
    scores: int
    duplicates: tuple[Problem, ...]
    refused: tuple[Problem, ...]
    not_understood: tuple[Problem, ...]
    counts: tuple[int, int, int]
    warnings: tuple[str, ...]


def make_report(folder: Path, intake: Intake) -> ImportReport:
    """What an import did, and what is to be said of the benchmark that it left."""
    rows = RUNS_SCHEMA.empty_table()
    warnings, scores = [], 0
    manifest = find_manifest(folder)
    if manifest is not None:
        rows = read_table(folder, manifest, "runs")
        warnings = [
            *_mixed(rows),
            *_untold(folder, rows),
            *_contradictory(intake),
            *_contradictions(rows, intake),
            *_without_pictures(folder, rows),
            *_without_outputs(folder, intake, rows.num_rows),
        ]
        scores = committed_scores(folder).num_rows
    return ImportReport(
        runs=rows.num_rows,
        imported=intake.imported,
        already=intake.already,
        scores=scores,
        duplicates=tuple(intake.duplicates.listed),
        refused=tuple(intake.refused.listed),
        not_understood=tuple(intake.not_understood.listed),
        counts=(intake.duplicates.count, intake.refused.count, intake.not_understood.count),
        warnings=tuple(warnings),
    )


def _mixed(rows: pa.Table) -> list[str]:
    """A warning for each pair whose runs did not all see the same."""
    counted = rows.group_by(["image", "task"]).aggregate(
        [(name, "count_distinct") for name in HASHES]
    )
    return [
        f"{row['image']}, {row['task']}: its runs were trained on "
        f"{row['observation_sha256_count_distinct']} observations and "
        f"{row['input_sha256_count_distinct']} network inputs, which the authors shared only "
        "within a process"
        for row in counted.to_pylist()
        if max(row[f"{name}_count_distinct"] for name in HASHES) > 1
    ]


def _untold(folder: Path, rows: pa.Table) -> list[str]:
    """A warning for each pair with an observation, where some runs may have seen another."""
    stored = StoredObservations(file_of(folder, read_manifest(folder), "images"))
    counted = rows.group_by(["image", "task"]).aggregate(
        [("observation_sha256", "count", pc.CountOptions("only_null"))]
    )
    return [
        f"{row['image']}, {row['task']}: {row['observation_sha256_count']} runs do not say what "
        "they were trained on: import them again, with their img_noisy.npy"
        for row in counted.to_pylist()
        if row["observation_sha256_count"] and (row["image"], row["task"]) in stored
    ]


def _contradictory(intake: Intake) -> list[str]:
    if not intake.contradictory.count:
        return []
    return [
        f"{intake.contradictory.count} runs were published with a best PSNR that their curve does "
        f"not have, such as {intake.contradictory.listed[0].name}: it is kept, and `dipbench "
        "verify` will say so; to leave them out, import the others into another folder"
    ]


def _contradictions(rows: pa.Table, intake: Intake) -> list[str]:
    """Warnings where a table gives another best PSNR than the run that it names, or no run."""
    best = {RunKey.of(row): row for row in rows.to_pylist()}
    missing = sum(key not in best for key in intake.tables)
    found = [f"the tables name {missing} runs that are not there"] if missing else []
    for key, table in intake.tables.items():
        differing = [
            f"{name} {value:g} and not {best[key][name]:g}"
            for name, value in table.best.items()
            if key in best and abs(value - best[key][name]) > _TOLERANCE_DB
        ]
        if differing:
            found.append(f"the table says of {key}: {', '.join(differing)}, as its run does")
    return found[:100]


def _without_outputs(folder: Path, intake: Intake, runs: int) -> list[str]:
    """A warning where outputs were asked for, and earlier runs came without."""
    if not intake.keeps_outputs:
        return []
    manifest = read_manifest(folder)
    kept = count_outputs(file_of(folder, manifest, "outputs")) if "outputs" in manifest.files else 0
    lacking = runs - kept
    if not lacking:
        return []
    return [
        f"{lacking} of {runs} runs have no output: they were imported before, without; to have "
        "all, import into another folder"
    ]


def _without_pictures(folder: Path, rows: pa.Table) -> list[str]:
    manifest = read_manifest(folder)
    stored = StoredObservations(file_of(folder, manifest, "images"))
    pairs = rows.select(["image", "task"]).group_by(["image", "task"]).aggregate([]).to_pylist()
    images = sorted({row["image"] for row in pairs} - set(manifest.images))
    found = [f"{name}: its true picture is not there" for name in images]
    return found + [
        f"{row['image']}, {row['task']}: no observation is kept, for none came with a picture "
        "(and mask) that it fits: import them again, together"
        for row in pairs
        if (row["image"], row["task"]) not in stored
    ]
