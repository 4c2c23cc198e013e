"""Cutting a run where a stop rule would have ended it: for runs that were trained without one."""

from dataclasses import replace

import numpy as np

from ..evaluate.protocol import PeakStop
from ..evaluate.results import STOPPED
from ..evaluate.stopping import patience_stop
from .schema import CENSORED, Run, summarise


def cut(run: Run, rule: PeakStop) -> Run:
    """The run as `rule` would have ended it, which are the same bits up to there.

    Its seconds are those of the whole training by the share of its iterations.

    Args:
        run: finished or diverged, with its full curves.
        rule: that it was trained without.

    Returns:
        The run with status `stopped`, or as it is where the rule does not fire.

    >>> import numpy as np
    >>> from dipbench.benchmark.schema import RunKey
    >>> curve = np.array([10.0, 12.0, 11.0, 11.5, 13.0], np.float32)
    >>> whole = Run(RunKey("dip", "camera", "sr-4", 0), "finished", "", {"psnr_smooth": curve})
    >>> stopped = cut(whole, PeakStop(2))
    >>> stopped.status, stopped.columns()["best_psnr_smooth"], stopped.columns()["length"]
    ('stopped', 12.0, 4)
    """
    smooth = run.curves.get("psnr_smooth", np.empty(0))
    if run.status not in ("finished", "diverged") or len(smooth) <= rule.peak_patience:
        return run
    peak = patience_stop(-smooth, rule.peak_patience)
    if peak is None:
        return run
    last = peak + rule.peak_patience
    told = {*summarise(run.curves), CENSORED}
    facts = {name: value for name, value in run.facts.items() if name not in told}
    if facts.get("seconds") is not None:
        facts["seconds"] *= (last + 1) / len(smooth)
    return replace(
        run,
        status="stopped",
        reason=STOPPED.format(last),
        curves={kind: curve[: last + 1] for kind, curve in run.curves.items()},
        facts=facts,
    )
