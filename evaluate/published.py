"""Which settings a model was published with."""

from ..data import Task
from ..genotypes.named import NamedNetwork
from .models import Model, parse_model
from .protocol import PROTOCOLS, Iterations, Protocol


def published_protocol(model: Model, task: Task) -> Protocol:
    """The settings that a model was published with; else those of `isnas`, without its stop.

    Kinds of task for which a network's publication gives no number of iterations have those of
    `isnas`. The stop of `isnas` needs a ground truth, which a restoration does not have.

    Raises:
        GenotypeError: the model is unknown.

    >>> from dipbench.data import parse_task
    >>> from dipbench.evaluate.published import published_protocol
    >>> protocol = published_protocol("dip", parse_task("denoising-50"))
    >>> protocol.name, protocol.input_noise, protocol.iterations_for("denoising")
    ('dip-denoising-50', 0.05, 3000)
    """
    base = PROTOCOLS["isnas"].replace(stop=None)
    if callable(model):
        return base
    found = parse_model(model, str(task))
    if not isinstance(found, NamedNetwork):
        return base
    settings = found.published
    kinds = ("denoising", "inpainting", "sr")
    counts = [settings.iterations.get(kind, base.iterations_for(kind)) for kind in kinds]
    return base.replace(
        name=found.name,
        iterations=Iterations(*counts),
        learning_rate=settings.learning_rate,
        loss_reduction=settings.loss_reduction,
        input_kind=settings.input_kind,
        input_scale=settings.input_scale,
        input_noise=settings.input_noise,
        backtracking_db=settings.backtracking_db,
        weight_noise=settings.weight_noise,
        ema=(settings.ema,),
    )
