"""Damaged, foreign, hostile and changing stores: one line each, never a crash or a wrong number."""

import errno
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipbench.benchmark import Benchmark, load
from dipbench.benchmark.adding import add
from dipbench.benchmark.card import CARD
from dipbench.benchmark.compacting import compact
from dipbench.benchmark.schema import Run
from dipbench.benchmark.scorefiles import commit_scores, committed_scores
from dipbench.benchmark.store import MANIFEST, read_manifest, write_table, writing
from dipbench.benchmark.verifying import verify
from dipbench.errors import DipbenchError, StoreError
from dipbench.files import file_sha256
from dipbench.genotypes import ISNAS522

TASK = "denoising-25"

# In a process of its own, since a damaged file may end it: prints what each question gave.
PROBE = """
import json, sys
from pathlib import Path
import dipbench
from dipbench.benchmark.verifying import verify
from dipbench.errors import DipbenchError

def answers(folder):
    bench = dipbench.load(folder)
    found = {"protocol": str(bench.protocol), "coverage": bench.coverage().to_dict("list")}
    for image in bench.images:
        for task in bench.tasks:
            for by in ("best_psnr_smooth", "best_psnr", "final_psnr_smooth", "final_psnr", 3):
                found[f"{image} {task} {by}"] = [repr(r) for r in bench.top(image, task, 99, by)]
            for model in bench.models:
                for kind in ("psnr", "psnr_smooth", "loss"):
                    curve = bench.curve(model, image, task, kind)
                    found[f"{model} {image} {task} {kind}"] = curve.tolist()
    found["scores"] = bench.scores().to_json()
    return found

def outcome(folder):
    try:
        said = ("answered", answers(folder))
    except DipbenchError as error:
        said = ("refused", str(error))
    return [*said, verify(folder)]

for line in sys.stdin:
    print(json.dumps(outcome(Path(line.strip()))), flush=True)
"""


@contextmanager
def prober() -> Iterator[Callable[[Path], list]]:
    """A process that asks stores, until it ends by itself, which is a crash."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROBE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def ask(folder: Path) -> list:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{folder}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            _, said = process.communicate()
            pytest.fail(f"the reader ended with {process.returncode} on {folder}: {said[-2000:]}")
        return json.loads(answer)

    try:
        yield ask
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A store that `verify` passes: three models, two images, scores, pictures."""
    from dipbench.benchmark.merging import merge
    from dipbench.benchmark.parts import write_part
    from dipbench.benchmark.schema import RunKey
    from dipbench.benchmark.scorefiles import SCORES_SCHEMA, commit_scores
    from dipbench.benchmark.store import PARTS, Manifest
    from dipbench.data import load_image, parse_task
    from dipbench.evaluate.protocol import get_protocol

    folder = tmp_path_factory.mktemp("sound") / "s"
    folder.mkdir()
    rng = np.random.default_rng(0)
    pictures = [load_image(name, size=64) for name in ("camera", "coins")]
    observations = {(p.name, TASK): parse_task(TASK).observe(p, 0) for p in pictures}
    runs, scores = [], []
    for model in map(str, sorted(ISNAS522)[:3]):
        for picture in pictures:
            psnr = rng.uniform(20, 30, 20).astype(np.float32)
            curves = {"psnr": psnr, "psnr_smooth": psnr - 1, "loss": 10 ** (-psnr / 10)}
            facts = {
                "parameters": 10**6,
                "seconds": 1.5,
                "observation_sha256": observations[picture.name, TASK].sha256,
            }
            runs.append(Run(RunKey(model, picture.name, TASK, 0), "finished", "", curves, facts))
            row = (model, picture.name, TASK, "grad_norm", 0, float(psnr[0]), "search", "")
            scores.append(dict(zip(SCORES_SCHEMA.names, row, strict=True)))
    write_part(folder / PARTS, runs)
    blank = Manifest(
        name="sound",
        generation=0,
        protocol=get_protocol("quick").with_iterations(20).to_record(),
        tasks=(TASK,),
        images={p.name: p.sha256 for p in pictures},
        observation_seed=0,
        environment={"python": "3.11"},
        content_sha256="",
        files={},
    )
    merge(folder, blank, pictures, observations)
    commit_scores(folder, pa.Table.from_pylist(scores, schema=SCORES_SCHEMA))
    assert verify(folder) == []
    return folder


