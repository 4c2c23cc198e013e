"""Searching a benchmark: what a training would have shown, replayed from its record."""

from collections.abc import Mapping
from copy import copy
from functools import cached_property

import numpy as np
import pandas as pd

from ...benchmark import Benchmark
from ...benchmark.question import By
from ...benchmark.schema import USABLE
from ...errors import QueryError
from ...evaluate.protocol import DiscrepancyStop
from ...evaluate.registry import canonical
from ...scalars import is_integer
from ..cells import read_cell
from ..directions import declared_sign
from ..worth import STOP, on_shared_seeds
from .interface import Cost, Objective, Outcome, Trial
from .signals import (
    DEFAULT_SIGNAL,
    UNTIL_NOISE,
    check_signal,
    curve_of_signal,
    decibels,
    signal_of_curves,
)

Facts = Mapping[str, float | None]
"""Mean length (iterations), MACs of one forward pass and seconds of a model's runs; the length of
the shortest that a rule stopped (`cut_at`), and of the shortest that neither the truth nor a
discrepancy ended (`whole`)."""


class TableObjective(Objective):
    """Answers from a benchmark's runs; nothing that was not trained is made up.

    The cost of a trial is that of the runs its signal reads: one run of this image, or, for
    `other_images`, one of every other image. A longer training of the same model goes on from the
    shorter one, and a repeated one costs nothing. With the signals `discrepancy` and
    `discrepancy_variance` a training ends, and is paid, where the criterion stops it: the later it
    comes there, or the more its output still varies there, the better. A run that ended before the
    criterion would stop it has no such signal, and is paid whole.

    Args:
        bench: a benchmark.
        image: the image that is searched for.
        task: a task or its text form.
        signal: one of `SIGNALS`; `observed_loss` and `variance` are of the mean curve over seeds.
        by: what `truth` and `other_images` show, see `Benchmark.best`; of a short training what
            `Benchmark.query` answers for `budget_iterations`.
        seed: of the recorded trainings; the mean over seeds where None.

    Raises:
        QueryError: an unknown name, or a signal that this benchmark does not tell.
    """

    def __init__(
        self,
        bench: Benchmark,
        image: str,
        task: str,
        signal: str = DEFAULT_SIGNAL,
        *,
        by: By = "best_psnr_smooth",
        seed: int | None = None,
    ) -> None:
        check_judged_by(by)
        best = bench.best(image, task, by=by, seed=seed)
        self.label = f"table {bench.manifest.name}, {best.image}, {best.task}, signal {signal}"
        self._bench, self._signal, self._by = bench, check_signal(signal), by
        self.image, self.task, self._seed = best.image, best.task, seed
        self._paid: dict[tuple[str, str], int] = {}
        self._scores: dict[str, dict[str, float]] = {}
        others = tuple(
            name for name, text in bench.pairs if text == self.task and name != self.image
        )
        if signal == "other_images" and not others:
            raise QueryError(
                f"{bench.manifest.name} has no other image of {self.task} than {self.image}"
            )
        if signal in UNTIL_NOISE and not self._stops:
            raise QueryError(
                f"{bench.manifest.name} does not tell where the discrepancy ends trainings of "
                f"{self.image} {self.task}: it takes denoising-SIGMA and runs that come as near to "
                "the picture as its noise is; choose another signal"
            )
        if signal == "discrepancy_variance" and not self._has_variance:
            raise QueryError(
                f"{bench.manifest.name} has no variance of the outputs of {self.image} "
                f"{self.task}: choose the signal discrepancy"
            )
        self._others = others
        self._read = others if signal == "other_images" else (self.image,)

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Those with a usable run on this image and on all that the signal reads, in order.

        Left out are those whose runs there ended before the iteration that they are judged by.
        """
        here = self._facts[self.image]
        judged = [self._judged(image) for image in {self.image, *self._read}]
        return tuple(
            model
            for model in self._bench.models
            if model in here and self._rows_of(model) is not None
            if all(model in own for own in judged)
        )

    def _judged(self, image: str) -> set[str]:
        answers = self._bench.query_many(None, image, self.task, self._by, self._seed)
        return set(answers["model"][answers["n"] > 0])

    @property
    def genotypes(self) -> tuple[str, ...]:
        """Those of the models that are genotypes, not named networks."""
        return tuple(model for model in self.models if "/" in model)

    def scores(self, name: str) -> dict[str, float]:
        """A training-free score of the models that have it, signed so that lower is better.

        Raises:
            QueryError: no model has it, or no direction is declared for it.
        """
        if name not in self._scores:
            self._scores[name] = self._read_scores(name)
        return dict(self._scores[name])

    def _read_scores(self, name: str) -> dict[str, float]:
        cell = read_cell(self._bench, self.image, self.task, judged=False)
        values = dict(zip(cell.models, cell.score(name).tolist(), strict=True))
        held = {model: values[model] for model in self.models if np.isfinite(values[model])}
        if not held:
            raise QueryError(f"no model has the score {name} of {self.image} {self.task}")
        sign = -declared_sign(canonical(name))
        return {model: sign * value for model, value in held.items()}

    @cached_property
    def iterations(self) -> int:
        """The longest training of this image."""
        return max(int(facts["length"] or 0) for facts in self._facts[self.image].values())

    @property
    def cut_by_truth(self) -> bool:
        """Whether a rule that needs the truth has ended trainings of this image."""
        stopped = any(run["cut_at"] is not None for run in self._facts[self.image].values())
        return stopped and self._bench.protocol.stops_by_truth

    @property
    def refusal(self) -> str:
        """Why its signal is not known of whole trainings that such a rule has ended."""
        others = ("other_images",) if self._others else ()
        serving = " or ".join([*self.until_noise, *others, "truth"])
        return (
            f"the signal {self._signal} is of whole trainings, and those of "
            f"{self._bench.manifest.name} end where a rule that knows the truth stopped them: "
            f"choose the signal {serving}"
        )

    def fresh(self) -> "TableObjective":
        """The same objective with nothing paid for yet; what was read of the runs is shared."""
        _ = self.models
        again = copy(self)
        again._paid = {}
        return again

    def evaluate(self, trial: Trial) -> Outcome:
        """Look a training up, as far as it was asked to go.

        Raises:
            QueryError: the benchmark has no usable run of the model.
        """
        facts = self._rows_of(trial.model)
        if facts is None:
            raise QueryError(f"{trial.model} has no usable run on {', '.join(self._read)}")
        if self._signal in UNTIL_NOISE:
            return self._until_stopped(trial, facts[self.image])
        cost = Cost()
        for image, run in facts.items():
            cost = cost + self._pay(trial, image, run)
        signals = [self._signal_of(trial, image) for image in self._read]
        known = [signal for signal in signals if signal is not None]
        complete = len(known) == len(signals)
        return Outcome(trial, float(np.mean(known)) if complete else None, cost)

    def _until_stopped(self, trial: Trial, run: Facts) -> Outcome:
        """A training that ends where the discrepancy stops it, if it comes so far."""
        ends, asked = self._stops.get(trial.model), trial.iterations
        if ends is None and (asked is None or asked > _known_to(run)):
            return Outcome(trial, None, self._pay(trial, self.image, run))
        reached = min(known for known in (ends, asked) if known is not None)
        cost = self._pay(Trial(trial.model, reached), self.image, run)
        if self._signal == "discrepancy":
            return Outcome(trial, float(reached), cost)
        variance = self._curve(Trial(trial.model, reached), self.image, "variance")
        return Outcome(trial, decibels(float(variance[-1])) if len(variance) else None, cost)

    @property
    def until_noise(self) -> tuple[str, ...]:
        """Those of `UNTIL_NOISE` that this benchmark tells."""
        if not self._stops:
            return ()
        return UNTIL_NOISE if self._has_variance else ("discrepancy",)

    @cached_property
    def _has_variance(self) -> bool:
        model = next(iter(self._stops))
        try:
            self._bench.curve(model, self.image, self.task, kind="variance", seed=self._seed)
        except QueryError:  # such as a published benchmark
            return False
        return True

    @cached_property
    def _stops(self) -> dict[str, int]:
        """How many iterations until the discrepancy stops a model, where its runs came so far."""
        try:
            found = self._bench.query_many(
                None, self.image, self.task, seed=self._seed, stopping="discrepancy"
            ).dropna(subset=["iteration"])
        except QueryError:  # of no run at all
            return {}
        # Of a model that some run of ended before, the others alone would be too good.
        whole = self._bench.query_many(None, self.image, self.task, seed=self._seed)
        found = found[found["n"].to_numpy() == whole["n"].reindex(found.index).to_numpy()]
        stops = dict(zip(found["model"], (found["iteration"] + 1).tolist(), strict=True))
        here = self._facts[self.image]
        # Where the criterion never stops a run, a query answers its last iteration.
        return {model: at for model, at in stops.items() if at != here[model]["whole"]}

    def _signal_of(self, trial: Trial, image: str) -> float | None:
        if self._signal in ("truth", "other_images"):
            return self._psnr(trial, image)
        kind = curve_of_signal(self._signal)
        at = self._bench.curve_iterations(trial.model, image, self.task, seed=self._seed)
        if kind == "variance" and len(at) and at[-1] >= len(at):
            raise QueryError(
                f"the signal variance replays a stopping criterion on every iteration, of which "
                f"{self._bench.manifest.name} keeps some: choose another, or take a benchmark "
                "with full curves"
            )
        if self._cut(trial, image):
            raise QueryError(self.refusal)
        curves, alpha = {kind: self._curve(trial, image, kind)}, self._bench.protocol.variance_alpha
        return signal_of_curves(curves, self._signal, alpha)

    def _curve(self, trial: Trial, image: str, kind: str) -> np.ndarray:
        """As far as the training has come; empty before the first iteration that is kept."""
        names = trial.model, image, self.task
        curve = self._bench.curve(*names, kind=kind, seed=self._seed)
        if trial.iterations is None:
            return curve
        at = self._bench.curve_iterations(*names, seed=self._seed)
        return curve[: at.searchsorted(trial.iterations)]

    def _psnr(self, trial: Trial, image: str) -> float | None:
        """What the benchmark answers of a training that has come so far, dB."""
        by, names = self._by, (trial.model, image, self.task)
        if trial.iterations is None:
            return self._bench.query(*names, by, self._seed).psnr
        if not self._bench.curve_iterations(*names, seed=self._seed).searchsorted(trial.iterations):
            return None  # before the first iteration that a compact benchmark keeps
        if is_integer(by) and int(by) >= trial.iterations:
            by = "final_psnr_smooth"  # of the way to that iteration
        return self._bench.query(*names, by, self._seed, budget_iterations=trial.iterations).psnr

    def _cut(self, trial: Trial, image: str) -> bool:
        """Whether a rule that needs the truth ended the trainings before they came so far."""
        cut_at = self._facts[image][trial.model]["cut_at"]
        if cut_at is None or not self._bench.protocol.stops_by_truth:
            return False
        return trial.iterations is None or trial.iterations > cut_at

    def _pay(self, trial: Trial, image: str, run: Facts) -> Cost:
        """What is left to pay for one training; seconds in proportion to the iterations."""
        length = int(run["length"] or 0)
        wanted = length if trial.iterations is None else min(trial.iterations, length)
        before = self._paid.get((trial.model, image), 0)
        self._paid[trial.model, image] = max(before, wanted)
        paid = max(0, wanted - before)
        macs, seconds = run["macs"], run["seconds"]
        return Cost(
            paid,
            None if macs is None else macs * paid,
            None if seconds is None else seconds * paid / max(length, 1),
        )

    def _rows_of(self, model: str) -> dict[str, Facts] | None:
        """The facts of the model's runs by image, None where an image lacks a usable one."""
        found = {image: self._facts[image].get(model) for image in self._read}
        complete = {image: run for image, run in found.items() if run is not None}
        return complete if len(complete) == len(found) else None

    @cached_property
    def _facts(self) -> dict[str, dict[str, Facts]]:
        """By image and model, over the seeds that are asked for."""
        frame = self._bench.to_frame()
        frame = frame[frame["task"] == self.task]
        if self._seed is None:
            own = [on_shared_seeds(mine) for _, mine in frame.groupby("image", sort=False)]
            frame = pd.concat(own)
        else:
            frame = frame[frame["seed"] == self._seed]
        frame = frame[frame["status"].isin(USABLE)]
        columns = ["length", "macs", "seconds"]
        stopped, protocol = frame["status"] == "stopped", self._bench.protocol
        told = protocol.stops_by_truth or isinstance(protocol.stop, DiscrepancyStop)
        ends = {
            "cut_at": frame["length"].where(stopped),
            "whole": frame["length"].mask(stopped & told),
        }
        frame = frame.assign(**ends).astype(dict.fromkeys([*columns, *ends], float))
        facts = frame.groupby(["image", "model"]).agg(
            {**dict.fromkeys(columns, "mean"), **dict.fromkeys(ends, "min")}
        )
        found: dict[str, dict[str, Facts]] = {image: {} for image in self._bench.images}
        for (image, model), *values in facts.itertuples():
            known = [None if value != value else float(value) for value in values]
            found[image][model] = dict(zip(facts.columns, known, strict=True))
        return found


