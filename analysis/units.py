"""What the columns of the frames of `analysis` mean, kept in one place and put in `.attrs`."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

RAW = "raw, in [-1, 1]; for a score of which lower is better, negative is good"
DIRECTED = "in [-1, 1]; signed by the declared direction: positive = works as declared"
WITHIN = "Kendall's tau-b over the pairs of models of one primitive (kind of upsampling)"
P_VALUE = "two-sided p-value"

UNITS = {
    "n": "models with all the values that are compared",
    "missing": "models that lack the score or the PSNR",
    "missing_psnr": "models without such a PSNR",
    "missing_runs": "(model, seed) runs that are missing, diverged, failed or without such a PSNR",
    "missing_score": "models that lack the score",
    "missing_initialisations": "(model, initialisation) values that are missing",
    "tied_score_pairs": "pairs of models",
    "tied_psnr_pairs": "pairs of models",
    "seeds": "seeds that the PSNR is a mean over",
    "initialisations": "initialisations that the score is a mean over",
    "images": "images averaged over",
    "images_missing": "images on which the score has no tau",
    "n_smallest": "models compared on the image with the fewest",
    "n_largest": "models compared on the image with the most",
    "n_with": "models with this level",
    "n_without": "models with another",
    "runs": "usable runs",
    "earliest": "iteration, from 0",
    "quartile_1": "iteration, from 0",
    "median": "iteration, from 0",
    "quartile_3": "iteration, from 0",
    "latest": "iteration, from 0",
    "share_at_end": "share of the runs that are at their best in their last 5 %",
    "variance": "dB^2",
    "variance_between_models": "dB^2, of the models' expected PSNR",
    "variance_within_models": "dB^2, of a seed around it",
    "tau": f"Kendall's tau-b, {RAW}",
    "tau_low": f"bootstrap by upsample code (and, over six images or more, by image), {RAW}",
    "tau_high": f"bootstrap by upsample code (and, over six images or more, by image), {RAW}",
    "tau_directed": f"Kendall's tau-b, {DIRECTED}",
    "tau_directed_low": f"bootstrap by upsample code, {DIRECTED}",
    "tau_directed_high": f"bootstrap by upsample code, {DIRECTED}",
    "tau_within_directed": f"{WITHIN}, {DIRECTED}",
    "tau_within_directed_low": f"bootstrap by upsample code, {DIRECTED}",
    "tau_within_directed_high": f"bootstrap by upsample code, {DIRECTED}",
    "tau_within": f"{WITHIN}, {RAW}",
    "tau_within_low": f"bootstrap by upsample code, {RAW}",
    "tau_within_high": f"bootstrap by upsample code, {RAW}",
    "undefined_resamples": "resamples on which tau is undefined, left out of the interval",
    "p_value": f"{P_VALUE} of tau = 0, models taken as independent",
    "p_bootstrap": f"{P_VALUE} of 0, models resampled by upsample code",
    "p_holm": f"{P_VALUE} of tau = 0, models taken as independent, adjusted (Holm)",
    "p_max": f"{P_VALUE} of 0, adjusted for all rows of the image and task (over images: of the "
    "task) by the max-statistic bootstrap by code; on one image of fewer than 8 models never below "
    "Holm's; too small where models share fewer than some 20 codes",
    "p_assignment": "one-sided: share of the assignments of scores' images to PSNRs' that do as "
    "well, never below one over their number (0.5 for two images); not adjusted",
    "spearman": f"Spearman's rho, {RAW}",
    "spearman_low": f"bootstrap by upsample code, {RAW}",
    "spearman_high": f"bootstrap by upsample code, {RAW}",
    "pearson": f"Pearson's r, {RAW}",
    "pearson_low": f"bootstrap by upsample code, {RAW}",
    "pearson_high": f"bootstrap by upsample code, {RAW}",
    "tau_top": f"Kendall's tau weighted 1/(rank + 1) by the true rank, additive, {RAW}",
    "tau_top_low": f"bootstrap by upsample code, {RAW}",
    "tau_top_high": f"bootstrap by upsample code, {RAW}",
    "k": "models picked by the score",
    "precision": "share of the k picks that are among the truly best k",
    "precision_low": "bootstrap by upsample code, a share",
    "precision_high": "bootstrap by upsample code, a share",
    "random_precision": "the same for k random picks, exact expectation",
    "best_psnr": "dB, best of the k picks",
    "random_best_psnr": "dB, best of k random picks, exact expectation",
    "oracle_psnr": "dB, best of the models that have the score",
    "regret": "dB, oracle_psnr - best_psnr",
    "random_regret": "dB, oracle_psnr - random_best_psnr",
    "regret_crossfit": "dB, chosen on one seed, paid on the others",
    "random_regret_crossfit": "dB, chosen on one seed, paid on the others, exact expectation",
    "first_tau_directed": f"Kendall's tau-a, ties as if broken by chance, {DIRECTED}",
    "second_tau_directed": f"Kendall's tau-a, ties as if broken by chance, {DIRECTED}",
    "own_tau_directed": f"mean over images, score and PSNR of the same image, {DIRECTED}",
    "other_tau_directed": f"mean over pairs of images, {DIRECTED}",
    "own_tau": "what other_tau would be if two images had one order, from Kendall's tau-b between "
    "two seeds of each, mean over the pairs of images",
    "other_tau": "Kendall's tau-b between seeds of two images, mean over the pairs of images",
    "other_seeds": "seeds that the other benchmark's PSNR is a mean over",
    "seed_tau": "Kendall's tau-b between a seed of the one and one of the other, mean over pairs",
    "attainable_tau": "what seed_tau would be if both had one order, from Kendall's tau-b between "
    "two seeds of each",
    "shortfall": "attainable_tau - seed_tau",
    "shortfall_low": "bootstrap by upsample code",
    "shortfall_high": "bootstrap by upsample code",
    "transfer_regret": "dB, the best model here less the one that is best in the other benchmark",
    "difference_db": "dB, this benchmark's PSNR less the other's, median over the models",
    "advantage": "tau on the same image less that on others",
    "difference": "first_tau_directed - second_tau_directed",
    "low": "lower end of the interval, bootstrap by upsample code",
    "high": "upper end of the interval, bootstrap by upsample code",
    "effect": "dB, mean PSNR of the models with this level less that of all others",
    "mean_psnr": "dB",
    "share": "share of the sum of the variances",
    "share_low": "bootstrap by upsample code",
    "share_high": "bootstrap by upsample code",
    "left_out": "runs to which the criterion cannot be applied",
    "lost": "dB, best smoothed PSNR less that where the criterion stops, median over the models",
    "lost_quartile_1": "dB",
    "lost_quartile_3": "dB",
    "lost_most": "dB",
    "iteration": "of the output that is kept, from 0, median over the runs",
    "at_end": "share of the runs whose last output is kept",
    "reliability_low": "bootstrap by upsample code",
    "reliability_high": "bootstrap by upsample code",
    "ceiling_low": "the tables that a perfect predictor would meet, simulated",
    "ceiling_high": "the tables that a perfect predictor would meet, simulated",
    "reliability": "Kendall's tau-b between two seeds, or two initialisations; mean over pairs",
    "share_of_mean": "share of the models in the variance of the mean over initialisations",
    "ceiling": "Kendall's tau-b that a perfect predictor of the expected PSNR would reach",
}


def describe(
    frame: pd.DataFrame, own: Mapping[str, str] = MappingProxyType({}), /, **attrs: object
) -> pd.DataFrame:
    """The frame with what its columns mean in `.attrs["units"]`, and `attrs` beside it.

    Args:
        frame: Is changed.
        own: What columns mean in this frame alone.
        attrs: More of it.
    """
    units = {**UNITS, **own}
    frame.attrs["units"] = {name: units[name] for name in frame.columns if name in units}
    frame.attrs.update(attrs)
    return frame
