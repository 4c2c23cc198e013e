"""Auditing a benchmark: random runs of it are made again and compared with what it says."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import DeviceError, StoreError
from ..evaluate.protocol import Protocol
from ..scalars import is_count
from ..seeds import generator
from .merging import Generation
from .pictures import read_images, read_observation
from .schema import USABLE, Run, RunKey, summarise
from .store import file_of, read_table
from .thinning import dataset_name, restored, thinned_curves, thinned_iterations
from .training import DIRTY, environment, make_run

DEVIATIONS = 3.0
SUMMARY = "best_psnr_smooth"
OTHER_SEED = 1_000_003
"""Added to a run's seed where the benchmark has one seed only and a second is needed."""

DECISIVE = ("dipbench", "torch", "numpy")
"""Versions that results depend on."""


@dataclass(frozen=True)
class Finding:
    """What became of one run when it was made again.

    Attributes:
        key: of the run, as text.
        stored: its highest smoothed PSNR in dB, as the benchmark says; None if it has none.
        made: the same of the new one; None if that failed.
        tolerance: dB by which they may differ; 0 where they must agree to the bit.
        parameters_agree: whether the parameter counts are the same.
        agrees: whether all of it agrees.
        reason: what does not, else empty.
    """

    key: str
    stored: float | None
    made: float | None
    tolerance: float
    parameters_agree: bool
    agrees: bool
    reason: str = ""

    def __str__(self) -> str:
        how = "to the bit" if self.tolerance == 0 else f"within {self.tolerance:.2f} dB"
        verdict = f"agrees {how}" if self.agrees else f"DISAGREES: {self.reason}"
        return f"{self.key}: {verdict}"


def audit_runs(
    folder: Path | str,
    sample: int,
    seed: int = 0,
    device: str = "auto",
    on_finding: Callable[[Finding], None] = lambda finding: None,
    on_training: Callable[[int, int], None] = lambda trained, of: None,
) -> list[Finding]:
    """Train random runs again and compare them with the benchmark's.

    Args:
        folder: a finished benchmark.
        sample: how many of its usable runs.
        seed: of the draw.
        device: to train on.
        on_finding: told of each.
        on_training: told after each training how many are done, and how many it takes: twice as
            many where runs may differ and the benchmark has one seed, for a second is needed.

    Raises:
        StoreError: if it holds no run that could be compared, or `sample` is no count.
        DeviceError: if the device is not there, or has too little memory for one of them.
    """
    folder = Path(folder)
    if not is_count(sample):
        raise StoreError(f"a sample of {sample!r} runs audits nothing: give a whole number from 1")
    generation = Generation(folder)
    keys = [key for key, status in generation.entries if status in USABLE]
    if not keys:
        raise StoreError(f"{folder} holds no usable run to audit")
    draw = generator("audit", seed).permutation(len(keys))[:sample]
    remake = _Remaking(folder, generation, device, len(draw), on_training)
    tolerance: float | None = None
    found = []
    for index in sorted(draw):
        stored, made = generation.run(keys[index]), remake(keys[index])
        exact = remake.on_cpu and _same_machine(generation, stored, made)
        if exact and not _same_code(stored, made):
            # Code that has changed since may round otherwise.
            exact = _same_bits(stored, _as_kept(made, generation.manifest.stride))
        if not exact and tolerance is None:
            drawn = [keys[place] for place in draw]
            tolerance = DEVIATIONS * (_stored_spread(folder, generation) or _spread(drawn, remake))
        allowed = 0.0 if exact or tolerance is None else tolerance
        finding = compare(stored, made, allowed, generation.manifest.stride)
        on_finding(finding)
        found.append(finding)
    return found


def compare(stored: Run, made: Run, tolerance: float, stride: int | None = None) -> Finding:
    """Compare a run with the one made again.

    Args:
        stored: the benchmark's.
        made: the new one, with full curves.
        tolerance: dB; 0 asks for the same bits, of a compact benchmark those that it keeps.
        stride: of a compact benchmark, see `thinning`; its rows tell what its curves cannot.
    """
    before, after = (summarise(run.curves).get(SUMMARY) for run in (stored, made))
    if stride is not None:
        before = stored.facts.get(SUMMARY)
    counts = [run.facts.get("parameters") for run in (stored, made)]
    parameters_agree = None in counts or counts[0] == counts[1]
    reasons = []
    if not parameters_agree:
        reasons.append(f"{counts[0]:,} parameters in the benchmark, {counts[1]:,} made")
    if before is None or after is None:
        reasons.append(f"no PSNR to compare (made again: {made.status} {made.reason})")
    elif made.status not in USABLE:
        reasons.append(f"made again it has {made.status}: {made.reason}")
    elif tolerance == 0 and not _same_bits(stored, _as_kept(made, stride)):
        reasons.append("the curves differ, though machine, versions and code are the same")
    elif abs(after - before) > tolerance:
        reasons.append(f"{after:.2f} dB made, {before:.2f} in it, {tolerance:.2f} tolerated")
    stated = stored.facts.get(SUMMARY)
    if stated is not None and before is not None and abs(stated - before) > 1e-4:
        reasons.append(f"its row says {stated:.2f} dB, its curve {before:.2f}")
    return Finding(
        str(stored.key),
        before,
        after,
        tolerance,
        parameters_agree,
        not reasons,
        "; ".join(reasons),
    )


