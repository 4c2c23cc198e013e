"""Searching with real trainings, on the picture that is to be restored."""

from ...data import Image, Observation, Task, parse_task
from ...errors import MissingExtraError, QueryError
from ...evaluate.protocol import Protocol, get_protocol
from .interface import Cost, Objective, Outcome, Trial
from .signals import DEFAULT_SIGNAL, curve_of_signal, signal_of_curves


class LiveObjective(Objective):
    """Trains what is asked for, from fresh weights, and answers with the signal of its curves.

    Args:
        image: the truth, or None where only `observation` is known.
        task: what was done to the image.
        signal: `observed_loss`, `variance`, or, where the truth is known, `truth`.
        observation: what is trained on; drawn from the image where None.
        protocol: of the trainings.
        seed: of the trainings.
        device: what they run on.

    Raises:
        DipbenchError: an argument is unknown, the signal is not of one training, or it needs the
            truth and that is not given.
    """

    def __init__(
        self,
        image: Image | None,
        task: Task | str,
        signal: str = DEFAULT_SIGNAL,
        *,
        observation: Observation | None = None,
        protocol: str | Protocol = "isnas",
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        curve_of_signal(signal)
        if image is None and signal == "truth":
            raise QueryError("the signal truth needs the true image: give it, or another signal")
        self.label = "real trainings"
        self._image, self._task = image, parse_task(task)
        self._signal, self._observation = signal, observation
        self._protocol, self._seed, self._device = get_protocol(protocol), seed, device
        if signal != "truth" and self._protocol.stops_by_truth:
            # What the searcher sees must not end where only the truth can tell.
            self._protocol = self._protocol.replace(stop=None)

    def evaluate(self, trial: Trial) -> Outcome:
        """Train the model; a training that is asked to go further starts anew, and costs so.

        Raises:
            MissingExtraError: torch is not installed.
            KeyboardInterrupt: the training was interrupted.
        """
        try:
            from ...evaluate.fitting import fit
            from ...evaluate.memory import TooLittleMemoryError
        except ModuleNotFoundError as error:
            raise MissingExtraError("train", "searching with real trainings") from error
        try:
            result = fit(
                trial.model,
                self._image,
                self._task,
                trial.iterations,
                self._seed,
                self._protocol,
                self._device,
                observation=self._observation,
            )
        except TooLittleMemoryError:  # of this model, not of the search
            return Outcome(trial, None, Cost())
        if result.status == "interrupted":
            raise KeyboardInterrupt  # which ends the search too; a part of a training is none
        failed = result.status == "diverged"
        alpha = self._protocol.variance_alpha
        signal = None if failed else signal_of_curves(result.curves, self._signal, alpha)
        macs = None if result.macs is None else float(result.macs) * result.length
        cost = Cost(result.length, macs, result.seconds)
        return Outcome(trial, signal, cost)
