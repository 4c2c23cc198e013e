"""Two benchmarks become one, or the reason why not is named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from dipbench.benchmark import Benchmark, adding
from dipbench.benchmark.adding import add
from dipbench.benchmark.merging import merge
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.schema import Run
from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores
from dipbench.benchmark.store import (
    MANIFEST,
    PARTS,
    Manifest,
    commit,
    file_of,
    read_manifest,
)
from dipbench.benchmark.verifying import verify
from dipbench.data import load_image, parse_task
from dipbench.errors import StoreError
from dipbench.evaluate.protocol import get_protocol

TASK = "denoising-25"
QUICK = get_protocol("quick").with_iterations(3)


@pytest.fixture
def make_store(tmp_path: Path, make_run: Callable[..., Run]) -> Callable[..., Path]:
    """A sound store with real images, some curves and a score a model."""

    def make(
        name: str,
        models: list[str],
        images: tuple[str, ...] = ("camera",),
        size: int = 64,
        level: float = 20.0,
        status: str = "finished",
        score: float | None = 1.0,
        **manifest: Any,
    ) -> Path:
        folder = tmp_path / name
        pictures = [load_image(image, size=size) for image in images]
        runs = []
        for number, model in enumerate(models):
            for image in images:
                psnr = level + np.array([0.0, 1.0, 0.5]) + number
                runs.append(make_run(model, image, TASK, 0, psnr.tolist(), status))
        write_part(folder / PARTS, runs)
        blank = Manifest(
            name=name,
            generation=0,
            protocol=QUICK.to_record(),
            tasks=(TASK,),
            images={picture.name: picture.sha256 for picture in pictures},
            observation_seed=0,
            environment={},
            content_sha256="",
            files={},
        )
        blank = replace(blank, **manifest)
        seed = blank.observation_seed
        observations = {(p.name, TASK): parse_task(TASK).observe(p, seed) for p in pictures}
        merge(folder, blank, pictures, observations)
        rows = [
            dict(
                zip(
                    SCORES_SCHEMA.names,
                    (m, i, TASK, "grad_norm", 0, score, "search", ""),
                    strict=True,
                )
            )
            for m in models
            for i in images
        ]
        commit_scores(folder, pa.Table.from_pylist(rows, schema=SCORES_SCHEMA))
        return folder

    return make


def test_the_sum_is_what_one_build_would_have_made(
    make_store: Callable[..., Path], models: list[str]
) -> None:
    whole = make_store("whole", models[:5], ("camera", "coins"))
    mine = make_store("mine", models[:2], ("camera", "coins"))
    theirs = make_store("theirs", models[2:5], ("camera", "coins"), level=22.0)
    before = sorted(path.read_bytes() for path in theirs.iterdir() if path.is_file())
    added = add(mine, theirs)
    assert (added.runs, added.alike, added.scores) == (6, 0, 6)
    assert added.manifest.content_sha256 == read_manifest(whole).content_sha256
    assert verify(mine) == []
    assert sorted(path.read_bytes() for path in theirs.iterdir() if path.is_file()) == before
    bench = Benchmark(mine)
    assert bench.models == Benchmark(whole).models
    assert len(bench.scores()) == 10
    again = add(mine, theirs)
    assert (again.runs, again.alike, again.scores) == (0, 6, 0)
    assert again.manifest.generation == added.manifest.generation


def test_a_new_image_comes_with_its_pictures(
    make_store: Callable[..., Path], models: list[str]
) -> None:
    mine = make_store("mine", models[:2], ("camera",))
    theirs = make_store("theirs", models[:2], ("coins",))
    add(mine, theirs)
    assert verify(mine) == []
    assert Benchmark(mine).images == ("camera", "coins")


def test_a_failed_run_gives_way_to_one_that_succeeded(
    make_store: Callable[..., Path], models: list[str]
) -> None:
    mine = make_store("mine", models[:1], status="failed")
    theirs = make_store("theirs", models[:1])
    assert add(mine, theirs).runs == 1
    assert Benchmark(mine).best("camera", TASK).psnr == 20.0
    backwards = make_store("backwards", models[:1], status="failed")
    assert add(mine, backwards).runs == 0
    for store in (backwards, make_store("alone", models[1:2], status="failed")):
        # A divergence is a result: what failed gives way to it.
        name = "diverged-" + store.name
        diverged = make_store(
            name, models[:1] if store == backwards else models[1:2], status="diverged"
        )
        assert add(store, diverged).runs == 1


def test_a_failed_score_gives_way_to_a_value_in_one_commit_with_the_runs(
    make_store: Callable[..., Path], models: list[str]
) -> None:
    mine = make_store("mine", models[:1], score=None)
    theirs = make_store("theirs", models[:2], score=2.0)
    before = read_manifest(mine).generation
    added = add(mine, theirs)
    assert (added.runs, added.scores) == (1, 2)
    assert added.manifest.generation == before + 1
    assert Benchmark(mine).scores()["value"].tolist() == [2.0, 2.0]
    assert add(theirs, make_store("failed", models[:1], score=None)).scores == 0


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"level": 21.0}, "1 runs that both hold, and differ: .* on camera, denoising-25, seed 0"),
        ({"size": 96}, "1 images of one name with two contents: camera"),
        ({"observation_seed": 1}, "drew its observations with seed 1"),
        (
            {"protocol": QUICK.replace(learning_rate=0.5).to_record()},
            r"another protocol .*\(learning_rate\)",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_and_named(
    make_store: Callable[..., Path], models: list[str], other: dict[str, Any], message: str
) -> None:
    mine = make_store("mine", models[:1])
    theirs = make_store("theirs", models[:1], **other)
    before = (mine / MANIFEST).read_bytes()
    with pytest.raises(StoreError, match=message) as caught:
        add(mine, theirs)
    assert "\n" not in str(caught.value)
    assert (mine / MANIFEST).read_bytes() == before


def test_scores_that_differ_stay_and_are_counted(
    make_store: Callable[..., Path], models: list[str]
) -> None:
    mine = make_store("mine", models[:2])
    theirs = make_store("theirs", models[:3], score=1.0 + 2**-52)
    added = add(mine, theirs)
    assert (added.runs, added.scores, added.differing) == (1, 1, 2)
    assert sorted(Benchmark(mine).scores()["value"]) == [1.0, 1.0, 1.0 + 2**-52]
    again = add(mine, theirs)
    assert (again.runs, again.scores, again.differing) == (0, 0, 2)
    assert again.manifest.generation == added.manifest.generation


@pytest.mark.parametrize("unmerged", ["mine", "other"])
def test_runs_that_are_not_merged_yet_are_merged_first(
    make_store: Callable[..., Path], make_run: Callable[..., Run], models: list[str], unmerged: str
) -> None:
    mine, other = make_store("mine", models[:2]), make_store("other", models[2:4])
    folder = mine.with_name(unmerged)
    write_part(folder / PARTS, [make_run(models[5])])
    with pytest.raises(StoreError, match=f"not merged yet: `dipbench finish {folder}` does it"):
        add(mine, other)


def test_runs_that_a_training_adds_meanwhile_are_left_to_finish(
    make_store: Callable[..., Path],
    make_run: Callable[..., Run],
    models: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, other = make_store("mine", models[:2]), make_store("other", models[2:4])
    compare, parts = adding._compare, []

    def meanwhile(*given: Any) -> tuple[int, int]:
        parts.append(write_part(mine / PARTS, [make_run(models[0], "coins", TASK)]))
        return compare(*given)

    monkeypatch.setattr(adding, "_compare", meanwhile)
    assert add(mine, other).runs == 2
    assert parts[0].is_file()
    assert verify(mine) == []
    assert Benchmark(mine).images == ("camera",)


def test_a_failed_run_is_not_alike_one_that_succeeded(
    make_store: Callable[..., Path], models: list[str]
) -> None:
    mine = make_store("mine", models[:2])
    other = make_store("other", models[:2], status="failed", score=None)
    assert (add(mine, other).runs, add(mine, other).alike) == (0, 0)


def test_a_damaged_store_is_not_added(make_store: Callable[..., Path], models: list[str]) -> None:
    mine, theirs = make_store("mine", models[:1]), make_store("theirs", models[1:2])
    path = theirs / str(read_manifest(theirs).files["curves"]["name"])
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"cannot be added: .*differs from its SHA-256"):
        add(mine, theirs)


def test_runs_with_and_without_a_seed_do_not_come_together(
    make_store: Callable[..., Path], models: list[str], make_run: Callable[..., Run]
) -> None:
    mine, theirs = make_store("mine", models[:1]), make_store("theirs", models[1:2])
    write_part(theirs / PARTS, [make_run(models[2], "camera", TASK, None)])
    camera = load_image("camera", size=64)
    observations = {("camera", TASK): parse_task(TASK).observe(camera, 0)}
    merge(theirs, read_manifest(theirs), [camera], observations)
    before = read_manifest(mine)
    with pytest.raises(StoreError, match=r"1 images with tasks .* one benchmark alone .*: camera "):
        add(mine, theirs)
    assert read_manifest(mine) == before


def test_what_was_imported_stays_known(make_store: Callable[..., Path], models: list[str]) -> None:
    mine, theirs = make_store("mine", models[:1]), make_store("theirs", models[1:2])
    manifest = read_manifest(theirs)
    imported = {"imported_from": ["benchmark.zip"]}
    roles = {role: file_of(theirs, manifest, role) for role in manifest.files}
    commit(theirs, replace(manifest, generation=9, further=imported), roles)
    grown = add(mine, theirs).manifest
    assert grown.is_imported
    assert grown.further == imported