def check_judged_by(by: By) -> None:
    """Refuse what scores, but no searches, are judged by.

    Raises:
        QueryError: it is a stopping criterion.

    >>> check_judged_by("best_psnr")
    """
    if str(by).startswith(STOP):
        raise QueryError(
            f"a search is judged by a summary or an iteration, not by {by}: give another"
        )


def _known_to(run: Facts) -> float:
    """How long a training can be of which it is known that nothing stopped it."""
    cut_at, whole = run["cut_at"], run["whole"]
    return cut_at if cut_at is not None else (whole or 0) - 1


def default_signal(bench: Benchmark, image: str, task: str, seed: int | None = None) -> str:
    """The signal of searches that ask for none.

    `observed_loss`, which anyone can have without a truth; where a rule that knows the truth has
    ended trainings, so that it is not known of whole ones, `discrepancy_variance`, or `discrepancy`
    where no variance was recorded.

    Args:
        bench: a benchmark.
        image: the image that is searched for.
        task: a task or its text form.
        seed: of the recorded trainings; those that all models share where None.

    Raises:
        QueryError: neither is known there.

    >>> import dipbench
    >>> default_signal(dipbench.load("pilot"), "camera", "denoising")
    'observed_loss'
    """
    table = TableObjective(bench, image, task, DEFAULT_SIGNAL, seed=seed)
    if not table.cut_by_truth:
        return DEFAULT_SIGNAL
    if not table.until_noise:
        raise QueryError(table.refusal)
    return table.until_noise[0]
