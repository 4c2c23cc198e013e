"""Builds the shipped benchmark `mini`, sweep by sweep, over as many sittings as it takes.

    python benchmark/mini/build.py pilot       train and keep 32 stratified models of each sweep
    python benchmark/mini/build.py ship-pilot  ship the pilots that are complete, as `pilot`
    python benchmark/mini/build.py train       go on with what is neither shipped nor kept
    python benchmark/mini/build.py sizes       train and keep 64 of the models on larger pictures
    python benchmark/mini/build.py score       score the models of what is shipped or complete
    python benchmark/mini/build.py keep        keep what is trained as files to commit
    python benchmark/mini/build.py ship        ship what is complete, and drop it from what is kept
    python benchmark/mini/build.py status      say how far each sweep is

A sweep is an image, a task and a seed, with all 522 models. It grows by stratified samples, each
within the next, so that whatever is trained of it stands for the whole. Each is built in a folder
of its own under `--work`, which may be lost at any time: `train` begins with what was kept. Nothing
here is installed with the package.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow.compute as pc

import dipbench
from dipbench.benchmark.building import finish, read_progress
from dipbench.benchmark.card import read_sections
from dipbench.benchmark.choosing import parse_models
from dipbench.benchmark.compacting import Sweep, compact
from dipbench.benchmark.executors import Executor
from dipbench.benchmark.executors.local import LocalExecutor
from dipbench.benchmark.keeping import RECORD, keep, restore, runs_of
from dipbench.benchmark.keeping_scores import drop_scores, keep_scores, restore_scores
from dipbench.benchmark.loading import shipped_folder
from dipbench.benchmark.locking import COMMITTING, PATIENCE_SECONDS, builder_lock
from dipbench.benchmark.plan import PLAN, freeze_plan, make_plan
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores, committed_scores
from dipbench.benchmark.scoring import SCORE_PARTS, write_score_part
from dipbench.benchmark.store import MANIFEST
from dipbench.cli.scoring import run_scoring
from dipbench.cli.training import run_build
from dipbench.data import load_image
from dipbench.errors import DipbenchError
from dipbench.evaluate import SCORES
from dipbench.evaluate.protocol import Protocol, get_protocol

HERE = Path(__file__).resolve().parent
KEPT = HERE / "kept"
KEPT_PILOT = HERE / "kept-pilot"
SHIPPED = shipped_folder() / "mini"
SHIPPED_PILOT = shipped_folder() / "pilot"

PROTOCOL = get_protocol("mini64").replace(precision="bf16")
"""In bf16, which halves the time on the processors at hand (see PILOT.md on what it changes)."""
MODELS = "isnas522"
SAMPLES = ("stratified:64", "stratified:128", "stratified:256")
"""Of the models, what is trained first."""
PILOT_MODELS = "stratified:32"
PILOT_PROTOCOL = PROTOCOL.replace(name="mini64-pilot", stop=None).with_iterations(1600)
"""Full curves: they show how long the others have to be."""
PILOT = "pilot"
"""The folder of the pilots within that of the sweeps."""
SIDES = (128, 256)
"""Of larger pictures, on which it is seen whether their order of the models is the same."""
SIDES_SAMPLES = ("stratified:16", "stratified:32", "stratified:64")
"""Of the models, in turn."""
SIDES_SWEEPS = 2
"""So many of the sweeps, the first, are trained on those."""

SWEEPS: tuple[Sweep, ...] = tuple(
    (image, task, seed)
    for image, task in (
        ("camera", "denoising-25"),
        ("astronaut", "denoising-25"),
        ("coins", "denoising-25"),
        ("camera", "inpainting-50"),
        ("camera", "sr-2"),
    )
    for seed in (0, 1)
)
"""In the order of the build. Every image is taken in grey."""

SCORED = tuple(SCORES)
SCORED_FIRST = tuple(name for name, score in SCORES.items() if not score.cost.backward)
"""Those that cost little."""
SCORED_LARGE = tuple(
    name
    for name, score in SCORES.items()
    if score.inputs != "network" and score.cost.forward and not score.cost.backward
)
"""Of outputs of the published size too."""
LARGE = 512
MADE_INITIALISATIONS = 32

STRIDE = 8
PILOT_INITIALISATIONS = 8
"""Of each model that are shipped with the pilots; with the whole sweeps all are."""
LICENCE = "CC-BY-4.0"


def folder_of(work: Path, sweep: Sweep) -> Path:
    """Where a sweep is built."""
    return work / "-".join(map(str, sweep))


def heal(shipped: Path) -> tuple[Path, Path]:
    """Put back what a publishing that was killed between its two renames has moved away.

    Returns:
        Where the new is made, and where the old is moved meanwhile.
    """
    place = shipped.parent / f".new-{shipped.name}"
    old = place / "old"
    if old.is_dir() and not shipped.is_dir():
        old.replace(shipped)
    return place, old


def shipped_sweeps(shipped: Path) -> set[Sweep]:
    """The sweeps that are shipped already."""
    heal(shipped)
    if not (shipped / MANIFEST).is_file():
        return set()
    frame = dipbench.load(shipped).to_frame()
    keys = zip(frame["image"], frame["task"], frame["seed"], strict=True)
    return {(image, task, int(seed)) for image, task, seed in keys}


def missing_sweeps(shipped: Path) -> list[Sweep]:
    """The sweeps that are not shipped yet, in the order of the build."""
    there = shipped_sweeps(shipped)
    return [sweep for sweep in SWEEPS if sweep not in there]


def prepare(
    folder: Path, sweep: Sweep, models: str, protocol: Protocol, kept: Sequence[Path]
) -> Path:
    """Freeze the plan of a sweep, and give it what was kept of it."""
    image, task, seed = sweep
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [load_image(image, size=protocol.size, colour=False)]
    plan = make_plan("mini", parse_models(models), pictures, [task], [seed or 0], protocol)
    freeze_plan(folder, plan, pictures)
    for place in kept:
        if (place / RECORD).is_file():
            given = restore(place, folder)
            print(f"{folder}: {given} runs of {place.name} taken up", file=sys.stderr)
    return folder


def train(work: Path, kept: Path, piloted: Path, shipped: Path, executor: Executor) -> None:
    """Train every sweep that is not shipped, one after the other; the pilots' runs are cut."""
    for sweep in missing_sweeps(shipped):
        for place, models in stages(work):
            folder = prepare(folder_of(place, sweep), sweep, models, PROTOCOL, (kept, piloted))
            build(folder, kept, executor)


