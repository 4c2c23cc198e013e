"""Verifying a benchmark: every file against its hash, every number against the curves it is of."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..data import parse_task
from ..errors import DipbenchError, StoreError
from ..evaluate.protocol import Protocol
from ..files import file_sha256
from .curves import CurvesReader
from .hdf5 import opened_hdf5
from .merging import content_sha256, run_sha256
from .parts import table_keys
from .pictures import StoredObservations, read_images, read_outputs
from .runs import Runs
from .schema import RUNS_SCHEMA, STATUSES, USABLE, Pair, Run, RunKey, row_order, summarise
from .scorefiles import SCORE_KEYS, SCORES_SCHEMA
from .store import (
    SELF_SHA256,
    Manifest,
    command,
    file_of,
    read_manifest,
    read_record,
    read_table,
    record_sha256,
)
from .verifying_thinned import censoring_differs, check_thinned, iterations_agree

TOLERANCE_DB = 1e-3
"""How far a summary may lie from its curve, dB: published ones were rounded differently."""

SHOWN = 5


def verify(folder: Path | str, on_step: Callable[[str], None] = lambda step: None) -> list[str]:
    """What is wrong with a benchmark, a line each; nothing where all of it can be trusted.

    Checked: the manifest against its own hash; each file against its size and SHA-256; the
    columns, keys and order of the runs; that rows and curves belong together; the summaries
    against the curves; the content hash; the images and observations against their hashes; the
    scores' columns and names.

    Args:
        folder: the benchmark.
        on_step: told what is checked next.

    Returns:
        Problems, in the order found. Those behind an unreadable file are not looked for.
    """
    folder = Path(folder)
    try:
        manifest = read_manifest(folder)
    except StoreError as error:
        return [str(error)]
    on_step("files")
    problems = [*_manifest_problems(folder, manifest), *_file_problems(folder, manifest)]
    if problems:
        # A number from a damaged file would only be the same problem in other words.
        return problems
    checks = {
        "runs": _run_problems,
        "pictures": _picture_problems,
        "scores": _score_problems,
        "outputs": _output_problems,
    }
    for step, check in checks.items():
        on_step(step)
        try:
            problems += check(folder, manifest)
        except (
            DipbenchError,
            pa.ArrowException,
            OSError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:
            problems.append(f"{type(error).__name__}: {error}".replace("\n", " "))
    return problems


def _manifest_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    record = read_record(folder)
    if SELF_SHA256 not in record:
        yield "benchmark.json has no hash of itself: its fields cannot be trusted"
    elif record[SELF_SHA256] != record_sha256(record):
        yield "benchmark.json differs from its own SHA-256: it was damaged or edited"
    try:
        Protocol.from_record(manifest.protocol)
        for task in manifest.tasks:
            parse_task(task)
    except (DipbenchError, KeyError, TypeError, ValueError) as error:
        yield f"benchmark.json: {error}"
    for role in ("runs", "curves", "images"):
        if role not in manifest.files:
            yield f"benchmark.json names no {role} file"


def refuse_unsound(folder: Path, done: str) -> None:
    """See that a benchmark can be trusted, before it is `done`: added, copied.

    Raises:
        StoreError: if something is wrong with it.
    """
    problems = verify(folder)
    if problems:
        raise StoreError(
            f"{folder} cannot be {done}: {problems[0]} (problem 1 of {len(problems)}: "
            f"{command('verify', folder)} lists them)"
        )


def _file_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    for role, entry in manifest.files.items():
        try:
            path = file_of(folder, manifest, role)
            if file_sha256(path) != entry["sha256"]:
                yield f"{path.name} differs from its SHA-256"
        except (StoreError, OSError) as error:
            yield str(error)


def _run_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    table = read_table(folder, manifest, "runs")
    lacking = [field for field in RUNS_SCHEMA if field.name not in table.column_names]
    if lacking:
        yield f"the runs lack the columns {', '.join(field.name for field in lacking)}"
        return
    for field in RUNS_SCHEMA:
        if table.schema.field(field.name).type != field.type:
            yield f"the runs' column {field.name} is not of type {field.type}"
            return
    keys = table.group_by(list(RunKey._fields)).aggregate([([], "count_all")])
    repeated = keys.filter(pc.field("count_all") > 1).to_pylist()
    yield from told_of("runs recorded twice", [str(RunKey.of(row)) for row in repeated])
    statuses = set(pc.unique(table["status"]).to_pylist())
    if not statuses <= set(STATUSES):
        yield f"unknown statuses: {', '.join(map(str, statuses - set(STATUSES)))}"
    orders = [row_order(key) for key, _ in table_keys(table)]
    if orders != sorted(orders):
        yield "the runs are not sorted by image, task, model and seed"
    runs = Runs(table)
    if sum(span.stop - span.start for span in runs.spans.values()) != table.num_rows:
        return  # of some images and tasks there are rows that would not be looked at
    if not manifest.is_imported:
        yield from told_of(
            "finished runs of another length than the protocol's", _odd(manifest, table)
        )
        # Published runs may have come without their pictures.
        bare = _strange(table["image"], manifest.images)
        yield from told_of("runs of images without a hash", bare)
    yield from told_of("runs of tasks that are not named", _strange(table["task"], manifest.tasks))
    curves = CurvesReader(file_of(folder, manifest, "curves"))
    digests: list[str] = []
    try:
        for pair, span in runs.spans.items():
            rows = table.slice(span.start, span.stop - span.start)
            digests += yield from _pair_problems(pair, rows, curves, manifest.stride)
    finally:
        curves.close()
    with opened_hdf5(file_of(folder, manifest, "curves")) as file:
        held = {(image, task) for image, tasks in file.items() for task in tasks}
    yield from told_of("curves without rows", [" ".join(pair) for pair in held - runs.spans.keys()])
    if content_sha256(digests) != manifest.content_sha256:
        yield "the content hash is another than that of the runs and curves"


def _odd(manifest: Manifest, table: pa.Table) -> list[str]:
    """Runs that finished after another number of iterations than the protocol has."""
    protocol = Protocol.from_record(manifest.protocol)
    finished = table.filter(pc.field("status") == "finished")
    rows = finished.select([*RunKey._fields, "length"]).to_pylist()
    lengths = {
        task: protocol.iterations_for(parse_task(task).kind)
        for task in pc.unique(finished["task"]).to_pylist()
    }
    return [str(RunKey.of(row)) for row in rows if row["length"] != lengths[row["task"]]]


def _pair_problems(
    pair: Pair, rows: pa.Table, curves: CurvesReader, stride: int | None
) -> Generator[str, None, list[str]]:
    """What is wrong with the runs of a pair; returns the hashes of those that could be read."""
    where = " ".join(pair)
    if rows["row"].to_pylist() != list(range(rows.num_rows)):
        yield f"{where}: the rows are not numbered in order"
        return []
    lengths = curves.lengths(*pair)
    if not np.array_equal(lengths, rows["length"].to_numpy()):
        yield f"{where}: rows and curves disagree on the runs' lengths"
        return []
    if not iterations_agree(pair, curves, stride):
        yield f"{where}: the curves are not of the iterations that benchmark.json says"
        return []
    if stride is not None:
        hashes, wrong = check_thinned(pair, rows.to_pylist(), curves)
        yield from told_of("runs whose summaries differ from their curves", wrong)
        return hashes
    kinds = {kind: curves.curves(*pair, kind) for kind in curves.kinds(*pair)}
    for kind, curve in kinds.items():
        if curve.shape != (rows.num_rows, max(lengths, default=0)) or curve.dtype != np.float32:
            yield f"{where}: the curves {kind} are {curve.shape} {curve.dtype}"
            return []
    digests, wrong, broken = [], [], []
    for place, row in enumerate(rows.to_pylist()):
        key = RunKey.of(row)
        own = {kind: curve[place, : lengths[place]] for kind, curve in kinds.items()}
        own = {kind: curve for kind, curve in own.items() if not np.isnan(curve).all()}
        digests.append(run_sha256(Run(key, row["status"], curves=own)))
        if row["status"] not in USABLE:
            continue
        if any(not np.isfinite(own[kind]).all() for kind in ("psnr", "psnr_smooth") if kind in own):
            broken.append(str(key))
        elif summaries_differ(row, own) or censoring_differs(row):
            wrong.append(str(key))
    yield from told_of("usable runs whose PSNR is not finite", broken)
    yield from told_of("runs whose summaries differ from their curves", wrong)
    return digests


def summaries_differ(row: Mapping[str, object], own: Mapping[str, np.ndarray]) -> bool:
    """Whether what a run's record says of its curves is not what they say.

    Args:
        row: the record; a summary that it lacks, as an older store's may, counts for nothing.
        own: the run's curves by kind.

    >>> psnr = np.float32([20.0, 22.0, 21.0])
    >>> summaries_differ({"best_psnr": 22.0, "best_psnr_iteration": 1}, {"psnr": psnr})
    False
    >>> summaries_differ({"best_psnr": 23.0}, {"psnr": psnr})
    True
    """
    return any(
        not _agrees(row, name, value, own) for name, value in summarise(own).items() if name in row
    )


def _agrees(
    row: Mapping[str, object], name: str, value: object, own: Mapping[str, np.ndarray]
) -> bool:
    held = row[name]
    if not isinstance(held, int | float):
        return False
    if name.endswith("_iteration"):
        # Of equal values any may be the published one.
        kind = name.removeprefix("best_").removesuffix("_iteration")
        curve = own[kind]
        return 0 <= held < len(curve) and bool(curve.max() - curve[int(held)] <= TOLERANCE_DB)
    if name == "spikes":
        return True  # counted from the loss before it was rounded to float32
    if name == "loss":
        return bool(np.isclose(float(held), float(own["loss"][-1]), rtol=1e-5, equal_nan=True))
    return abs(float(held) - float(value)) <= TOLERANCE_DB  # type: ignore[arg-type]


def _picture_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    path = file_of(folder, manifest, "images")
    images = read_images(path)
    lost = [name for name in manifest.images if name not in images]
    yield from told_of("images that are not in the images file", lost)
    for name, image in images.items():
        if manifest.images.get(name) != image.sha256:
            yield f"image {name} differs from the SHA-256 in benchmark.json"
    columns = ["image", "task", "observation_sha256"]
    table = pq.read_table(file_of(folder, manifest, "runs").absolute(), columns=columns)
    recorded: dict[Pair, set[str]] = {}
    for image, task, sha256 in zip(*table.to_pydict().values(), strict=True):
        if sha256 is not None:
            recorded.setdefault((image, task), set()).add(sha256)
    stored = StoredObservations(path)
    for pair, observation in stored.items():
        known = recorded.get(pair, {observation.sha256})
        if observation.sha256 not in known:
            yield f"{' '.join(pair)}: no run was trained on the observation that is stored"
        # Published runs of one pair were trained on several observations, one of which is kept.
        elif len(known) > 1 and not manifest.is_imported:
            yield f"{' '.join(pair)}: runs were trained on {len(known)} observations, not on one"
    if not manifest.is_imported:
        lost = [" ".join(pair) for pair in recorded if pair not in stored]
        yield from told_of("observations that are not in the images file", lost)


def _score_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    if "scores" not in manifest.files:
        return
    table = read_table(folder, manifest, "scores")
    lacking = [name for name in SCORES_SCHEMA.names if name not in table.column_names]
    if lacking:
        yield f"the scores lack the columns {', '.join(lacking)}"
        return
    if not manifest.is_imported:
        unknown = _strange(table["image"], manifest.images)
        yield from told_of("scores of unknown images", unknown)
        yield from told_of("scores of unknown tasks", _strange(table["task"], manifest.tasks))
    twice = table.num_rows - table.group_by(SCORE_KEYS).aggregate([]).num_rows
    if twice:
        yield f"{twice} scores are recorded twice"
    infinite = pc.sum(pc.invert(pc.is_finite(pc.drop_null(table["value"])))).as_py()
    if infinite:
        yield f"{infinite} scores are not finite"


def _output_problems(folder: Path, manifest: Manifest) -> Iterator[str]:
    if "outputs" in manifest.files:
        for key, output in read_outputs(file_of(folder, manifest, "outputs")):
            if not np.isfinite(output).all():
                yield f"the output of {key} is not finite"


def _strange(column: pa.ChunkedArray, known: object) -> list[str]:
    return [str(name) for name in pc.unique(column).to_pylist() if name not in known]  # type: ignore[operator]


def told_of(what: str, names: Sequence[str]) -> list[str]:
    """A line that says how many there are and which the first are; no line where there is none."""
    if not names:
        return []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{len(names)} {what}: {'; '.join(names[:SHOWN])}{more}"]
