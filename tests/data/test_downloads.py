import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dipbench.data.downloads import list_files
from dipbench.errors import DownloadError

CONTENT = np.random.default_rng(0).bytes(300_000)


def wait_for_bytes(process: subprocess.Popen[str], path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"{path.name} never had {count} bytes"
        time.sleep(0.02)


def test_what_is_fetched_is_whole_verified_and_fetched_once(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT, "b.csv": b"x,y\n", "empty": b""}
    assert zenodo.download(tmp_path / "out") == (0, "")
    for name, content in zenodo.files.items():
        assert (tmp_path / "out" / name).read_bytes() == content
    assert not list((tmp_path / "out").glob("*.part"))
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert zenodo.sent == {"a.zip": len(CONTENT), "b.csv": 4}


def test_a_download_killed_mid_file_goes_on_with_no_byte_fetched_twice(
    zenodo, tmp_path: Path
) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.hold_after = 100_000
    part = tmp_path / "out" / "a.zip.part"
    with zenodo.start(tmp_path / "out") as process:
        wait_for_bytes(process, part, 100_000)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "out" / "a.zip").exists()
    zenodo.hold_after = None
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert (tmp_path / "out" / "a.zip").read_bytes() == CONTENT
    assert zenodo.ranges == [None, "bytes=100000-"]
    assert zenodo.sent["a.zip"] == len(CONTENT)