def build(folder: Path, kept: Path, executor: Executor) -> None:
    """Train what is missing of a folder, and keep it."""
    run_build(folder, executor, retry_failed=True)
    keep(folder, kept)


def stages(work: Path) -> list[tuple[Path, str]]:
    """Where a sweep is built in turn, and of which models; the last is the whole sweep."""
    return [*((stage(work, models), models) for models in SAMPLES), (work, MODELS)]


def stage(work: Path, models: str) -> Path:
    """Where the sweeps are built of a sample of the models."""
    return work / models.replace(":", "-")


def pilot(work: Path, kept: Path, shipped: Path, executor: Executor) -> None:
    """Train the pilot of every sweep that is not shipped, and keep its runs."""
    for sweep in missing_sweeps(shipped):
        place = folder_of(work / PILOT, sweep)
        folder = prepare(place, sweep, PILOT_MODELS, PILOT_PROTOCOL, (kept,))
        build(folder, kept, executor)


def sizes(work: Path, kept: Path, executor: Executor) -> None:
    """Train some of the models on larger pictures, and keep their runs."""
    for side, models, place, target in sides(work, kept):
        protocol = PROTOCOL.replace(name=f"mini{side}", size=side)
        for sweep in SWEEPS[:SIDES_SWEEPS]:
            folder = prepare(folder_of(place, sweep), sweep, models, protocol, (target,))
            build(folder, target, executor)


def sides(work: Path, kept: Path) -> list[tuple[int, str, Path, Path]]:
    """Larger sides and the models there; where those are built and, of one protocol each, kept."""
    return [
        (side, models, stage(work / f"side-{side}", models), kept.with_name(f"{kept.name}-{side}"))
        for side in SIDES
        for models in SIDES_SAMPLES
    ]


