"""The dataset card: a README with a YAML header, in the Hugging Face convention."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import StoreError, one_line
from ..files import published
from .schema import CENSORED, STATUSES, STOP_COLUMN

if TYPE_CHECKING:
    from .store import Manifest

CARD = "README.md"
CARD_SECTIONS = "card"
"""What the manifest calls further sections of the card, text by heading."""
LICENCE = "licence"
"""What it calls the licence of the data, an SPDX identifier."""

MARK = "# written by dipbench, and again at every change; remove this line to keep your own text"

COLUMNS = {
    "model": "text form of a genotype, or the name of a network",
    "image": "name of the image",
    "task": "text form of the task",
    "seed": "of the run; missing where it is not known",
    "status": "finished, stopped, diverged or failed",
    "reason": "why it did not finish",
    "length": "iterations recorded",
    "best_psnr": "highest PSNR of an output against the truth, dB",
    "best_psnr_iteration": "its iteration, from 0",
    "best_psnr_smooth": "highest PSNR of the smoothed output, dB: the truth for ranking",
    "best_psnr_smooth_iteration": "its iteration, from 0",
    "final_psnr": "PSNR of the last output, dB",
    "final_psnr_smooth": "PSNR of the last smoothed output, dB",
    "loss": "last mean squared error against the observation",
    "spikes": "iterations whose loss is more than 1 dB above the one before",
    "seconds": "wall time of the training",
    "device": "what it ran on, and the best units that it multiplies with",
    "parameters": "trainable values of the network",
    "parameters_used": "those that its forward pass runs",
    "macs": "multiply-accumulates of one forward pass",
    "commit": "of the code that trained it",
    "observation_sha256": "of what it was trained on",
    "input_sha256": "of the network's input",
    "row": "place of its curves in the group image/task of the curves file",
}
"""What each column of the runs is; PSNR: peak 1, all channels, against the truth."""

SCORE_COLUMNS = {
    "model": "as in the runs",
    "image": "as in the runs",
    "task": "as in the runs",
    "score": "name of the training-free score",
    "initialisation": "number of the untrained network that it was computed on",
    "value": "missing where it could not be computed",
    "how": "how the untrained output was made, see `dipbench.evaluate.scoring`",
    "reason": "why there is no value",
}

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))


def write_card(folder: Path, manifest: "Manifest") -> None:
    """Publish the card beside the data, unless a user's own text stands there."""
    path = folder / CARD
    if path.is_file() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return
    runs = pq.read_table(
        (folder / str(manifest.files["runs"]["name"])).absolute(),
        page_checksum_verification=True,
        memory_map=True,
    )
    with published(path) as temporary:
        # A name may be a folder's, whose bytes need not be text.
        text = card_text(manifest, runs)
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_sections(path: Path) -> dict[str, str]:
    """The sections of a Markdown file, text by heading (`## …`); what stands before is left out.

    Raises:
        StoreError: if it cannot be read, or has no section.
    """
    try:
        _, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is no readable text ({one_line(error)})") from error
    if not sections:
        raise StoreError(f"{path} has no section: begin each with a line `## Heading`")
    parted = (section.partition("\n") for section in sections)
    return {heading.strip(): text.strip() for heading, _, text in parted}


def card_text(manifest: "Manifest", runs: pa.Table) -> str:
    """The card's text.

    Args:
        manifest: of the benchmark.
        runs: its runs table.
    """
    files = [
        (role, f"`{entry['name']}`", f"{entry['size']:,}", f"`{entry['sha256']}`")
        for role, entry in manifest.files.items()
    ]
    columns = [(f"`{name}`", _what(name)) for name in runs.column_names if _what(name)]
    scores = [(f"`{name}`", what) for name, what in SCORE_COLUMNS.items()]
    licence = manifest.further.get(LICENCE)
    parts = [
        "---\n" + "\n".join(_header(manifest, runs.num_rows)) + "\n---",
        f"# {manifest.name}",
        f"{runs.num_rows:,} trainings of networks as deep image priors "
        f"(images: {len(manifest.images)}, tasks: {', '.join(manifest.tasks)}, "
        f"protocol: `{manifest.protocol.get('name')}`). "
        f"Generation {manifest.generation}, content `{manifest.content_sha256}`.",
        "Ask it with dipbench (`dipbench.load(folder)`), or read its files as they are.",
        "## Files\n\n" + _table(("role", "file", "bytes", "SHA-256"), files),
        "## How it was made\n\n" + (IMPORTED if manifest.is_imported else TRAINED),
        _table(("image", "task", "seeds", "models", "runs", *_COUNTED), _counts(runs)),
        _table(("setting", "value"), _settings(manifest.protocol)),
        "## Columns of the runs\n\n" + _table(("column", "what"), columns),
        "## Curves\n\n" + _curves_words(manifest),
        *(
            ["## Columns of the scores\n\n" + _table(("column", "what"), scores)]
            if "scores" in manifest.files
            else []
        ),
        "## Images\n\n"
        + _table(("image", "SHA-256"), [(n, f"`{s}`") for n, s in manifest.images.items()]),
        "## Environment that all runs have in common\n\n"
        + _table(("what", "version"), _settings(manifest.environment)),
        *(f"## {head}\n\n{text}" for head, text in manifest.further.get(CARD_SECTIONS, {}).items()),
        *([f"## Licence\n\nThe data are under {licence}."] if licence else []),
    ]
    return "\n\n".join(parts) + "\n"


