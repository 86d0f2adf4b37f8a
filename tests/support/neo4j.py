"""A Neo4j server for the tests: the one that the environment names, one in Docker, or one of our own.

`ETGRAPH_NEO4J_URI` (with `ETGRAPH_NEO4J_USER` and `ETGRAPH_NEO4J_PASSWORD`) names a server, whose content the tests may
overwrite. `ETGRAPH_NEO4J=off` leaves out the tests that need one.
"""

from __future__ import annotations

import atexit
import functools
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from etgraph.model.errors import StoreError
from etgraph.store.neo4j_server import artifacts, process, server
from etgraph.store.neo4j_server.configuration import HOST
from etgraph.store.neo4j_server.java import find_java
from etgraph.store.neo4j_server.releases import RELEASES
from etgraph.store.neo4j_server.state import USER, read_password

MEMORY = "1500m"
JAVA_OPTIONS = "JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1"
"""A variable of the environment. A run is too short for what Java's second compiler makes of the code: without it, a
server is up in two thirds of the work, and answers more tests in the same time."""
DOCKER_SECONDS = 600
FIXTURES = {"neo4j_server", "neo4j_releases", "neo4j_parts"}
GROUPS = {"5.26": "neo4j", "2026": "neo4j-2026"}
"""What the tests of a release's server are called where tests are spread over several processes."""
MARKER = "neo4j: needs a Neo4j server, which the test asks for while it runs"
STOP = "import sys, pathlib, etgraph.store.neo4j_server.server as s; s.stop(pathlib.Path(sys.argv[1]), seconds=10)"
HOW_TO_LEAVE_OUT = "ETGRAPH_NEO4J=off leaves out, on purpose, the tests that need a Neo4j server"


@dataclass(frozen=True, slots=True)
class Neo4jUnderTest:
    """A server that answers. `kill` and `restart` are for servers that this run has started, which are `owned`."""

    uri: str
    user: str
    password: str = field(repr=False)
    version: str
    how: str
    on_kill: Callable[[], None] | None = None
    on_restart: Callable[[], None] | None = None
    on_end: Callable[[], None] | None = None

    def end(self) -> None:
        """Remove the server, if this run has started it; nobody will ask for what it holds."""
        if self.on_end is not None:
            self.on_end()

    def empty(self) -> None:
        """Delete every node; constraints and indexes stay."""
        from neo4j import GraphDatabase

        with GraphDatabase.driver(self.uri, auth=(self.user, self.password)) as driver, driver.session() as session:
            # Relationships first: a node with very many does not fit a transaction.
            session.run("MATCH ()-[r]->() CALL (r) { DELETE r } IN TRANSACTIONS OF 10000 ROWS").consume()
            session.run("MATCH (n) CALL (n) { DELETE n } IN TRANSACTIONS OF 10000 ROWS").consume()

    @property
    def owned(self) -> bool:
        """Whether this run has started it."""
        return self.on_kill is not None

    def kill(self) -> None:
        """End the server as a crash would. The test is skipped where the server is not ours to kill."""
        if self.on_kill is None:
            pytest.skip("the server of ETGRAPH_NEO4J_URI is not ours to kill")
        self.on_kill()

    def restart(self) -> None:
        """Start a killed server again, at the same address, and wait until it answers."""
        if self.on_restart is None:
            pytest.skip("the server of ETGRAPH_NEO4J_URI is not ours to restart")
        self.on_restart()


def is_off() -> bool:
    """Whether this run leaves out what needs a server."""
    value = os.environ.get("ETGRAPH_NEO4J", "")
    if value not in ("", "off"):
        raise pytest.UsageError(f"ETGRAPH_NEO4J={value}: expected off, or nothing")
    return value == "off"


def needs_server(item: pytest.Item) -> bool:
    """Whether a test needs a server: by its fixtures, or by its mark."""
    return bool(FIXTURES & set(getattr(item, "fixturenames", ()))) or item.get_closest_marker("neo4j") is not None


def group(item: pytest.Item) -> str | None:
    """The group of the tests that share this one's server; None where it needs none, or one of its own."""
    if not needs_server(item):
        return None
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if (release := parameters.get("neo4j_releases")) is not None:
        return GROUPS[str(release)]
    own = "neo4j_parts" in getattr(item, "fixturenames", ()) and "neo4j_server" not in getattr(item, "fixturenames", ())
    return None if own else GROUPS["5.26"]


def header() -> list[str]:
    """What the first lines of a run say of servers."""
    if is_off():
        return ["neo4j: OFF (ETGRAPH_NEO4J=off); the tests that need a server are left out"]
    if uri := os.environ.get("ETGRAPH_NEO4J_URI"):
        first = f"neo4j: the server {uri} (ETGRAPH_NEO4J_URI)"
    elif docker_problem() is None:
        first = f"neo4j: {image('5.26')} in Docker, when a test asks for it"
    else:
        first = f"neo4j: a server of our own, {RELEASES['5.26'].version}, when a test asks for it"
    problem = problem_with("2026")
    second = f"not tested, because {problem}" if problem else f"{RELEASES['2026'].version}, when a test asks for it"
    return [first, f"neo4j 2026: {second}"]


@functools.cache
def problem_with(release: str) -> str | None:
    """Why a release cannot be run here; None where it can."""
    if docker_problem() is None:
        return None
    try:
        find_java(RELEASES[release])
    except StoreError as error:
        return error.message
    return None


@functools.cache
def docker_problem() -> str | None:
    """Why Docker cannot be used; None where it can."""
    if shutil.which("docker") is None:
        return "docker is not on PATH"
    done = _docker("info", check=False)
    return None if done.returncode == 0 else _last_line(done.stderr or done.stdout)


