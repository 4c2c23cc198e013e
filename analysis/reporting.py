"""A benchmark as one page that needs nothing else: tables, curves, how every number came about."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..benchmark.names import unknown_score
from ..errors import QueryError
from ..evaluate.registry import canonical
from ..files import published
from ..genotypes.upsample import PRIMITIVES
from .cells import check_open, check_resamples
from .directions import is_baseline
from .report_curves import BUDGET, curve_payload
from .report_facts import facts
from .report_pictures import pictures
from .report_scores import model_tables, score_matrices, score_tables, transfer_tables
from .report_tables import Progress, all_tables, arguments, fill
from .worth import check_summary

MOST_BYTES = 10_000_000
ROOM = 200_000
"""Bytes of a page beside its data."""
STYLES = ("page.css", "parts.css")
SCRIPTS = ("base.js", "tables.js", "marks.js", "heatmaps.js", "dots.js", "curves.js", "page.js")

QUERIES = {
    "models": 'bench.query_many(None, "{image}", "{task}", {asked})',
    "model": 'bench.query("{model}", "{image}", "{task}", {asked})',
    "curve": 'bench.curve("{model}", "{image}", "{task}", kind="{kind}")[::{every}]',
    "resemblance": 'score_correlations(bench, "{image}", "{task}")',
    "transfer": 'truth_over_images(bench, "{task}", {by})',
    "matrix": 'score_over_images(bench, "{task}", "{score}", {by})',
    "picks": 'picked_models(bench, "{image}", "{task}", "{score}", {by})',
    "elsewhere": 'mean_rank_elsewhere(bench, "{task}", {by}).loc["{model}", "{image}"]',
    "score": 'bench.score("{model}", "{image}", "{task}", "{score}")',
}
"""The queries of what is drawn; the tables carry their own."""


def report(
    bench: Any,
    path: str | Path,
    by: str | int = "best_psnr_smooth",
    *,
    score: str | None = None,
    resamples: int = 1000,
    progress: Progress = lambda name, done, total: None,
) -> Path:
    """Write a benchmark's report: one HTML file that loads nothing from anywhere.

    The same benchmark gives the same file, to the byte.

    Args:
        bench: A benchmark on disk.
        path: The file to write; it appears whole, by rename.
        by: What a run is worth: a summary, an iteration, or `stop:criterion`.
        score: That the page begins with; where None, the best one of the first image and task.
        resamples: Bootstrap resamples of tau and of reliability; other intervals have 300 or 1000.
        progress: Told the table that is under way, how many are done, and of how many.

    Returns:
        `path`.

    Raises:
        QueryError: An unknown summary or score, no number of resamples, no run that can be judged
            by `by`, a page of more than 10 MB even with the fewest curves, or a file that cannot
            be written.

    >>> import dipbench, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report(dipbench.load("pilot"), Path(folder) / "pilot.html", resamples=100).name
    'pilot.html'
    """
    check_open(bench)
    check_summary(by)
    check_resamples(resamples)
    shown = payload(bench, by, resamples, score, progress)
    text = page(shown, f"{bench.manifest.name} benchmark")
    content = text.encode("utf-8")
    if len(content) > MOST_BYTES:
        raise QueryError(
            f"the report would take {len(content) / 1e6:.1f} MB, more than the "
            f"{MOST_BYTES / 1e6:.0f} that browsers open with ease: have the figures drawn alone "
            "(--png FOLDER, or `write_figures`)"
        )
    with published(path, QueryError) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def payload(
    bench: Any,
    by: str | int,
    resamples: int,
    score: str | None = None,
    progress: Progress = lambda name, done, total: None,
) -> dict[str, Any]:
    """All that the page shows, as plain values; see `report`."""
    known = arguments(by, resamples)
    scores = score_tables(bench, by)
    held = dict.fromkeys(name for part in scores for name in part["picks"])
    if score is not None and canonical(score) not in held:
        raise QueryError(unknown_score(score, held))
    models = model_tables(bench, by)
    ranked = {
        (part["image"], part["task"]): [bench.models[place] for place in part["places"]]
        for part in models
        if part["places"]
    }
    if not ranked:
        raise QueryError(f"nothing to report: {models[0]['reason']}")
    shown = {
        "facts": facts(bench, by),
        "models": list(bench.models),
        "kinds": list(PRIMITIVES),
        "pairs": models,
        "score": None if score is None else canonical(score),
        "baselines": [name for name in held if is_baseline(name)],
        "scores": scores,
        "transfer": transfer_tables(bench, by),
        "matrices": score_matrices(bench, by),
        "tables": all_tables(bench, by, resamples, progress),
        "pictures": pictures(bench),
        "queries": {name: fill(query, known) for name, query in QUERIES.items()},
    }
    # Curves can be shown of fewer models, or with fewer points: they have what room is left.
    room = MOST_BYTES - ROOM - len(_json(shown).encode("utf-8"))
    drawn = curve_payload(bench, ranked, max(0, min(BUDGET, room)))
    return shown | {"curves": drawn | {"pairs": list(ranked)}}


def page(content: dict[str, Any], title: str) -> str:
    """The HTML around a payload; its policy allows this very script and style and no request."""
    style = "\n".join(_read(name) for name in STYLES)
    script = "\n".join(_read(name) for name in SCRIPTS)
    parts = {
        "policy": (
            f"default-src 'none'; img-src data:; script-src {_hash(script)}; "
            f"style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
        ),
        "title": escape(title),
        "style": style,
        "script": script,
        # Inside a script element only `<` could end it.
        "data": _json(content).replace("<", "\\u003c"),
    }
    # One pass, so that nothing in the data is taken for a place to fill.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
