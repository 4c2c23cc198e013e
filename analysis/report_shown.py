"""Which tables a report shows: their queries, and the columns that are shown of each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """A table of the report before it is asked for.

    Attributes:
        query: The expression over `bench` that gives the frame; `{by}` is the summary.
        columns: Name in the frame to (label, kind); the kinds are those of `templates/tables.js`.
        row: The expression for one row, its columns' names in braces; none where empty.
        tasks: Whether the query is of one `{task}` and asked for each.
    """

    query: str
    columns: dict[str, tuple[str, str]]
    row: str = ""
    tasks: bool = False


QUOTED_TASK = '"{task}"'
PLACE = {"image": ("image", "text"), "task": ("task", "text")}
SCORE = {"score": ("score", "score")}
PAIR_ROW = '"{image}", "{task}"'

SHOWN: dict[str, Shown] = {
    "coverage": Shown(
        "bench.coverage()",
        PLACE
        | {
            name: (name, "count")
            for name in (
                *("models", "seeds", "finished", "stopped", "diverged", "failed", "missing"),
            )
        },
    ),
    "winners": Shown(
        "best_models(bench, {by})",
        PLACE
        | {
            "psnr": ("PSNR dB", "decibel"),
            "model": ("best model", "model"),
            "psnr_std": ("± seeds", "decibel"),
            "n": ("seeds", "count"),
            "iteration": ("iteration", "count"),
            "reason": ("remark", "text"),
        },
        row=f"bench.best({PAIR_ROW}, {{asked}})",
    ),
    "iterations": Shown(
        "best_iterations(bench, {by})",
        PLACE
        | {
            "median": ("median", "count"),
            "earliest": ("earliest", "count"),
            "quartile_1": ("quartile 1", "count"),
            "quartile_3": ("quartile 3", "count"),
            "latest": ("latest", "count"),
            "share_at_end": ("best at the end", "share"),
            "runs": ("runs", "count"),
            "reason": ("remark", "text"),
        },
    ),
    "stopping": Shown(
        "stopping_losses(bench)",
        PLACE
        | {
            "criterion": ("criterion", "text"),
            "lost": ("lost dB", "decibel"),
            "lost_quartile_1": ("quartile 1", "decibel"),
            "lost_quartile_3": ("quartile 3", "decibel"),
            "lost_most": ("most", "decibel"),
            "iteration": ("kept at", "count"),
            "at_end": ("at the end", "share"),
            "n": ("n", "count"),
            "reason": ("remark", "text"),
        },
        row=f'stopping_losses(bench, {PAIR_ROW}, ["{{criterion}}"])',
    ),
    "correlations": Shown(
        "correlate(bench, {by}, resamples={resamples})",
        SCORE
        | PLACE
        | {
            "tau_directed": ("τ directed", "signed"),
            "tau_directed_low": ("τ low", "signed"),
            "tau_directed_high": ("τ high", "signed"),
            "direction": ("better", "text"),
            "tau": ("τ raw", "signed"),
            "tau_within_directed": ("τ within", "signed"),
            "tau_within_directed_low": ("within low", "signed"),
            "tau_within_directed_high": ("within high", "signed"),
            "n": ("n", "count"),
            "missing": ("missing", "count"),
            "p_value": ("p", "p"),
            "p_holm": ("p Holm", "p"),
            "p_max": ("p max", "p"),
            "spearman": ("ρ", "signed"),
            "pearson": ("r", "signed"),
            "tau_top": ("τ top", "signed"),
            "tau_top_low": ("τ top low", "signed"),
            "tau_top_high": ("τ top high", "signed"),
            "reason": ("remark", "text"),
        },
        row=f'kendall(bench, {PAIR_ROW}, "{{score}}", {{by}})',
    ),
    "averages": Shown(
        "correlate_over_images(bench, {by}, resamples={resamples})",
        SCORE
        | {
            "task": ("task", "text"),
            "tau_directed": ("mean τ directed", "signed"),
            "tau_directed_low": ("low", "signed"),
            "tau_directed_high": ("high", "signed"),
            "direction": ("better", "text"),
            "images": ("images", "count"),
            "tau": ("mean τ raw", "signed"),
            "p_bootstrap": ("p", "p"),
            "p_max": ("p max", "p"),
            "reason": ("remark", "text"),
        },
        # p max is adjusted for all the scores of the task, so that one alone would have another.
        row='correlate_over_images(bench, "{task}", {by}, resamples={resamples})'
        '.loc[lambda table: table["score"] == "{score}"]',
    ),
    "picks": Shown(
        "picks(bench, {by})",
        SCORE
        | PLACE
        | {
            "k": ("picks", "count"),
            "regret": ("regret dB", "decibel"),
            "random_regret": ("at random dB", "decibel"),
            "regret_crossfit": ("cross-fitted dB", "decibel"),
            "precision": ("precision", "share"),
            "precision_low": ("low", "share"),
            "precision_high": ("high", "share"),
            "random_precision": ("at random", "share"),
            "best_psnr": ("best pick dB", "decibel"),
            "random_best_psnr": ("at random dB", "decibel"),
            "oracle_psnr": ("oracle dB", "decibel"),
            "reason": ("remark", "text"),
        },
        row=f'correlate(bench, {PAIR_ROW}, ["{{score}}"], {{by}}, k={{k}}, resamples=300)',
    ),
    "reliability": Shown(
        "seed_reliability(bench, {by}, resamples={resamples})",
        PLACE
        | {
            "reliability": ("τ of seeds", "tau"),
            "reliability_low": ("low", "tau"),
            "reliability_high": ("high", "tau"),
            "ceiling": ("ceiling", "tau"),
            "ceiling_low": ("tables from", "tau"),
            "ceiling_high": ("to", "tau"),
            "variance_between_models": ("models dB²", "decibel"),
            "variance_within_models": ("seeds dB²", "decibel"),
            "seeds": ("seeds", "count"),
            "n": ("n", "count"),
            "reason": ("remark", "text"),
        },
        row=f"seed_reliability(bench, {PAIR_ROW}, {{by}}, resamples={{resamples}})",
    ),
    "score_reliability": Shown(
        "score_reliability(bench)",
        SCORE
        | PLACE
        | {
            "reliability": ("τ", "tau"),
            "share_of_mean": ("share of models", "share"),
            "initialisations": ("initialisations", "count"),
            "n": ("n", "count"),
            "reason": ("remark", "text"),
        },
    ),
    "specificity": Shown(
        'scores_over_images(bench, "{task}", {by})',
        SCORE
        | {
            "task": ("task", "text"),
            "advantage": ("advantage", "signed"),
            "low": ("low", "signed"),
            "high": ("high", "signed"),
            "own_tau_directed": ("own image", "signed"),
            "other_tau_directed": ("other images", "signed"),
            "p_assignment": ("p of assignments", "p"),
            "n": ("n", "count"),
            "reason": ("remark", "text"),
        },
        tasks=True,
    ),
    "truth": Shown(
        'truth_specificity(bench, "{task}", {by}, resamples={resamples})',
        {
            "task": ("task", "text"),
            "own_tau": ("τ of seeds", "tau"),
            "other_tau": ("τ of images", "tau"),
            "advantage": ("difference", "signed"),
            "low": ("low", "signed"),
            "high": ("high", "signed"),
            "images": ("images", "count"),
            "n": ("n", "count"),
            "reason": ("remark", "text"),
        },
        tasks=True,
    ),
    "variance": Shown(
        'variance(bench, "{task}", {by})',
        {
            "task": ("task", "text"),
            "source": ("source", "text"),
            "variance": ("variance dB²", "decibel"),
            "share": ("share", "share"),
            "share_low": ("low", "share"),
            "share_high": ("high", "share"),
            "reason": ("remark", "text"),
        },
        tasks=True,
    ),
    "attributes": Shown(
        "attributes_per_image(bench, {by})",
        {
            "attribute": ("attribute", "text"),
            "level": ("level", "text"),
        }
        | PLACE
        | {
            "effect": ("effect dB", "signed"),
            "low": ("low", "signed"),
            "high": ("high", "signed"),
            "p_bootstrap": ("p", "p"),
            "p_max": ("p max", "p"),
            "n_with": ("models with", "count"),
            "n_without": ("without", "count"),
            "mean_psnr": ("mean dB", "decibel"),
            "reason": ("remark", "text"),
        },
        row=f"attribute_effects(bench, {PAIR_ROW}, {{by}})",
    ),
}
"""The tables of a report by name."""
