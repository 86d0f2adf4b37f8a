"""The server's process: starting it apart from ours, finding it again, ending it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etgraph.store import processes
from etgraph.store.neo4j_server.configuration import HOST
from etgraph.store.neo4j_server.errors import ServerError
from etgraph.store.neo4j_server.state import State

if TYPE_CHECKING:
    import psutil

CLOCK_SECONDS = 120
"""By how much two readings of a process's begin may differ: clocks are set."""

EXEC_SECONDS = 2

# The shell that starts the server ends at once, so the server is nobody's child and needs nobody to wait for it.
DETACH = 'log=$1; shift; "$@" </dev/null >"$log" 2>&1 & echo $!'


def spawn(arguments: Sequence[str], *, log: Path, folder: Path, environment: Mapping[str, str]) -> tuple[int, float]:
    """Start a process in a session of its own, with its output in `log`; returns its number and when it began."""
    import psutil

    try:
        done = subprocess.run(
            ["/bin/sh", "-c", DETACH, "sh", str(log), *arguments],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=True,
        )
        pid = int(done.stdout)
        return pid, processes.began(pid)
    except (OSError, ValueError, subprocess.CalledProcessError, psutil.NoSuchProcess) as error:
        raise ServerError(f"the server's process did not start: {error}") from error


def output_of(
    arguments: Sequence[str],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it printed on both streams. Raises OSError and subprocess.TimeoutExpired."""
    return subprocess.run(
        arguments,
        cwd=folder,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


def home_argument(home: Path) -> str:
    """The argument by which a server's process can be told from all others."""
    return f"--home-dir={home}"


def find(state: State | None, home: Path) -> psutil.Process | None:
    """The process that was noted, if it still runs and is still that one."""
    import psutil

    if state is None or state.pid is None or state.pid_created is None:
        return None
    process = processes.find(state.pid, state.pid_created, CLOCK_SECONDS)
    try:
        return process if process is not None and home_argument(home) in _arguments(process) else None
    except psutil.Error:
        return None


def _arguments(process: psutil.Process) -> list[str]:
    """A process's arguments, which are not there for an instant while it becomes another program."""
    until = time.monotonic() + EXEC_SECONDS
    while not (arguments := process.cmdline()) and time.monotonic() < until:
        time.sleep(0.01)
    return arguments


def end(process: psutil.Process, seconds: float) -> bool:
    """Ask a process to end, and make it end when it takes longer than that; returns whether it had to be made."""
    import psutil

    try:
        process.terminate()
        if has_ended(process, seconds):
            return False
        process.kill()
        has_ended(process, seconds)
    except psutil.NoSuchProcess:
        return False
    return True


def has_ended(process: psutil.Process, seconds: float) -> bool:
    """Wait for a process to end."""
    until = time.monotonic() + seconds
    while not _is_gone(process):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _is_gone(process: psutil.Process) -> bool:
    """Whether a process holds nothing any more. A zombie is gone, whoever fails to bury it, once its threads are."""
    import psutil

    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return process.num_threads() <= 1
        return not process.is_running()
    except psutil.NoSuchProcess:
        return True


def is_free(port: int) -> bool:
    """Whether a server could listen on this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def answers(port: int) -> bool:
    """Whether somebody listens on this port."""
    try:
        with socket.create_connection((HOST, port), timeout=2):
            return True
    except OSError:
        return False