class _Remaking:
    """Makes runs of a benchmark again, on its own pictures; each once."""

    def __init__(
        self,
        folder: Path,
        generation: Generation,
        device: str,
        trainings: int,
        on_training: Callable[[int, int], None],
    ) -> None:
        self._pictures = file_of(folder, generation.manifest, "images")
        self._images = read_images(self._pictures)
        self._protocol = Protocol.from_record(generation.manifest.protocol)
        self._device = device
        self._made: dict[RunKey, Run] = {}
        self._on_training = on_training
        self.trainings = trainings

    @cached_property
    def on_cpu(self) -> bool:
        from ..evaluate.devices import resolve_device

        return resolve_device(self._device).type == "cpu"

    def __call__(self, key: RunKey) -> Run:
        if key not in self._made:
            self._made[key] = self._make(key)
            self._on_training(len(self._made), self.trainings)
        return self._made[key]

    def _make(self, key: RunKey) -> Run:
        observation = read_observation(self._pictures, key.pair)
        image = self._images.get(key.image)
        try:
            return make_run(key, image, observation, self._protocol, self._device)
        except MemoryError as error:
            raise DeviceError(str(error)) from error


def _same_code(stored: Run, made: Run) -> bool:
    """Whether both were made of one commit; two checkouts with changes may differ in those."""
    first, second = (run.facts.get("commit") for run in (stored, made))
    return first == second and not str(first).endswith(DIRTY)


def _same_machine(generation: Generation, stored: Run, made: Run) -> bool:
    here, there = environment(), generation.manifest.environment
    return (
        stored.key.seed is not None
        and stored.facts.get("device") == made.facts.get("device")
        and all(here.get(name) == there.get(name) for name in DECISIVE)
    )


def _stored_spread(folder: Path, generation: Generation) -> float | None:
    """Deviation of the difference of two seeds of one model, image and task, in dB.

    None where no two usable runs differ by their seeds alone.
    """
    rows = read_table(folder, generation.manifest, "runs")
    by_cell: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in rows.select([*RunKey._fields, "status", SUMMARY]).to_pylist():
        if row["status"] in USABLE and row[SUMMARY] is not None:
            by_cell[row["model"], row["image"], row["task"]].append(row[SUMMARY])
    repeated = [np.array(values) for values in by_cell.values() if len(values) > 1]
    if not repeated:
        return None
    squares = sum(float(np.square(values - values.mean()).sum()) for values in repeated)
    variance = squares / sum(len(values) - 1 for values in repeated)
    return float(np.sqrt(2 * variance))


def _spread(keys: Sequence[RunKey], remake: "_Remaking") -> float:
    """The same from runs made with two seeds now."""
    differences: list[float] = []
    remake.trainings += len(keys)
    for key in keys:
        pair = [remake(key), remake(key._replace(seed=(key.seed or 0) + OTHER_SEED))]
        one, other = (summarise(run.curves).get(SUMMARY) for run in pair)
        if one is not None and other is not None:
            differences.append(other - one)
    if not differences:
        raise StoreError("none of the runs drawn could be made again: no tolerance is known")
    return float(np.sqrt(np.mean(np.square(differences))))


def _as_kept(run: Run, stride: int | None) -> Run:
    """The run as the benchmark would give it: thinned where it is compact."""
    if stride is None:
        return run
    kept = thinned_iterations(max(map(len, run.curves.values()), default=0), stride)
    stored = thinned_curves(run, kept)
    kinds = (kind for kind in run.curves if dataset_name(kind) in stored)
    return replace(run, curves={kind: restored(kind, stored[dataset_name(kind)]) for kind in kinds})


def _same_bits(one: Run, other: Run) -> bool:
    return one.curves.keys() == other.curves.keys() and all(
        np.array_equal(one.curves[kind], other.curves[kind], equal_nan=True) for kind in one.curves
    )
