"""Scripts for SLURM: sound by shellcheck, and run by a SLURM of two nodes where there is one."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from dipbench.benchmark import Benchmark
from dipbench.benchmark.executors.slurm import Allocation, sbatch_script
from dipbench.errors import DipbenchError

TRAIN = ["--images", "camera", "--models", "deep-decoder", "--protocol", "quick"]
TRAIN += ["--iterations", "3", "--seeds", "0,1,2,3"]
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort=26817
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[26818-26819] CPUs=1 State=UNKNOWN
PartitionName=p Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


@pytest.mark.parametrize("form", ["ray", "array"])
@pytest.mark.parametrize("gpus", [0, 4])
@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_pass_shellcheck(form: str, gpus: int, tmp_path: Path) -> None:
    allocation = Allocation(form, 3, 8, gpus, "1-00:00:00", "long")
    text = sbatch_script(tmp_path / "store", allocation, ["--images", "a b's.png"])
    done = subprocess.run(["shellcheck", "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not re.search("@[A-Z]+@", text)
    options = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert "#SBATCH --partition=long" in options
    assert any("gpus-per" in line for line in options) == (gpus > 0)
    assert ("--device cuda" in text) == (gpus > 0)
    assert ("export GLIBC_TUNABLES=" in text) == (form == "ray" and gpus == 0)
    (command,) = [line for line in text.splitlines() if line.startswith("dipbench train")]
    assert shlex.split(command)[-3:] == ["--images", "a b's.png", "&"]


def test_a_script_that_could_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DipbenchError, match="choose ray or array"):
        Allocation("kubernetes", 1, 1)
    with pytest.raises(DipbenchError, match="is not SLURM's: write 24:00:00"):
        Allocation("ray", 1, 1, time="a day")
    with pytest.raises(DipbenchError, match="is no name"):
        Allocation("ray", 1, 1, partition="a b")
    with pytest.raises(DipbenchError, match="choose a path of letters"):
        sbatch_script(tmp_path / "a b", Allocation("ray", 1, 1))


def test_a_job_finds_files_from_where_its_script_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    allocation = Allocation("ray", 1, 1)
    text = sbatch_script(Path("store"), allocation, ["--images", "pictures/a.png"])
    assert f"#SBATCH --chdir={tmp_path}\n" in text
    assert "--chdir" not in sbatch_script(Path("store"), allocation)
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    sbatch_script(tmp_path / "store", allocation)
    with pytest.raises(DipbenchError, match="choose a path of letters"):
        sbatch_script(tmp_path / "store", allocation, ["--images", "a.png"])


@pytest.mark.parametrize("queued", [True, False])
def test_the_first_shard_trains_whether_or_not_the_merge_is_queued(
    queued: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {"sbatch": f'echo "$@" > {tmp_path}/asked; {str(queued).lower()}'}
    programs["dipbench"] = f'echo "$@" > {tmp_path}/trained'
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    store = tmp_path / "store"
    text = sbatch_script(store, Allocation("array", 2, 1, time="01:30:00"), ["--workers", "1"])
    environment = {**os.environ, "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"}
    done = subprocess.run(["bash"], input=text, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    trained = (tmp_path / "trained").read_text().split()
    assert trained == f"train --out {store} --shard 1/2 --device cpu --workers 1".split()
    # As long as the job itself, which the partition allows.
    assert "--time=01:30:00 " in (tmp_path / "asked").read_text()
    said = f"the job that merges is not queued: run `dipbench finish {store}` when all have ended\n"
    assert done.stderr == ("" if queued else said)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a SLURM of two nodes on this machine."""
    programs = ("slurmctld", "slurmd", "sbatch", "munged", "munge")
    if os.geteuid() != 0 or not all(map(shutil.which, programs)):
        pytest.skip("SLURM is not installed (Debian: slurm-wlm), or this is not root")
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(host=socket.gethostname(), folder=folder))
    environment = {**os.environ, "SLURM_CONF": str(configuration), "OMP_NUM_THREADS": "1"}
    munged = None
    if subprocess.run(["munge", "-n"], capture_output=True).returncode != 0:
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge")
        munged = subprocess.Popen(["runuser", "-u", "munge", "--", "munged", "--foreground"])
        time.sleep(1)
    commands = [["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"], ["slurmd", "-D", "-N", "n2"]]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    daemons = [subprocess.Popen(command, env=environment, **quiet) for command in commands]
    try:
        if not _idle_nodes(environment):
            pytest.skip("SLURM does not start here")
        yield environment
    finally:
        for daemon in [*daemons[::-1], *([munged] if munged else [])]:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)


def _idle_nodes(environment: dict[str, str]) -> bool:
    for _ in range(60):
        command = ["sinfo", "--noheader", "--states=idle", "--format=%D"]
        shown = subprocess.run(command, env=environment, capture_output=True, text=True)
        if shown.stdout.strip() == "2":
            return True
        time.sleep(0.5)
    return False


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "form",
    [
        "array",
        pytest.param(
            "ray",
            marks=pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed"),
        ),
    ],
)
def test_a_benchmark_is_built_by_slurm(form: str, slurm: dict[str, str], tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "dipbench", "slurm-script", "--form", form, "--cpus", "1"]
    command += ["--out", str(store), "--count", "2", "--time", "10:00", "--", *TRAIN]
    script = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    subprocess.run(["sbatch"], input=script, env=slurm, check=True, text=True)
    for _ in range(300):
        time.sleep(1)
        queue = ["squeue", "--noheader"]
        if not subprocess.run(queue, env=slurm, capture_output=True, text=True).stdout:
            break
    logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert (store / "benchmark.json").is_file(), logs
    frame = Benchmark(store).to_frame()
    assert len(frame) == 4, logs
    assert set(frame["status"]) == {"finished"}