def score(work: Path, kept: Path, shipped: Path) -> None:
    """Score what is shipped or complete, and keep that.

    What costs little comes first, then one initialisation of the others, then outputs of the
    published size, an initialisation at a time: what only some models have of one is not shipped.
    """
    folders = [*copy_of_shipped(work, shipped)]
    for sweep in missing_sweeps(shipped):
        folders += complete_stages(work, sweep)[-1:]
    steps = (
        (SCORED_FIRST, MADE_INITIALISATIONS, None),
        (SCORED, 1, None),
        *((SCORED_LARGE, count, LARGE) for count in range(1, MADE_INITIALISATIONS + 1)),
        (SCORED, MADE_INITIALISATIONS, None),
    )
    for names, initialisations, size in steps:
        for folder in folders:
            take_up(folder, kept)
            run_scoring(folder, names, initialisations=initialisations, size=size)
            keep_scores(folder, kept)


def copy_of_shipped(work: Path, shipped: Path) -> list[Path]:
    """A copy of what is shipped, if anything is, that scores can be added to."""
    if not (shipped / MANIFEST).is_file():
        return []
    state = sha256((shipped / MANIFEST).read_bytes()).hexdigest()[:12]
    copy, new = work / f"shipped-{state}", work / ".new-copy"
    if not copy.is_dir():
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(shipped, new)
        new.replace(copy)
    return [copy]


def take_up(folder: Path, kept: Path) -> None:
    """Merge what is trained of a sweep, and give it the kept scores; a copy is merged already."""
    if (folder / PLAN).is_file():
        finish(folder)
    restore_scores(kept, folder)


def keep_all(work: Path, kept: Path, piloted: Path, shipped: Path) -> int:
    """Keep the runs of sweeps that are not shipped, and all of larger pictures; return how many.

    What is scored of the sweeps is kept too, but for what is shipped.
    """
    going_on = missing_sweeps(shipped)
    scored = [folder for sweep in going_on for folder in complete_stages(work, sweep)]
    for folder in (*work.glob("shipped-*"), *scored):
        if (folder / MANIFEST).is_file():
            keep_scores(folder, kept)
    drop_shipped_scores(kept, shipped)
    places = {place: kept for place, _ in stages(work)} | {work / PILOT: piloted}
    builds = [(place, places[place], sweep) for sweep in going_on for place in places]
    builds += [(*each[2:], sweep) for each in sides(work, kept) for sweep in SWEEPS[:SIDES_SWEEPS]]
    return sum(
        keep(folder, target)
        for place, target, sweep in builds
        if ((folder := folder_of(place, sweep)) / PLAN).is_file()
    )


def ship(work: Path, kept: Path, shipped: Path, card: Path) -> None:
    """Ship the sweeps that are complete, with their scores, and drop what was kept of them.

    Scores and initialisations that not all models have are not shipped, and kept on.

    Raises:
        DipbenchError: if there is none, and none was shipped before.
    """
    for folder in (*copy_of_shipped(work, shipped), *complete_sweeps(work)):
        take_up(folder, kept)
    publish(work, shipped, card)
    for sweep in shipped_sweeps(shipped):
        shutil.rmtree(runs_of(kept, *sweep), ignore_errors=True)
    drop_shipped_scores(kept, shipped)


def drop_shipped_scores(kept: Path, shipped: Path) -> None:
    """Drop of what is kept the scores that are shipped, once no sweep of their pair is to come."""
    going_on = {sweep[:2] for sweep in missing_sweeps(shipped)}
    for image, task in {sweep[:2] for sweep in SWEEPS} - going_on:
        drop_scores(kept, shipped, (image, task))


