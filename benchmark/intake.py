"""Taking in the files of a published tree, one after the other and in any order."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.archives import Member
from ..data.legacy import LegacyRun, Place, is_sidecar, locate, read_run
from ..data.legacyfiles import LegacyScores, read_array, read_number, read_picture, read_scores
from ..data.refusal import RefusedError
from ..errors import DipbenchError
from ..genotypes import Genotype
from .parts import Made, write_part
from .schema import Pair, Run, RunKey
from .staging import Staging
from .verifying import summaries_differ

HASHES = ("observation_sha256", "input_sha256")
"""The facts of a run that files beside its own tell, which may come with a later import."""

IMPORTED: Made = {"imported": True}
"""What a part of published runs says of them."""

RUNS_PER_PART = 16
OUTPUT_BYTES_PER_PART = 8 * 2**20
"""A part is written once it has so many runs, or outputs of so many bytes."""

MAX_LISTED = 10_000
"""Problems of a kind that are listed; more are counted."""

MAX_SCORE_ROWS = 100_000
"""Rows of tables that are read; the published tables have about 10,000."""


@dataclass(frozen=True)
class Problem:
    """A file that was not imported, and why."""

    name: str
    reason: str


@dataclass
class Problems:
    """The problems of one kind: the first ones by name, and how many there are."""

    listed: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, name: str, reason: str) -> None:
        """Note a problem."""
        self.count += 1
        if len(self.listed) < MAX_LISTED:
            self.listed.append(Problem(name, reason))


class Intake:
    """What has been taken in so far; runs go to the disk in parts, pictures to the staging.

    Args:
        folder: Of the parts.
        staging: Of the pictures.
        outputs: Whether the smoothed outputs are kept.
        committed: Runs that the benchmark holds already, and their `HASHES`.
        written: Runs that an earlier import left in parts.
        stored: Images with tasks of which the benchmark holds an observation.
    """

    def __init__(
        self,
        folder: Path,
        staging: Staging,
        outputs: bool,
        committed: Mapping[RunKey, Mapping[str, str | None]],
        written: set[RunKey],
        stored: Set[Pair],
    ) -> None:
        self._folder, self._staging, self.keeps_outputs = folder, staging, outputs
        self._committed, self._written, self._stored = committed, written, stored
        self._batch: list[Run] = []
        self._digests: dict[RunKey, str] = {}
        self.taken = 0
        """Files of a published tree."""
        self.imported = 0
        self.already = 0
        self.refused = Problems()
        self.not_understood = Problems()
        self.duplicates = Problems()
        self.contradictory = Problems()
        """Runs that were published with a best PSNR that their curve does not have."""
        self.observed: dict[RunKey, str] = {}
        """By run, the hash of what it was trained on."""
        self.inputs: dict[RunKey, str] = {}
        """By run, the hash of its network input."""
        self.tables: dict[RunKey, LegacyScores] = {}
        """By run, its row of a table of similarity scores."""
        self.lowpass: dict[str, LegacyScores] = {}
        """By model, its row of low-pass scores, which no image enters."""

    def take(self, member: Member) -> None:
        """Take in a file, or note why not."""
        if is_sidecar(member.name):
            return
        place = locate(member.name)
        if place is None:
            self.not_understood.add(member.name, "is no file of a published tree")
            return
        self.taken += 1
        try:
            _TAKERS[place.role](self, place, member)
        except DipbenchError as error:
            self.refused.add(member.name, str(error))

    def flush(self) -> None:
        """Write the runs that are still in memory."""
        if self._batch:
            write_part(self._folder, self._batch, IMPORTED)
            self._batch = []

    def _run(self, place: Place, member: Member) -> None:
        key = _key(place, place.model)
        if key in self._committed or key in self._written:
            self.already += 1
            return
        run = read_run(member.read())
        digest = _digest(run)
        if key in self._digests:
            if digest != self._digests[key]:
                raise RefusedError(f"is another run of {key} with other curves; the first is kept")
            self.duplicates.add(member.name, f"is the run of {key} once more")
            return
        self._digests[key] = digest
        if summaries_differ(run.best, run.curves):
            self.contradictory.add(member.name, "has another best PSNR than its curve")
        output = run.output.astype(np.float16) if self.keeps_outputs else None
        status = "stopped" if run.stopped else "finished"
        self._batch.append(Run(key, status, run.stopped, run.curves, run.best, output))
        self.imported += 1
        held = sum(run.output.nbytes for run in self._batch if run.output is not None)
        if len(self._batch) >= RUNS_PER_PART or held >= OUTPUT_BYTES_PER_PART:
            self.flush()

    def _observation(self, place: Place, member: Member) -> None:
        key = _key(place, place.model)
        pair = key.pair
        if self._lacks(key, "observation_sha256") or pair not in self._stored:
            self.observed[key] = self._staging.add_observed(pair, read_array(member.read()))

    def _input(self, place: Place, member: Member) -> None:
        key = _key(place, place.model)
        if self._lacks(key, "input_sha256"):
            values = np.ascontiguousarray(read_array(member.read()), "<f4")
            self.inputs[key] = hashlib.sha256(values.tobytes()).hexdigest()

    def _lacks(self, key: RunKey, name: str) -> bool:
        return self._committed.get(key, {}).get(name) is None

    def _observed_psnr(self, place: Place, member: Member) -> None:
        read_number(member.read())  # follows from observation and truth, so only its form counts

    def _scores(self, place: Place, member: Member) -> None:
        _keep_first(self.tables, [(_key(place, row.model), row) for row in self._table(member)])

    def _lowpass(self, place: Place, member: Member) -> None:
        _keep_first(self.lowpass, [(_model(row.model), row) for row in self._table(member)])

    def _table(self, member: Member) -> list[LegacyScores]:
        rows = read_scores(member.read())
        if len(rows) + len(self.tables) + len(self.lowpass) > MAX_SCORE_ROWS:
            raise RefusedError(f"brings the tables beyond {MAX_SCORE_ROWS} rows")
        infinite = sum(row.infinite for row in rows)
        if infinite:
            self.refused.add(member.name, f"has {infinite} infinite values, which are left out")
        return rows

    def _truth(self, place: Place, member: Member) -> None:
        name = _image(place)
        if not self._staging.add_image(name, read_picture(member.read())):
            raise RefusedError(f"differs from an earlier true picture {name}, which is kept")

    def _degradation(self, place: Place, member: Member) -> None:
        # The noise of other tasks is the difference of two pictures that are kept.
        if place.task is not None and place.task.startswith("inpainting"):
            mask = read_array(member.read())
            if not self._staging.add_mask((_image(place), place.task), mask):
                raise RefusedError("is no mask of 0 and 1, or differs from an earlier one")

    def _leave(self, place: Place, member: Member) -> None:
        """What the store has no place for; it is not even read."""


_TAKERS: dict[str, Callable[[Intake, Place, Member], None]] = {
    "run": Intake._run,
    "observation": Intake._observation,
    "input": Intake._input,
    "observed_psnr": Intake._observed_psnr,
    "scores": Intake._scores,
    "lowpass": Intake._lowpass,
    "truth": Intake._truth,
    "degradation": Intake._degradation,
    "random_output": Intake._leave,
    "noisy_picture": Intake._leave,
}


def _keep_first(held: dict[Any, LegacyScores], rows: Iterable[tuple[Any, LegacyScores]]) -> None:
    """Take in the rows of a table that has been read whole; earlier ones stay."""
    contradicted = 0
    for key, row in rows:
        first = held.setdefault(key, row)
        contradicted += not row.scores.items() <= first.scores.items()
    if contradicted:
        raise RefusedError(
            f"has other scores of {contradicted} models than earlier rows, which are kept"
        )


def _model(name: str | None) -> str:
    # Bare numbers would be read as indices of the 522, which no published name is.
    if name is None or "_" not in name:
        raise RefusedError(f"{name!r} is no published name of a model")
    return str(Genotype.parse(name))


def _image(place: Place) -> str:
    name = place.image or ""
    if not name.isprintable() or not name.strip(" .") or set(name) & set("\\,"):
        raise RefusedError(f"{name!r} is no name for an image")
    return name


def _key(place: Place, model: str | None) -> RunKey:
    return RunKey(_model(model), _image(place), place.task or "", None)


def _digest(run: LegacyRun) -> str:
    digest = hashlib.sha256()
    curves: Mapping[str, Any] = run.curves
    for kind in sorted(curves):
        digest.update(curves[kind].tobytes())
    return digest.hexdigest()
