"""A protocol: all that defines a training besides model, image, task and seed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import inf
from typing import Any, Literal

from ..errors import ProtocolError, unknown
from ..scalars import is_count, is_integer, is_number

InputKind = Literal["uniform", "normal", "meshgrid", "drifting"]
Precision = Literal["float32", "bf16"]

CONSTANTS = {
    "initialisation": "PyTorch's defaults: weights and biases uniform within 1/sqrt(fan-in)",
    "batch_statistics": "always the batch's own, in every forward pass",
    "padding": "reflection, zero inside upsample blocks; sides padded to multiples of 32",
    "optimiser": "Adam, betas 0.9 and 0.999, epsilon 1e-8",
}
"""What every protocol shares; recorded with each benchmark so that its files stand alone.

Searches that are taken up compare it as text, so that it stays as it is. The multiple of 32 is that
of genotypes: a named network pads to its own (`models.side_multiple`: 1, 16, 32 or 64).
"""


def _require(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise ProtocolError(f"protocol setting {name} is {value!r}: expected {expected}")


def _require_numbers(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(is_number(value), name, value, "a number")


def _require_one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    _require(value in choices, name, value, "one of " + ", ".join(choices))


@dataclass(frozen=True)
class Iterations:
    """How many iterations a run takes, by the kind of its task."""

    denoising: int
    inpainting: int
    sr: int

    def __post_init__(self) -> None:
        for kind, count in asdict(self).items():
            if not is_count(count):
                raise ProtocolError(f"{kind} iterations are {count!r}: give a whole number from 1")
            object.__setattr__(self, kind, int(count))


@dataclass(frozen=True)
class StopRule:
    """End a run once an output lies `drop_db` under its best raw PSNR, from iteration `start` on.

    It needs the ground truth, as the published benchmark's rule did.
    """

    drop_db: float = 3.0
    start: int = 500

    def __post_init__(self) -> None:
        _require_numbers(self, "drop_db")
        _require(0 <= self.drop_db < inf, "drop_db", self.drop_db, "0 or more, finite")
        whole = is_integer(self.start) and self.start >= 0
        _require(whole, "start", self.start, "a whole number from 0")


@dataclass(frozen=True)
class VarianceStop:
    """End a run once the lowest moving variance has lasted `patience` iterations.

    It needs no ground truth (Wang et al., "Early Stopping for Deep Image Prior", 2021); the output
    `lowest_variance` of the run is then the one to keep. See `stopping` for the warm-up.
    """

    patience: int = 1000

    def __post_init__(self) -> None:
        _require(is_count(self.patience), "patience", self.patience, "a whole number from 1")


@dataclass(frozen=True)
class DiscrepancyStop:
    """End a run once its outputs differ from the observation by no more than the noise does.

    It needs no ground truth, and an observation of which the noise is known: see
    `stopping.discrepancy_stop`, and there for `alpha`.
    """

    alpha: float = 0.1

    def __post_init__(self) -> None:
        _require_numbers(self, "alpha")
        _require(0 < self.alpha <= 1, "alpha", self.alpha, "in (0, 1]")


@dataclass(frozen=True)
class PeakStop:
    """End a run once its highest smoothed PSNR has lasted `peak_patience` iterations.

    It needs the ground truth. What a run reaches at best is known without what follows, which is
    half of the iterations of a protocol that is long enough for every model.
    """

    peak_patience: int

    def __post_init__(self) -> None:
        whole = is_count(self.peak_patience)
        _require(whole, "peak_patience", self.peak_patience, "a whole number from 1")


Rule = StopRule | VarianceStop | DiscrepancyStop | PeakStop
"""What may end a run early."""

OF_THE_TRUTH = (StopRule, PeakStop)
"""The rules that need the ground truth, so that they belong to a benchmark, not to a method."""


_NUMBERS = (
    *("input_scale", "input_noise", "input_noise_decay", "learning_rate"),
    *("variance_alpha", "weight_noise"),
)
"""Settings of a protocol that are numbers."""


@dataclass(frozen=True)
class Protocol:
    """The settings of a training; one per benchmark, recorded whole.

    Attributes:
        name: the protocol's name; a changed one is named by its maker.
        iterations: iterations by the kind of task.
        size: side in pixels of the square that is cut out of every image and resized; None keeps
            images as they are.
        input_kind: the network input z: `uniform` on [0, 1), `normal`, a `meshgrid` of the two
            coordinates in [0, 1], or `drifting` (normal, and walking by `input_noise` each step).
        input_channels: channels of z; None takes the image's own number, or a meshgrid's two.
        input_scale: factor on z.
        input_noise: standard deviation of the normal noise added to z afresh in each iteration.
        input_noise_decay: factor on `input_noise` from one iteration to the next.
        learning_rate: of Adam.
        loss_reduction: of the squared error over the observation's values.
        ema: weights of the moving averages of the output; the first is `psnr_smooth`.
        variance_alpha: weight of a new output in the moving variance.
        stop: the rule that ends a run early, or None.
        backtracking_db: restore the weights of 100 iterations before when the observed PSNR has
            fallen by more than this since; None never does.
        weight_noise: relative deviation of the noise added to each convolution weight in each
            iteration.
        precision: of the network's arithmetic; master weights, loss and curves are float32.
        threads: CPU threads of a run; the bits of a result depend on it.

    >>> get_protocol("isnas").iterations.denoising
    4000
    >>> get_protocol("quick").replace(ema=(0.9, 0.99)).ema
    (0.9, 0.99)
    """

    name: str
    iterations: Iterations
    size: int | None = None
    input_kind: InputKind = "uniform"
    input_channels: int | None = None
    input_scale: float = 0.1
    input_noise: float = 1 / 30
    input_noise_decay: float = 1.0
    learning_rate: float = 0.01
    loss_reduction: Literal["mean", "sum"] = "mean"
    ema: tuple[float, ...] = (0.99,)
    variance_alpha: float = 0.1
    stop: Rule | None = None
    backtracking_db: float | None = None
    weight_noise: float = 0.0
    precision: Precision = "float32"
    threads: int = 1

    def __post_init__(self) -> None:
        _require(isinstance(self.name, str), "name", self.name, "a text")
        told = "Iterations, such as Iterations(4000, 4000, 4000)"
        _require(isinstance(self.iterations, Iterations), "iterations", self.iterations, told)
        a_rule = self.stop is None or isinstance(self.stop, Rule)
        _require(a_rule, "stop", self.stop, "a rule, such as VarianceStop(), or None")
        _require_numbers(self, *_NUMBERS)
        pixels = self.size is None or (is_integer(self.size) and self.size >= 64)
        _require(pixels, "size", self.size, "a whole number of at least 64 pixels, or None")
        if self.size is not None:
            object.__setattr__(self, "size", int(self.size))
        _require_one_of(
            "input_kind", self.input_kind, ("uniform", "normal", "meshgrid", "drifting")
        )
        _require(
            self.input_channels is None or is_count(self.input_channels),
            "input_channels",
            self.input_channels,
            "a whole number from 1, or None",
        )
        _require(
            self.input_kind != "meshgrid" or self.input_channels in (None, 2),
            "input_channels",
            self.input_channels,
            "2, for a meshgrid has two coordinates",
        )
        _require_one_of("precision", self.precision, ("float32", "bf16"))
        _require_one_of("loss_reduction", self.loss_reduction, ("mean", "sum"))
        rate, scale = self.learning_rate, self.input_scale
        _require(0 < rate < inf, "learning_rate", rate, "above 0, finite")
        _require(0 < scale < inf, "input_scale", scale, "above 0, finite")
        _require(0 <= self.input_noise < inf, "input_noise", self.input_noise, "0 or more, finite")
        _require(
            0 < self.input_noise_decay <= 1,
            "input_noise_decay",
            self.input_noise_decay,
            "in (0, 1]",
        )
        _require(
            isinstance(self.ema, (tuple, list))
            and all(map(is_number, self.ema))
            and len({f"{weight:g}" for weight in self.ema}) == len(self.ema) > 0
            and all(0 < weight < 1 for weight in self.ema),
            "ema",
            self.ema,
            "a list of weights between 0 and 1",
        )
        object.__setattr__(self, "ema", tuple(self.ema))
        _require(
            0 <= self.weight_noise < inf, "weight_noise", self.weight_noise, "0 or more, finite"
        )
        _require(
            self.backtracking_db is None
            or (is_number(self.backtracking_db) and self.backtracking_db > 0),
            "backtracking_db",
            self.backtracking_db,
            "above 0, or None",
        )
        _require(0 < self.variance_alpha < 1, "variance_alpha", self.variance_alpha, "in (0, 1)")
        whole = is_count(self.threads)
        _require(whole, "threads", self.threads, "a whole number of at least 1")
        object.__setattr__(self, "threads", int(self.threads))

    def replace(self, **changes: Any) -> "Protocol":
        """The same protocol with some settings changed.

        Raises:
            ProtocolError: one is no setting, or unusable.
        """
        known = [item.name for item in fields(self)]
        for name in changes:
            if name not in known:
                raise ProtocolError(unknown("protocol setting", name, known, limit=30))
        return replace(self, **changes)

    def iterations_for(self, kind: str) -> int:
        """Iterations of a run on a task of that kind (`denoising`, `inpainting` or `sr`)."""
        return int(getattr(self.iterations, kind))

    def planned_length(self, kind: str, status: str, length: int) -> int:
        """Iterations that a run of `length` would have without a rule that needs the truth.

        What does without the truth would not have ended there, so that it cannot be judged by the
        last output of such a run.

        >>> mini = get_protocol("mini64")
        >>> mini.planned_length("denoising", "stopped", 700)
        4000
        >>> mini.replace(stop=VarianceStop()).planned_length("denoising", "stopped", 700)
        700
        """
        cut = status == "stopped" and self.stops_by_truth
        return self.iterations_for(kind) if cut else length

    @property
    def stops_by_truth(self) -> bool:
        """Whether its stop rule needs the ground truth.

        >>> get_protocol("mini64").stops_by_truth, get_protocol("quick").stops_by_truth
        (True, False)
        """
        return isinstance(self.stop, OF_THE_TRUTH)

    def input_channels_for(self, image_channels: int) -> int:
        """Channels of the network input for an image of so many channels.

        >>> get_protocol("isnas").input_channels_for(3)
        3
        """
        own = 2 if self.input_kind == "meshgrid" else image_channels
        return self.input_channels or own

    def with_iterations(self, count: int) -> "Protocol":
        """The same protocol with `count` iterations for every kind of task."""
        return self.replace(iterations=Iterations(count, count, count))

    @property
    def smooth_kinds(self) -> tuple[str, ...]:
        """The names of the smoothed PSNR curves, in the order of `ema`.

        >>> get_protocol("mini64").smooth_kinds
        ('psnr_smooth', 'psnr_smooth_0.9', 'psnr_smooth_0.99')
        """
        return ("psnr_smooth", *(f"psnr_smooth_{weight:g}" for weight in self.ema[1:]))

    def to_record(self) -> dict[str, Any]:
        """Plain values for a file: every setting and the constants behind them."""
        return {**asdict(self), "ema": list(self.ema), "constants": dict(CONSTANTS)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Protocol":
        """The protocol that a file recorded; fields of newer versions are left aside.

        >>> Protocol.from_record(get_protocol("isnas").to_record()) == get_protocol("isnas")
        True

        Raises:
            ProtocolError: if a setting is missing or unusable.
        """
        known = {item.name for item in fields(cls)}
        missing = sorted(known - record.keys())
        if missing:
            raise ProtocolError(f"a recorded protocol lacks {', '.join(missing)}")
        values = {key: record[key] for key in known}
        try:
            values["iterations"] = Iterations(**values["iterations"])
            values["ema"] = tuple(values["ema"])
            values["stop"] = _stop_from(values["stop"])
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a recorded protocol is unusable ({error})") from error


_OWN_SETTING: dict[type[Rule], str] = {
    DiscrepancyStop: "alpha",
    VarianceStop: "patience",
    PeakStop: "peak_patience",
}
"""By which setting a recorded rule is told; a record of none of them is a `StopRule`."""


def _stop_from(record: Mapping[str, Any] | None) -> Rule | None:
    if not record:
        return None
    for rule, own in _OWN_SETTING.items():
        if own in record:
            return rule(**record)
    return StopRule(**record)


PROTOCOLS: dict[str, Protocol] = {
    "isnas": Protocol(name="isnas", iterations=Iterations(4000, 9500, 4500), stop=StopRule()),
    "quick": Protocol(name="quick", iterations=Iterations(300, 300, 300), size=64, ema=(0.95,)),
    "mini64": Protocol(
        name="mini64",
        iterations=Iterations(4000, 4000, 4000),
        size=64,
        ema=(0.95, 0.9, 0.99),
        stop=PeakStop(250),
    ),
}
"""The named protocols: the published one, a quick look, and the shipped benchmark's."""


def get_protocol(protocol: str | Protocol) -> Protocol:
    """The protocol of that name; a `Protocol` is returned as it is.

    Raises:
        ProtocolError: if no protocol has that name.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        raise ProtocolError(unknown("protocol", protocol, PROTOCOLS))
    return PROTOCOLS[protocol]