def publish(work: Path, shipped: Path, card: Path, initialisations: int | None = None) -> None:
    """Put the complete sweeps of a folder, and their scores, beside what is shipped already.

    Args:
        work: the folder of the sweeps.
        shipped: where they are put.
        card: the sections that are written by hand.
        initialisations: so many that are shipped of each score; all without it.

    Raises:
        DipbenchError: if there is neither.
    """
    place, old = heal(shipped)
    new = place / shipped.name
    sources = copy_of_shipped(work, shipped)
    for folder in complete_sweeps(work):
        finish(folder)
        sources.append(folder)
    for folder in sources:
        leave_out_partial_scores(folder)
    if not sources:
        raise DipbenchError(f"{work} holds no complete sweep: train one first")
    # Beside the old one until it is whole, under the name that it is to bear.
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        done = compact(
            sources,
            new,
            STRIDE,
            licence=LICENCE,
            card=read_sections(card),
            initialisations=initialisations,
        )
        if shipped.is_dir():
            shipped.replace(old)
        new.replace(shipped)
    finally:
        if old.is_dir() and not shipped.is_dir():
            old.replace(shipped)
        shutil.rmtree(place, ignore_errors=True)
    print(f"{shipped}: {done.runs} runs in {done.size:,} bytes")


def leave_out_partial_scores(folder: Path) -> None:
    """Leave a sweep the initialisations of its scores that all its models have.

    The others stay among its score parts.
    """
    with builder_lock(folder, COMMITTING, PATIENCE_SECONDS):
        table = committed_scores(folder)
        made = ["image", "task", "score", "how", "initialisation"]
        held = table.group_by(made).aggregate([("model", "count_distinct")])
        models = len(dipbench.load(folder).models)
        whole = held.filter(pc.field("model_count_distinct") == models).select(made)
        partial = table.join(whole, made, join_type="left anti")
        if partial.num_rows:
            write_score_part(folder / SCORE_PARTS, partial.select(SCORES_SCHEMA.names))
            commit_scores(folder, table.join(whole, made, join_type="left semi"))


def complete_stages(work: Path, sweep: Sweep) -> list[Path]:
    """The folders of a sweep in which every run is trained; the last has most of the models."""
    folders = [folder_of(place, sweep) for place, _ in stages(work)]
    return [folder for folder in folders if is_complete(folder)]


def complete_sweeps(work: Path) -> list[Path]:
    """The folders of the sweeps of which every run is trained."""
    return [folder for sweep in SWEEPS if is_complete(folder := folder_of(work, sweep))]


def is_complete(folder: Path) -> bool:
    """Whether every run of a sweep is trained."""
    if not (folder / PLAN).is_file():
        return False
    progress = read_progress(folder)
    return progress.remaining == progress.failed == 0


def status(work: Path, kept: Path, shipped: Path) -> None:
    """Print how far each sweep is."""
    there = shipped_sweeps(shipped)
    for sweep in SWEEPS:
        state = "shipped" if sweep in there else "not begun here"
        for place, models in stages(work):
            folder = folder_of(place, sweep)
            if sweep not in there and (folder / PLAN).is_file():
                progress = read_progress(folder)
                state = f"{progress.done} of {models} trained, {progress.failed} failed"
        size = sum(path.stat().st_size for path in runs_of(kept, *sweep).glob("*"))
        print(f"{' '.join(map(str, sweep))}: {state}; {size:,} bytes kept")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "command",
        choices=("pilot", "train", "sizes", "score", "keep", "ship", "ship-pilot", "status"),
    )
    parser.add_argument("--work", type=Path, default=Path("mini-store"), help="folder to build in")
    parser.add_argument("--workers", type=int, help="runs side by side; a core each without it")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    asked = parser.parse_args()
    executor = LocalExecutor(asked.workers, asked.device)
    try:
        match asked.command:
            case "pilot":
                pilot(asked.work, KEPT_PILOT, SHIPPED, executor)
            case "train":
                train(asked.work, KEPT, KEPT_PILOT, SHIPPED, executor)
            case "sizes":
                sizes(asked.work, KEPT, executor)
            case "score":
                score(asked.work, KEPT, SHIPPED)
            case "keep":
                print(f"{keep_all(asked.work, KEPT, KEPT_PILOT, SHIPPED)} runs added")
            case "ship":
                ship(asked.work, KEPT, SHIPPED, HERE / "card.md")
            case "ship-pilot":
                piloted, card = asked.work / PILOT, HERE / "pilot-card.md"
                publish(piloted, SHIPPED_PILOT, card, PILOT_INITIALISATIONS)
            case "status":
                status(asked.work, KEPT, SHIPPED)
    except DipbenchError as error:
        parser.exit(2, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted; what is finished is there\n")


if __name__ == "__main__":
    main()
