"""Cutting runs that were trained without a rule; `test_fitting` has what the rule itself does."""

import numpy as np

from dipbench.benchmark.cutting import cut
from dipbench.benchmark.schema import Run, RunKey
from dipbench.evaluate.protocol import PeakStop

KEY = RunKey("dip", "camera", "sr-4", 0)
SMOOTH = np.array([20, 23, 22, 21, 20, 25], np.float32)


def test_summaries_and_seconds_are_those_of_what_is_left() -> None:
    whole = Run(KEY, "finished", "", {"psnr_smooth": SMOOTH, "psnr": SMOOTH - 1})
    recorded = Run(KEY, "finished", "", whole.curves, {**whole.columns(), "seconds": 12.0})
    facts = dict(recorded.facts)
    for name in (*RunKey._fields, "status", "reason"):
        facts.pop(name)
    facts["peak_censored"] = True  # of the whole run
    row = cut(Run(KEY, "finished", "", whole.curves, facts), PeakStop(3)).columns()
    assert (row["status"], row["length"], row["seconds"]) == ("stopped", 5, 10.0)
    assert (row["best_psnr_smooth"], row["best_psnr"], row["final_psnr"]) == (23, 22, 19)
    assert row["reason"].endswith("at iteration 4")
    assert not row["peak_censored"]


def test_what_the_rule_would_not_have_ended_stays() -> None:
    for curves in ({"psnr_smooth": SMOOTH}, {"psnr_smooth": SMOOTH[:3]}, {}):
        run = Run(KEY, "finished", "", curves)
        assert cut(run, PeakStop(5)) is run
    failed = Run(KEY, "failed", "it broke")
    assert cut(failed, PeakStop(1)) is failed


def test_a_divergence_after_the_peak_has_lasted_would_not_have_been_one() -> None:
    diverged = Run(KEY, "diverged", "no number", {"psnr_smooth": SMOOTH[:5]})
    assert cut(diverged, PeakStop(3)).status == "stopped"
    assert cut(diverged, PeakStop(4)) is diverged