def _header(manifest: "Manifest", rows: int) -> list[str]:
    """The lines between the marks of the YAML header."""
    size = next((words for limit, words in SIZES if rows < limit), "1M<n<10M")
    configs = [
        line
        for role in ("runs", "scores")
        if role in manifest.files
        for line in (
            f"- config_name: {role}",
            f"  data_files: {_quoted(manifest.files[role]['name'])}",
            *(["  default: true"] if role == "runs" else []),
        )
    ]
    licence = manifest.further.get(LICENCE)
    return [
        MARK,
        f"pretty_name: {_quoted(manifest.name)}",
        *([f"license: {_quoted(str(licence).lower())}"] if licence else []),
        "task_categories:\n- image-to-image",
        "tags:\n- deep-image-prior\n- neural-architecture-search\n- image-restoration",
        f"size_categories:\n- {size}",
        "configs:",
        *configs,
    ]


TRAINED = (
    "Each model was trained afresh on each image and task by dipbench, under the protocol below; "
    "every model restores the same observation from the same input."
)
IMPORTED = "These runs, or some of them, were not trained by dipbench but imported into its form."

_COUNTED = (*STATUSES, CENSORED, "hours", "devices")


def _counts(runs: pa.Table) -> list[tuple[str, ...]]:
    """What was trained of each image and task."""
    keys = runs.select(["image", "task"]).group_by(["image", "task"]).aggregate([]).to_pylist()
    rows = []
    for key in sorted(keys, key=lambda key: (key["image"], key["task"])):
        mine = runs.filter((pc.field("image") == key["image"]) & (pc.field("task") == key["task"]))
        late = pc.sum(mine[CENSORED]).as_py() if CENSORED in mine.column_names else None
        seconds = pc.sum(mine["seconds"]).as_py()
        devices = sorted(filter(None, pc.unique(mine["device"]).to_pylist()))
        seeds = ["?" if seed is None else str(seed) for seed in pc.unique(mine["seed"]).to_pylist()]
        statuses = [pc.sum(pc.equal(mine["status"], name)).as_py() for name in _COUNTED[:4]]
        rows.append(
            (
                *(key["image"], key["task"], ", ".join(sorted(seeds))),
                *(f"{pc.count_distinct(mine['model']).as_py():,}", f"{mine.num_rows:,}"),
                *(f"{count:,}" for count in statuses),
                "" if late is None else f"{late:,}",
                "" if seconds is None else f"{seconds / 3600:.2f}",
                "; ".join(devices),
            )
        )
    return rows


def _what(name: str) -> str:
    """What a column of the runs is, empty where it is not known."""
    if name in COLUMNS:
        return COLUMNS[name]
    if name == CENSORED:
        return "whether the best smoothed PSNR lies in the last 5 % of the iterations"
    base = name.removesuffix("_iteration")
    if base.startswith(STOP_COLUMN):
        what = f"smoothed PSNR where the stopping criterion {base.removeprefix(STOP_COLUMN)} stops"
    elif "_psnr_smooth_" in base:
        when, _, weight = base.partition("_psnr_smooth_")
        when = {"best": "highest", "final": "last"}[when]
        what = f"{when} PSNR of the output smoothed with weight {weight}"
    else:
        return ""
    return f"{what}, dB" if base == name else f"iteration of `{base}`, from 0"


def _curves_words(manifest: "Manifest") -> str:
    units = (
        "PSNR in dB (peak 1, all channels, uncropped, against the truth); `loss` the mean squared "
        "error against the observation and `variance` the moving variance of the output, both of "
        "values in [0, 1]."
    )
    if manifest.stride is None:
        return (
            "A group `image/task` for each image and task, with a float32 dataset (runs, "
            f"iterations) a kind, missing past a run's `length`. {units}"
        )
    return (
        "A group `image/task` for each image and task, with a float32 dataset (runs, points) a "
        f"kind. Of every {manifest.stride} iterations the last is kept; `iterations` says which "
        "they are, from 0, and past a run's `length` its last value is repeated. Values are "
        "rounded to 0.001 dB by HDF5's scale-offset filter; loss and variance are kept in dB too "
        f"(10 log10 of the value), under their name with `_db`. {units} The summaries in the runs "
        "are of the full curves, and so is where stopping criteria stop."
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _settings(record: Any) -> list[tuple[str, ...]]:
    return [(f"`{name}`", f"`{json.dumps(value)}`") for name, value in record.items()]


def _quoted(text: object) -> str:
    """A YAML scalar: JSON's quotes are YAML's."""
    return json.dumps(str(text))
