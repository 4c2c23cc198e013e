"""Joining a Ray cluster, or starting one on this machine, with mistakes told in one line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Read by Ray once, when it is imported. By its own niceness of 15, workers on a machine that has
# anything else to do get a tenth of the time that the local executor's get. What a lost worker was
# asked last may never be looked at, for its loss is known already: Ray would print it as an error.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...errors import DeviceError, DipbenchError, named, one_line
from . import Lost

Actor = Any
Reference = Any
"""Ray's handle of an actor, and its promise of a result; it declares no types for their methods."""

remote: Any = ray.remote

FETCH_SECONDS = 120.0
"""How long a result that is ready may take to arrive."""

ANSWER_SECONDS = 15.0
"""How long an address may take to answer."""

OBJECT_STORE_BYTES = 100_000_000
"""Shared memory of a Ray that is started here: results are files, so little goes through it."""


@contextmanager
def joined(address: str | None, cpus: int) -> Iterator[None]:
    """Be connected to a cluster meanwhile.

    Args:
        address: `auto`, or host and port of its head; None starts Ray on this machine alone. A
            connection that is there already is used and left as it is.
        cpus: of the Ray that is started here.

    Raises:
        DipbenchError: if the address does not answer, or runs another version.
    """
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": cpus,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    else:
        _see_that_it_answers(address)
        options |= {"address": address}
    try:
        ray.init(**options)
    except (RuntimeError, ValueError, OSError) as error:
        said = " ".join(str(error).split())
        where = f"join the Ray cluster at {address}" if address else "start Ray on this machine"
        raise DipbenchError(f"cannot {where}: {said}") from error
    try:
        with _silent():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _silent() -> Iterator[None]:
    """Have Ray not print: it tells of every lost machine, at length and on standard output.

    That is where `--json` goes, and what was lost is told in the units' logs.
    """
    driver: Any = ray._private.worker
    printing = driver.print_to_stdstream
    driver.print_to_stdstream = lambda *said, **how: None
    try:
        yield
    finally:
        driver.print_to_stdstream = printing


def _see_that_it_answers(address: str) -> None:
    # Asked by another process: Ray's own attempt takes two minutes and then ends the process.
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "health-check"]
    command += [] if address == "auto" else ["--address", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(command, 1, "", "")
    if "AuthenticationError" in done.stderr:
        raise DipbenchError(
            f"the Ray cluster at {address!r} asks for its token: set RAY_AUTH_MODE=token, and copy "
            "~/.ray/auth_token from its head if it is another machine's"
        )
    if done.returncode != 0:
        raise DipbenchError(
            f"no Ray cluster answers at {address!r}: start one with `ray start --head`, or leave "
            "out --address to use this machine alone"
        )


def cluster_device(device: str) -> str:
    """`cpu` or `cuda` on a cluster's machines; `auto` takes GPUs where there are any.

    Raises:
        DeviceError: if it asks for GPUs and the cluster has none.
    """
    if device == "cpu":
        return "cpu"
    if ray.cluster_resources().get("GPU", 0) > 0:
        return "cuda"
    if device == "cuda":
        raise DeviceError(
            "the Ray cluster has no GPUs: start its machines with --num-gpus, or choose cpu"
        )
    return "cpu"


def capacity(options: dict[str, float]) -> int:
    """How many workers with these resources the cluster's living machines hold."""
    held = 0
    for node in ray.nodes():
        resources = node["Resources"] if node["Alive"] else {}
        shares = [
            int(resources.get(name, 0) / options[option] + 1e-6)
            for name, option in (("CPU", "num_cpus"), ("GPU", "num_gpus"))
            if options[option]
        ]
        held += min(shares)
    return held


def start_actor(kind: type, arguments: tuple[Any, ...], options: dict[str, float]) -> Actor:
    """Start an actor that Ray does not restart: who lost its unit must know of it."""
    return remote(max_restarts=0, max_task_retries=0, **options)(kind).remote(*arguments)


def stop_actor(actor: Actor) -> None:
    """End an actor; its process may live on where it does not answer."""
    ray.kill(actor)


def end_process(node: str, process: int) -> None:
    """Kill a process of a machine, without waiting: a stopped one holds its GPU's memory."""
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    remote(num_cpus=0, max_retries=0, scheduling_strategy=strategy)(_kill).remote(process)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def store_object(value: Any) -> Reference:
    """Put a value where all workers can fetch it once a machine."""
    return ray.put(value)


def wait_for(references: list[Reference], seconds: float) -> list[Reference]:
    """Those that are ready within so many seconds, as soon as there is one."""
    if not references:
        time.sleep(seconds)
        return []
    ready, rest = ray.wait(references, timeout=seconds)
    more = ray.wait(rest, num_returns=len(rest), timeout=0)[0] if ready and rest else []
    return [*ready, *more]


def result(reference: Reference, seconds: float = FETCH_SECONDS) -> Any:
    """A result, or `Lost`.

    Raises:
        DipbenchError: if the work raised it: it then concerns all work.
    """
    try:
        return ray.get(reference, timeout=seconds)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, DipbenchError):
            raise cause from error
        if isinstance(cause, MemoryError):
            return Lost(f"out of memory: {one_line(cause)}"[:500])
        return Lost(named(cause)[:500])
    except ray.exceptions.GetTimeoutError:
        return Lost(f"no answer within {seconds:.0f} s")
    except ray.exceptions.RayError as error:
        return Lost(_in_short(error))


def _in_short(error: Exception) -> str:
    """What Ray says of a loss, without its advice."""
    lines = str(error).strip().splitlines()
    if isinstance(error, ray.exceptions.ActorDiedError) and "creation task" in lines[0]:
        return f"{lines[-1].strip()} (is the same dipbench installed on all machines?)"
    text = " ".join(lines)
    for sign, meaning in (
        ("low on memory", "its worker was killed as its machine ran out of memory"),
        ("node has died", "its machine was lost"),
        ("node was terminated", "its machine was lost"),
    ):
        if sign in text:
            return meaning
    return "its worker died"