def damage(folder: Path, rng: np.random.Generator) -> str:
    """Damage one file of a store at random, and say how."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != CARD)
    path = folder / names[int(rng.integers(len(names)))]
    data = bytearray(path.read_bytes())
    way = rng.choice(["flip", "flip", "flip", "flip many", "truncate", "zero", "field", "swap"])
    if way == "field" and path.name == MANIFEST:
        record = json.loads(data)
        inner = record
        while True:
            key = list(inner)[int(rng.integers(len(inner)))]
            if isinstance(inner[key], dict) and inner[key] and rng.random() < 0.7:
                inner = inner[key]
                continue
            if rng.random() < 0.5:
                del inner[key]
            else:
                inner[key] = [None, -1, "x", [], {}, 1e300, True][int(rng.integers(7))]
            break
        data = bytearray(json.dumps(record).encode())
    elif way == "truncate":
        del data[int(rng.integers(len(data))) :]
    elif way == "zero":
        start = int(rng.integers(len(data)))
        stop = min(len(data), start + int(rng.integers(1, 512)))
        data[start:stop] = bytes(stop - start)
    elif way == "swap":
        start, other = rng.integers(len(data), size=2).tolist()
        data[start : start + 64], data[other : other + 64] = (
            data[other : other + 64],
            data[start : start + 64],
        )
    else:
        for place in rng.integers(len(data), size=1 if way == "flip" else 20).tolist():
            data[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return f"{way} in {path.name}"


def fuzz(sound: Path, tmp_path: Path, seeds: range) -> dict[str, int]:
    counts = {"refused": 0, "answered right": 0, "answered wrong, verify fails": 0}
    with prober() as ask:
        said, expected, problems = ask(sound)
        assert (said, problems) == ("answered", [])
        for seed in seeds:
            folder = tmp_path / "damaged"
            copytree(sound, folder)
            what = damage(folder, np.random.default_rng(seed))
            said, found, problems = ask(folder)
            assert all("\n" not in problem for problem in problems), (seed, what)
            if said == "refused":
                assert "\n" not in found, (seed, what, found)
                counts["refused"] += 1
            elif found == expected:
                counts["answered right"] += 1
            else:
                assert problems, f"seed {seed}, {what}: a wrong answer that verify passes"
                counts["answered wrong, verify fails"] += 1
            rmtree(folder)
    return counts


def test_forty_damaged_stores_never_crash_nor_deceive_verify(sound: Path, tmp_path: Path) -> None:
    fuzz(sound, tmp_path, range(40))


def test_twenty_damaged_compact_stores_neither(sound: Path, tmp_path: Path) -> None:
    compact(sound, tmp_path / "compact")
    fuzz(tmp_path / "compact", tmp_path, range(1000, 1020))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_damaged_stores_never_crash_nor_deceive_verify(
    sound: Path, tmp_path: Path
) -> None:
    print(fuzz(sound, tmp_path, range(1000)))


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(copytree(sound, tmp_path / "store"))


def recommit(folder: Path, role: str, path: Path) -> None:
    """Make another file the store's, hashes and all, as a careless writer would."""
    manifest = read_manifest(folder)
    entry = {"name": path.name, "size": path.stat().st_size, "sha256": file_sha256(path)}
    changed = replace(manifest, files={**manifest.files, role: entry})
    (folder / MANIFEST).write_text(changed.to_json())


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(DipbenchError) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_path_that_is_no_store_says_what_to_do(tmp_path: Path) -> None:
    refused(lambda: Benchmark(tmp_path / "none"), "no such folder")
    refused(lambda: load(tmp_path), "dipbench train")
    (tmp_path / "file").write_text("x")
    refused(lambda: Benchmark(tmp_path / "file"), "no benchmark", "it is a file")
    assert len(verify(str(tmp_path / "file"))) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "{}", '{"schema": "1"}', "\x00\xff", "{" * 9999]
)
def test_a_manifest_that_is_none_is_one_line(store: Path, content: str) -> None:
    (store / MANIFEST).write_bytes(content.encode("latin-1"))
    refused(lambda: Benchmark(store), "benchmark.json is damaged", "restore it")
    assert len(verify(store)) == 1


