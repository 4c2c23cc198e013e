"""The card beside the data, and the readers that the documentation shows."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.building import finish
from dipbench.benchmark.card import CARD, COLUMNS, MARK
from dipbench.benchmark.compacting import compact
from dipbench.benchmark.parts import write_part
from dipbench.benchmark.pictures import read_observation
from dipbench.benchmark.plan import PLAN_PICTURES, Plan
from dipbench.benchmark.schema import RUNS_SCHEMA, Run
from dipbench.benchmark.store import PARTS, read_manifest

PAGE = Path(__file__).parents[2] / "docs" / "reading-the-files.md"
SNIPPETS = re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", PAGE.read_text(), re.M | re.S)


@pytest.fixture
def store(tmp_path: Path, make_run: Callable[..., Run], models: list[str], add_runs) -> Path:
    runs = [
        make_run(model, image, seed=seed, psnr=(20.0, 21.0 + number + seed / 4, 20.5))
        for number, model in enumerate(models)
        for image in ("camera", "coins")
        for seed in (0, 1)
    ]
    add_runs(tmp_path, runs)
    return tmp_path


@pytest.fixture
def sound(
    tmp_path: Path,
    frozen_plan: Callable[..., Plan],
    make_run: Callable[..., Run],
) -> Path:
    """A store with its images, which alone can be copied."""
    plan = frozen_plan(tmp_path / "sound", iterations=5)
    observed = read_observation(tmp_path / "sound" / PLAN_PICTURES, ("camera", "denoising-25"))
    psnr = [20.0, 21.0, 22.0, 21.5, 21.0]
    facts = {"observation_sha256": observed.sha256}
    runs = [make_run(*key, psnr=psnr, **facts) for key in plan.run_keys()]
    write_part(tmp_path / "sound" / PARTS, runs)
    finish(tmp_path / "sound")
    return tmp_path / "sound"


def header(folder: Path) -> dict:
    yaml = pytest.importorskip("yaml")
    _, text, _ = (folder / CARD).read_text().split("---\n", 2)
    return yaml.safe_load(text)


def test_every_column_is_explained() -> None:
    assert list(COLUMNS) == RUNS_SCHEMA.names


def test_the_header_names_the_files_of_this_generation(store: Path) -> None:
    found = header(store)
    manifest = read_manifest(store)
    assert found["pretty_name"] == manifest.name
    assert found["size_categories"] == ["n<1K"]
    runs = next(config for config in found["configs"] if config["config_name"] == "runs")
    assert runs["data_files"] == manifest.files["runs"]["name"]
    text = (store / CARD).read_text()
    assert manifest.content_sha256 in text
    assert all(entry["sha256"] in text for entry in manifest.files.values())


def test_it_follows_the_generations_but_keeps_a_text_of_ones_own(
    store: Path, make_run: Callable[..., Run], models: list[str], add_runs
) -> None:
    add_runs(store, [make_run(models[0], "rocket")])
    assert "runs-2-" in (store / CARD).read_text()
    (store / CARD).write_text((store / CARD).read_text().replace(MARK + "\n", ""))
    own = (store / CARD).read_text()
    add_runs(store, [make_run(models[1], "rocket")])
    assert (store / CARD).read_text() == own


def test_names_cannot_break_the_header(
    tmp_path: Path, make_run: Callable[..., Run], models: list[str], add_runs
) -> None:
    from dataclasses import replace

    from dipbench.benchmark.card import card_text

    add_runs(tmp_path, [make_run(models[0])])
    hostile = replace(read_manifest(tmp_path), name='a"b: |\n- c')
    runs = pq.read_table(tmp_path / str(hostile.files["runs"]["name"]))
    (tmp_path / CARD).write_text(card_text(hostile, runs))
    assert header(tmp_path)["pretty_name"] == hostile.name


def test_it_counts_what_was_trained_by_image_and_task(
    tmp_path: Path, make_run: Callable[..., Run], models: list[str], add_runs
) -> None:
    rising, falling = (20.0, *(21.0,) * 39, 22.0), (20.0, 22.0, *(21.0,) * 39)
    runs = [
        make_run(models[0], seed=0, psnr=rising, seconds=1800.0, device="a"),
        make_run(models[1], seed=1, psnr=falling, seconds=5400.0, device="b"),
        make_run(models[2], seed=1, psnr=falling[:3], status="diverged"),
        make_run(models[0], "coins", seed=0, psnr=falling),
    ]
    add_runs(tmp_path, runs)
    text = (tmp_path / CARD).read_text()
    assert "| camera | denoising-25 | 0, 1 | 3 | 3 | 2 | 0 | 1 | 0 | 1 | 2.00 | a; b |" in text
    assert "| coins | denoising-25 | 0 | 1 | 1 | 1 | 0 | 0 | 0 | 0 |  |  |" in text
    assert "license" not in text


def test_a_compact_copy_has_the_sections_that_a_dataset_needs(sound: Path, tmp_path: Path) -> None:
    compact(sound, tmp_path / "c", 4, licence="CC-BY-4.0", card={"Known limits": "Small | one."})
    assert header(tmp_path / "c")["license"] == "cc-by-4.0"
    text = (tmp_path / "c" / CARD).read_text()
    heads = re.findall(r"^## (.+)$", text, re.M)
    assert heads == [
        "Files", "How it was made", "Columns of the runs", "Curves", "Images",
        "Environment that all runs have in common", "Known limits", "Licence",
    ]  # fmt: skip
    assert "Of every 4 iterations the last is kept" in text
    assert "\n\nSmall | one.\n\n" in text
    rows = pq.read_table(next((tmp_path / "c").glob("runs-*.parquet")))
    assert all(f"| `{name}` |" in text for name in rows.column_names)


@pytest.mark.parametrize(("reader", "code"), SNIPPETS, ids=[name for name, _ in SNIPPETS])
def test_each_snippet_of_the_documentation_runs_and_agrees(
    store: Path, reader: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"DuckDB": "duckdb", "Polars": "polars"}.get(reader, "pandas"))
    monkeypatch.chdir(store)
    scope: dict = {}
    exec(compile(code, str(PAGE), "exec"), scope)
    bench = Benchmark(store)
    top = bench.top("camera", "denoising-25", 10)
    best = scope.get("best")
    match reader:
        case "pandas":
            assert dict(best) == pytest.approx({result.model: result.psnr for result in top})
        case "DuckDB":
            assert [(row[0], row[1]) for row in best] == [
                (result.model, pytest.approx(result.psnr)) for result in top
            ]
        case "Polars":
            assert best["model"].to_list() == [result.model for result in top]
        case "Curves":
            first = scope["first"]
            expected = bench.curve(first["model"], "camera", "denoising-25", seed=first["seed"])
            assert scope["curve"].tolist() == expected.tolist()
        case _:
            pytest.fail(f"no check for {reader}")


def test_the_curves_of_a_compact_copy_are_read_as_shown(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compact(sound, tmp_path / "c", 2)
    section = PAGE.read_text().partition("## Curves")[2].partition("\n## ")[0]
    monkeypatch.chdir(tmp_path / "c")
    scope: dict = {}
    for code in re.findall(r"```python\n(.*?)```", section, re.S):
        exec(compile(code, str(PAGE), "exec"), scope)
    expected = Benchmark(tmp_path / "c").curve(scope["first"]["model"], "camera", "denoising-25")
    assert len(expected) == 2
    assert scope["curve"].tolist() == pytest.approx(expected.tolist())


def test_four_readers_are_shown() -> None:
    assert [name for name, _ in SNIPPETS] == ["pandas", "DuckDB", "Polars", "Curves"]