def test_a_dropped_connection_goes_on_by_range_in_the_same_command(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.drop_after = [50_000, 60_000]
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert (tmp_path / "out" / "a.zip").read_bytes() == CONTENT
    assert zenodo.ranges == [None, "bytes=50000-", "bytes=110000-"]
    assert zenodo.sent["a.zip"] == len(CONTENT)


def test_a_server_that_ignores_ranges_is_asked_from_the_first_byte(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.honours_ranges = False
    zenodo.drop_after = [50_000]
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert (tmp_path / "out" / "a.zip").read_bytes() == CONTENT
    assert zenodo.sent["a.zip"] == 50_000 + len(CONTENT)


def test_a_busy_server_is_given_the_time_it_asks_for(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.busy = [(503, "1")]
    zenodo.busy_files = [(429, "1"), (503, "Wed, 21 Oct 2015 07:28:00 GMT")]
    start = time.monotonic()
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert time.monotonic() - start >= 2
    assert (tmp_path / "out" / "a.zip").read_bytes() == CONTENT


def test_a_server_that_asks_for_hours_is_not_waited_for(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.busy_files = [(429, "7200")]
    status, message = zenodo.download(tmp_path / "out")
    assert status == 1
    assert "asks to wait 7200 s" in message


def test_what_does_not_match_its_checksum_never_gets_its_name(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.wrong_checksums = True
    status, message = zenodo.download(tmp_path / "out")
    assert status == 1
    assert "a.zip does not match its md5 checksum" in message
    assert [p.name for p in (tmp_path / "out").iterdir() if p.name[0] != "."] == []


def test_one_bad_transfer_is_repeated(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.corrupt_once = True
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert (tmp_path / "out" / "a.zip").read_bytes() == CONTENT


def test_a_damaged_file_on_disk_is_fetched_again(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.zip").write_bytes(bytes(len(CONTENT)))
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert (tmp_path / "out" / "a.zip").read_bytes() == CONTENT


def test_a_partial_file_longer_than_the_file_is_dropped(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.zip.part").write_bytes(CONTENT + b"more")
    assert zenodo.download(tmp_path / "out") == (0, "")
    assert (tmp_path / "out" / "a.zip").read_bytes() == CONTENT


def test_a_file_name_that_leaves_the_folder_is_refused(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"../outside": CONTENT}
    status, message = zenodo.download(tmp_path / "out")
    assert status == 1
    assert "no plain file name" in message
    assert not (tmp_path / "outside").exists()


def test_a_second_download_into_the_same_folder_is_refused(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.hold_after = 1000
    part = tmp_path / "out" / "a.zip.part"
    with zenodo.start(tmp_path / "out") as process:
        wait_for_bytes(process, part, 1000)
        status, message = zenodo.download(tmp_path / "out")
        process.kill()
    assert status == 1
    assert "another download" in message


def test_dry_run_lists_files_and_fetches_none(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT, "b.csv": b"x,y\n"}
    out = tmp_path / "out"
    done = zenodo.run_command("download", "isnas-dip", "--out", str(out), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    checksum = hashlib.md5(CONTENT).hexdigest()
    assert checksum in done.stdout
    assert "300000" in done.stdout
    assert not out.exists()
    assert not zenodo.sent


def test_offline_says_what_is_missing(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT, "b.csv": b"x,y\n"}
    out = tmp_path / "out"
    arguments = ("download", "isnas-dip", "--out", str(out), "--no-import")
    done = zenodo.run_command(*arguments, "--offline")
    assert done.returncode == 1
    assert "all of record 6351599" in done.stderr
    assert zenodo.run_command(*arguments).returncode == 0
    assert zenodo.run_command(*arguments, DIPBENCH_OFFLINE="1").returncode == 0
    (out / "b.csv").unlink()
    done = zenodo.run_command(*arguments, DIPBENCH_OFFLINE="1")
    assert done.returncode == 1
    assert "missing or incomplete" in done.stderr
    assert "b.csv" in done.stderr
    assert "a.zip" not in done.stderr


@pytest.mark.parametrize(
    ("said", "offline"),
    [("", False), ("0", False), ("false", False), ("No", False), ("1", True), ("yes", True)],
)
def test_the_environment_says_whether_to_ask_no_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, offline: bool
) -> None:
    monkeypatch.setenv("DIPBENCH_OFFLINE", said)
    monkeypatch.setattr("dipbench.data.downloads.list_record", lambda dataset: [])
    if offline:
        with pytest.raises(DownloadError, match="offline, and isnas-dip was never downloaded"):
            list_files("isnas-dip", tmp_path)
    else:
        assert list_files("isnas-dip", tmp_path) == []


def test_ctrl_c_ends_a_download_at_once(zenodo, tmp_path: Path) -> None:
    zenodo.files = {"a.zip": CONTENT}
    zenodo.hold_after = 1000
    with zenodo.start(tmp_path / "out") as process:
        wait_for_bytes(process, tmp_path / "out" / "a.zip.part", 1000)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert (tmp_path / "out" / "a.zip.part").stat().st_size == 1000


def test_what_is_downloaded_is_imported_and_answers(zenodo, tmp_path: Path) -> None:
    tree = Path(__file__).parent / "legacy_tree"
    for name, folder in {"benchmark.tar.gz": "benchmark", "images.zip": "images"}.items():
        kind = "zip" if name.endswith("zip") else "gztar"
        archive = shutil.make_archive(str(tmp_path / folder), kind, tree, folder)
        zenodo.files[name] = Path(archive).read_bytes()
    zenodo.files["README.md"] = b"about the data"
    done = zenodo.run_command("download", "isnas-dip")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 runs imported" in done.stdout
    done = zenodo.run_command("best", "camera_64", "denoising", "--store", "isnas-dip", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["psnr"] == pytest.approx(13.178037643432617)
    done = zenodo.run_command("download", "isnas-dip", "--json")
    assert json.loads(done.stdout)["already"] == 12
    assert zenodo.sent == {name: len(content) for name, content in zenodo.files.items()}


def test_an_unknown_dataset_lists_the_known_ones(zenodo) -> None:
    done = zenodo.run_command("download", "isnas")
    assert done.returncode == 2
    assert "did you mean 'isnas-dip'?" in done.stderr


def test_without_the_extra_the_command_says_how_to_install_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['zenodo_get'] = None\n"
        "from dipbench.data.downloads import list_files; list_files('isnas-dip', sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.splitlines()[-1].endswith('run: pip install "dipbench[download]"')


@pytest.mark.slow
def test_an_unreachable_server_is_one_line(zenodo, tmp_path: Path) -> None:
    zenodo.environment["HTTPS_PROXY"] = "http://127.0.0.1:9"
    zenodo.busy = []
    status, message = zenodo.download(tmp_path / "out")
    assert status == 1
    assert "the list of record 6351599 could not be had" in message