def test_a_file_outside_the_folder_is_refused(store: Path) -> None:
    record = json.loads((store / MANIFEST).read_text())
    record["files"]["runs"]["name"] = "../../etc/passwd"
    (store / MANIFEST).write_text(json.dumps(record))
    refused(lambda: Benchmark(store), "outside")


def test_a_foreign_parquet_file_is_one_line(store: Path) -> None:
    write_table(pa.table({"a": [1, 2]}), store / "runs-7.parquet")
    recommit(store, "runs", store / "runs-7.parquet")
    refused(lambda: Benchmark(store).best("camera", TASK))
    assert any("lack the columns" in problem for problem in verify(store))


def test_a_foreign_hdf5_file_is_one_line(store: Path) -> None:
    with h5py.File(store / "curves-7.h5", "w") as file:
        file.create_group(f"camera/{TASK}").create_dataset("length", data="many")
    recommit(store, "curves", store / "curves-7.h5")
    refused(lambda: Benchmark(store).curve(Benchmark(store).models[0], "camera", TASK))
    assert verify(store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.slice(1), "not numbered|disagree"),
        (lambda rows: pa.concat_tables([rows, rows.slice(0, 1)]), "recorded twice"),
        (lambda rows: rows.take(pa.array([0, 3, 1, 4, 2, 5])), "not sorted"),
        (lambda rows: rows.take(pa.array([0, 1, 2, 4, 3, 5])), "not sorted"),
        (lambda rows: replaced(rows, "best_psnr", [1.0] * 6), "summaries differ"),
        (lambda rows: replaced(rows, "best_psnr_smooth", [None] * 6), "summaries differ"),
        (lambda rows: replaced(rows, "length", [19] * 6), "lengths"),
        (lambda rows: replaced(rows, "row", [2, 1, 0] * 2), "not numbered"),
        (lambda rows: replaced(rows, "status", ["done"] * 6), "unknown statuses"),
        (lambda rows: replaced(rows, "observation_sha256", ["0" * 64] * 6), "no run was trained"),
        (lambda rows: of_two_observations(rows), "trained on 2 observations, not on one"),
        (lambda rows: replaced(rows, "image", ["x"] * 6), "without a hash"),
        (lambda rows: rows.drop_columns(["macs"]), "lack the columns macs"),
    ],
)
def test_rows_that_do_not_fit_are_found_though_all_hashes_are_right(
    store: Path, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    rows = pq.read_table(store / str(read_manifest(store).files["runs"]["name"]))
    write_table(change(rows), store / "runs-7.parquet")
    recommit(store, "runs", store / "runs-7.parquet")
    problems = verify(store)
    assert any(re.search(message, problem) for problem in problems), problems


def of_two_observations(rows: pa.Table) -> pa.Table:
    return replaced(
        rows, "observation_sha256", [*rows["observation_sha256"].to_pylist()[:5], "0" * 64]
    )


def test_scores_that_are_there_twice_are_found(store: Path) -> None:
    scores = committed_scores(store)
    commit_scores(store, pa.concat_tables([scores, scores.slice(2, 2)]))
    assert verify(store) == ["2 scores are recorded twice"]


def replaced(rows: pa.Table, name: str, values: list) -> pa.Table:
    place = rows.column_names.index(name)
    return rows.set_column(
        place, rows.schema.field(name), pa.array(values, rows.schema.field(name).type)
    )


def test_curves_of_another_run_are_found_though_all_hashes_are_right(store: Path) -> None:
    source = store / str(read_manifest(store).files["curves"]["name"])
    changed = store / "curves-7.h5"
    changed.write_bytes(source.read_bytes())
    with h5py.File(changed, "r+") as file:
        data = file[f"camera/{TASK}/psnr"]
        data[0] = data[0][::-1]
    recommit(store, "curves", changed)
    assert any("content hash" in problem for problem in verify(store))


def test_a_manifest_edited_by_hand_is_found(store: Path) -> None:
    text = (store / MANIFEST).read_text()
    (store / MANIFEST).write_text(text.replace('"observation_seed": 0', '"observation_seed": 1'))
    assert verify(store) == [
        "benchmark.json differs from its own SHA-256: it was damaged or edited"
    ]


def test_a_reader_keeps_its_generation_while_the_store_is_written(
    store: Path, models: list[str], add_runs: Callable[..., object], make_run: Callable[..., Run]
) -> None:
    reader = Benchmark(store)
    model = reader.models[0]
    add_runs(store, [make_run(models[-1], "camera", TASK, psnr=(40.0, 41.0))])
    assert reader.best("camera", TASK).psnr < 40
    assert len(reader.curve(model, "camera", TASK)) == 20
    newer = Benchmark(store)
    assert newer.best("camera", TASK).psnr == 40
    np.testing.assert_array_equal(
        newer.curve(model, "camera", TASK), reader.curve(model, "camera", TASK)
    )


def test_a_half_written_generation_is_never_seen(store: Path) -> None:
    expected = repr(Benchmark(store).top("camera", TASK))
    (store / "runs-9.parquet").write_bytes(b"half")
    (store / ".benchmark.json.1234.tmp").write_text("{")
    (store / "curves-9.h5").write_bytes(b"")
    assert repr(Benchmark(store).top("camera", TASK)) == expected
    assert verify(store) == []


def test_read_only_media_are_read_and_refused_for_writing(
    sound: Path, mount_disk: Callable[[str], Path]
) -> None:
    disk = mount_disk("24m")
    folder = Path(copytree(sound, disk / "store"))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert Benchmark(folder).best("camera", TASK).psnr > 0
    assert len(Benchmark(folder).curve(Benchmark(folder).models[0], "camera", TASK)) == 20
    assert verify(folder) == []
    with pytest.raises(StoreError, match="cannot write") as caught:
        add(folder, sound)
    assert "\n" not in str(caught.value)


def test_what_the_system_refuses_is_not_called_damage(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        with pytest.raises(StoreError, match=r"json cannot be read: Too many open files$"):
            Benchmark(store)


def test_a_disk_without_locks_is_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, tried = h5py.File, []

    def without_locks(path: Path, mode: str = "r", **how: Any) -> h5py.File:
        tried.append(how)
        if how.get("locking") is not False:
            raise OSError(errno.ENOLCK, "No locks available")
        return opened(path, mode, **how)

    bench = Benchmark(store)
    monkeypatch.setattr(h5py, "File", without_locks)
    assert len(bench.curve(bench.models[0], *bench.pairs[0]))
    assert tried == [{}, {"locking": False}]


def test_a_card_that_cannot_be_written_neither_fails_a_commit_nor_leaves_files(store: Path) -> None:
    (store / CARD).unlink()
    (store / CARD).mkdir()
    before = read_manifest(store).generation
    for generation in range(before + 1, before + 4):
        with pytest.warns(UserWarning, match=r"README\.md could not be written"):
            made = commit_scores(store, committed_scores(store))
        assert read_manifest(store).generation == made.generation == generation
    assert verify(store) == []
    assert len(list(store.glob("scores-*"))) == 2  # and those of the generation before


def test_a_pipe_that_is_closed_is_not_the_disk(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), writing(tmp_path):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