def obtain(folder: Path, release: str = "5.26") -> Neo4jUnderTest:
    """A server for this run, which ends with it. Fails, with the reason for each way, where none can be had."""
    if is_off():
        pytest.fail("ETGRAPH_NEO4J=off, but a test asks for a Neo4j server; mark it with pytest.mark.neo4j")
    if release == "5.26" and os.environ.get("ETGRAPH_NEO4J_URI"):
        return _named()
    reasons = ["ETGRAPH_NEO4J_URI is not set"]
    if (problem := docker_problem()) is None:
        return _in_docker(release)
    reasons.append(f"Docker: {problem}")
    try:
        return _of_our_own(folder, release)
    except StoreError as error:
        reasons.append(f"a server of our own: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    listed = "\n".join(f"- {reason}" for reason in reasons)
    pytest.fail(f"no Neo4j {release} for the tests:\n{listed}\n{HOW_TO_LEAVE_OUT}", pytrace=False)


@functools.cache
def parts() -> None:
    """Make sure that a server of our own can be started: a Java and the jars. Fails where they cannot be had."""
    try:
        find_java(RELEASES["5.26"])
        artifacts.jars(RELEASES["5.26"])
    except StoreError as error:
        pytest.fail(f"a server of our own: {error.message} ({error.hint})\n{HOW_TO_LEAVE_OUT}", pytrace=False)


def _named() -> Neo4jUnderTest:
    uri = os.environ["ETGRAPH_NEO4J_URI"]
    user, password = os.environ.get("ETGRAPH_NEO4J_USER", USER), os.environ.get("ETGRAPH_NEO4J_PASSWORD", "")
    return Neo4jUnderTest(uri, user, password, _version(uri, user, password, seconds=30), "ETGRAPH_NEO4J_URI")


def _of_our_own(folder: Path, release: str) -> Neo4jUnderTest:
    def stop() -> None:
        server.stop(folder, seconds=10)

    def kill() -> None:
        now = server.status(folder)
        assert now.state is not None
        assert now.home is not None
        if found := process.find(now.state, now.home):
            found.kill()
            assert process.has_ended(found, 30)

    # Ports that are free, not the usual ones: those are for the server of the machine's user.
    bolt, http = process.free_port(), process.free_port()

    def begin() -> server.Server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(*JAVA_OPTIONS)
            return server.start(release, port=bolt, http_port=http, memory=MEMORY, folder=folder)

    atexit.register(stop)
    _after_us(sys.executable, "-c", STOP, str(folder))
    now = begin()
    password = read_password(folder)
    assert now.uri is not None
    assert now.state is not None
    assert password is not None

    def restart() -> None:
        begin()

    how = "a server of our own"
    return Neo4jUnderTest(
        now.uri, USER, password, now.state.version, how, on_kill=kill, on_restart=restart, on_end=kill
    )


def _after_us(*command: str) -> None:
    """Have a command run when this run is over, even if it is killed."""
    watch = 'us=$1; shift; (while kill -0 "$us"; do sleep 2; done; "$@") </dev/null >/dev/null 2>&1 &'
    subprocess.run(["/bin/sh", "-c", watch, "sh", str(os.getpid()), *command], start_new_session=True, check=True)


def image(release: str) -> str:
    """The image of a release."""
    return f"neo4j:{RELEASES[release].version}-community"


def _in_docker(release: str) -> Neo4jUnderTest:
    password, name = secrets.token_hex(16), f"etgraph-tests-{secrets.token_hex(4)}"
    port = process.free_port()
    uri = f"neo4j://{HOST}:{port}"

    def remove() -> None:
        _docker("rm", "--force", "--volumes", name, check=False)

    def kill() -> None:
        _docker("kill", name)

    atexit.register(remove)
    _after_us("docker", "rm", "--force", "--volumes", name)
    done = _docker(
        "run",
        "--detach",
        f"--name={name}",
        f"--publish={HOST}:{port}:7687",
        f"--env=NEO4J_AUTH={USER}/{password}",
        "--env=NEO4J_server_memory_heap_max__size=768m",
        "--env=NEO4J_server_memory_pagecache_size=256m",
        "--env=NEO4J_dbms_usage__report_enabled=false",
        # A client is sent to the address under which it sees the server.
        f"--env=NEO4J_server_bolt_advertised__address={HOST}:{port}",
        image(release),
        check=False,
    )
    if done.returncode:
        pytest.fail(
            f"Docker does not run {image(release)}: {_last_line(done.stderr)}\n{HOW_TO_LEAVE_OUT}", pytrace=False
        )

    def restart() -> None:
        _docker("start", name)
        _version(uri, USER, password, seconds=120)

    version = _version(uri, USER, password, seconds=180)
    return Neo4jUnderTest(uri, USER, password, version, "Docker", on_kill=kill, on_restart=restart, on_end=remove)


def _docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        timeout=DOCKER_SECONDS,
        check=check,
        stdin=subprocess.DEVNULL,
    )


def _version(uri: str, user: str, password: str, *, seconds: float) -> str:
    """The version of a server, which may still be starting."""
    from neo4j import GraphDatabase
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    until = time.monotonic() + seconds
    while True:
        try:
            with GraphDatabase.driver(uri, auth=(user, password), connection_timeout=5) as driver:
                return driver.get_server_info().agent.removeprefix("Neo4j/")
        except (DriverError, Neo4jError) as error:
            if isinstance(error, AuthError) or time.monotonic() > until:
                pytest.fail(f"the server {uri} does not answer: {error}\n{HOW_TO_LEAVE_OUT}", pytrace=False)
        time.sleep(0.5)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it fails without a word"
