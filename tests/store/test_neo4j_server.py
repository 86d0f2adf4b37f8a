"""A Neo4j server of one's own: found, started, stopped, and never mistaken for another process."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from etgraph.cli.main import main
from etgraph.model.errors import UsageError
from etgraph.store.neo4j_server import artifacts, java, process, server
from etgraph.store.neo4j_server.configuration import configuration, parse_size, shares
from etgraph.store.neo4j_server.errors import NoArtifacts, NoJava, ServerError
from etgraph.store.neo4j_server.releases import RELEASES, release_of
from etgraph.store.neo4j_server.state import (
    State,
    local_credentials,
    read_password,
    read_state,
    server_folder,
    write_private,
    write_state,
)

LTS, LATEST = RELEASES["5.26"], RELEASES["2026"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a user's server, whose processes end with the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = server_folder()
    path.mkdir(parents=True)
    yield path
    server.stop(path, seconds=0.1)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def etgraph(*arguments: str) -> Result:
    """One call of the command line."""
    return CliRunner().invoke(main, ["neo4j", *arguments], prog_name="etgraph")


def document(*arguments: str) -> dict[str, Any]:
    """The document that a call prints."""
    result = etgraph(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def noted(pid: int | None, created: float | None) -> State:
    """What would be noted of a server with that process."""
    return State("5.26", LTS.version, 17687, 17474, 1 << 30, "java", "2026-01-01T00:00:00+00:00", pid, created)


def fake_java(folder: Path, version: str, modules: str = "") -> Path:
    """A program that answers as a `java` of that version does."""
    path = folder / version / "bin" / "java"
    path.parent.mkdir(parents=True)
    words = f'openjdk version \\"{version}\\"'
    path.write_text(f'#!/bin/sh\nif [ "$1" = -version ]; then echo "{words}"; else echo "{modules}"; fi\n', "utf-8")
    path.chmod(0o755)
    return path


def test_a_server_lives_and_dies(folder: Path, neo4j_parts: None) -> None:
    command = [sys.executable, "-m", "etgraph.cli", "neo4j", "start", "--memory", "1g", "--json"]
    ports = [f"--port={process.free_port()}", f"--http-port={process.free_port()}"]
    both = [
        subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    outputs = [starting.communicate(timeout=400) for starting in both]
    assert [starting.returncode for starting in both] == [0, 0], outputs
    answers = [json.loads(output)["server"] for output, _ in outputs]
    assert sorted(answer["alreadyRunning"] for answer in answers) == [False, True]
    first = answers[0]
    assert first["pid"] == answers[1]["pid"]
    assert sum("GPL" in messages for _, messages in outputs) == 1

    password = read_password(folder)
    assert password is not None
    assert password not in "".join(text for output in outputs for text in output)
    assert stat.S_IMODE(Path(first["passwordFile"]).stat().st_mode) == 0o600
    port = int(first["uri"].rpartition(":")[2])
    assert local_credentials("localhost", port) == ("neo4j", password)
    assert local_credentials("example.org", port) is None
    assert local_credentials("127.0.0.1", port + 1) is None
    listening = [c for c in psutil.Process(first["pid"]).net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(listening) == 2
    assert {connection.laddr.ip.removeprefix("::ffff:") for connection in listening} == {"127.0.0.1"}
    again = etgraph("start")
    assert again.exit_code == 0
    assert "ran already" in again.stderr
    assert document("status")["server"]["residentBytes"] > 1 << 20
    other = etgraph("start", "--release", "2026")
    assert (other.exit_code, "5.26.26 runs already" in other.stderr) == (4, True)

    running = psutil.Process(first["pid"])
    running.kill()
    assert process.has_ended(running, 30)
    assert etgraph("status").stdout == "not running\n"
    assert "'etgraph neo4j start' starts it" in etgraph("status").stderr
    assert local_credentials("localhost", port) is None
    assert document("stop")["stopped"] is False

    second = document("start")["server"]
    assert (second["uri"], second["memoryBytes"]) == (first["uri"], 1 << 30)
    assert read_password(folder) == password
    stopped = document("stop")
    assert (stopped["stopped"], stopped["server"]["running"]) == (True, False)
    assert not process.answers(port)


def test_a_server_that_cannot_listen_says_why(
    folder: Path, neo4j_parts: None, taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "is_free", lambda port: True)
    result = etgraph("start", "--port", str(taken_port), "--http-port", str(process.free_port()), "--memory", "1g")
    assert result.exit_code == 4
    assert "it wrote last:" in result.stderr
    assert re.search(rf"{taken_port}|already in use|bind", result.stderr.partition("it wrote last:")[2])
    assert not server.status().running


def test_admin_commands_run_on_the_data(folder: Path, neo4j_parts: None) -> None:
    (folder / "nodes.csv").write_text("key:ID,name\n1,mm\n2,relu\n", "utf-8")
    (folder / "edges.csv").write_text(":START_ID,:END_ID,:TYPE\n1,2,NEXT\n", "utf-8")
    arguments = [f"--nodes={folder}/nodes.csv", f"--relationships={folder}/edges.csv", "--overwrite-destination"]
    told = server.admin("database", "import", "full", "neo4j", *arguments)
    assert re.search(r"2 nodes", told)
    with pytest.raises(ServerError, match="neo4j-admin database nonsense failed"):
        server.admin("database", "nonsense")


def test_a_port_in_use_is_refused(folder: Path, taken_port: int) -> None:
    result = etgraph("start", "--port", str(taken_port))
    assert result.exit_code == 4
    assert f"port {taken_port} of 127.0.0.1 is in use" in result.stderr
    assert "leave --port out" in result.stderr


def test_without_java_the_error_says_how_to_get_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "candidates", lambda: iter(()))
    result = etgraph("start", "--json")
    assert result.exit_code == 4
    error = json.loads(result.stderr.splitlines()[-1])["error"]
    assert error["code"] == "NO_JAVA"
    assert "needs Java 17 or 21; found no Java" in error["message"]
    assert "pip install 'etgraph[neo4j-server]'" in error["hint"]


def test_no_runtime_is_seen_where_there_is_none(tmp_path: Path) -> None:
    assert list(java.candidates({"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path)}, (), wheel=False)) == []


def test_runtimes_are_found_once_and_in_order(tmp_path: Path) -> None:
    home, on_path, installed = (fake_java(tmp_path, version) for version in ("21.0.1", "17.0.2", "25"))
    environment = {"JAVA_HOME": str(home.parent.parent), "PATH": str(on_path.parent)}
    found = list(java.candidates(environment, (f"{tmp_path}/*",), wheel=False))
    assert found == [home, on_path, installed]


def test_the_first_runtime_that_runs_the_release_is_taken(tmp_path: Path) -> None:
    old, small = fake_java(tmp_path, "11.0.2"), fake_java(tmp_path, "21.0.8", "java.base@21")
    full = fake_java(tmp_path, "25.0.3", "jdk.incubator.vector@25.0.3")
    assert java.find_java(LTS, iter([old, small, full])).path == small
    assert java.find_java(LATEST, iter([old, small, full])).path == full
    with pytest.raises(NoJava, match=r"found .*java is 11\.0\.2; .*java is 21\.0\.8 without jdk\.incubator\.vector"):
        java.find_java(LATEST, iter([old, small]))


def test_a_program_that_is_no_java_is_passed_over(tmp_path: Path) -> None:
    with pytest.raises(NoJava, match="does not answer"):
        java.find_java(LTS, iter([tmp_path / "java"]))


@contextlib.contextmanager
def sleeper(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing, with further arguments, for as long as it is needed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)", *arguments]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["another's", "gone"])
def test_a_process_that_is_not_the_server_is_left_alone(kind: str, folder: Path) -> None:
    with sleeper() as other:
        created = psutil.Process(other.pid).create_time()
        if kind == "gone":
            other.kill()
            other.wait()
        write_state(folder, noted(other.pid, created))
        assert not server.status().running
        assert server.stop() is None
        if kind == "another's":
            assert other.poll() is None


def test_a_recycled_number_is_not_the_server(folder: Path) -> None:
    home = folder / "5.26"
    with sleeper(process.home_argument(home)) as other:
        created = psutil.Process(other.pid).create_time()
        assert process.find(noted(other.pid, created), home) is not None
        assert process.find(noted(other.pid, created - 3600), home) is None


def test_a_process_that_does_not_end_is_made_to() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(100)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert process.end(psutil.Process(other.pid), 0.3)


def test_a_lost_password_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    home = folder / "5.26"
    (home / "data" / "databases" / "system").mkdir(parents=True)
    with pytest.raises(ServerError, match=r"password file .* is missing"):
        server._password(folder, home, LTS, java.Java(tmp_path / "java", "21"), tmp_path)


def test_settings_let_nobody_else_in_and_bound_memory() -> None:
    lines = dict(line.split("=", 1) for line in configuration(1, 2, shares(2 << 30)).splitlines())
    assert {value.partition(":")[0] for name, value in lines.items() if name.endswith("_address")} == {"127.0.0.1"}
    assert lines["dbms.usage_report.enabled"] == "false"
    assert lines["dbms.security.auth_enabled"] == "true"
    assert lines["server.memory.heap.max_size"] == "1024m"


@pytest.mark.parametrize("size", ["", "2", "2t", "-1g", "500m", "1.5g"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(UsageError, match="memory: found"):
        parse_size(size)


def test_an_unknown_release_is_refused() -> None:
    with pytest.raises(UsageError, match=r"found '4\.4', expected 5\.26 or 2026"):
        release_of("4.4")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"release": 1}'])
def test_a_note_that_cannot_be_read_is_none(text: str, folder: Path) -> None:
    (folder / "server.json").write_text(text, "utf-8")
    assert read_state(folder) is None
    assert not server.status().running


def test_what_is_private_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "password"
    write_private(path, "old")
    with contextlib.suppress(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_fetch_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(artifacts, "_by_jgo", lambda *_: "no way out")
    monkeypatch.setattr(artifacts, "_by_maven", lambda *_: None)
    with pytest.raises(NoArtifacts, match=r"jgo: no way out; mvn: neo4j-5\.26\.26\.jar did not come"):
        artifacts.jars(LTS)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_project_for_maven_names_each_artifact() -> None:
    text = artifacts.pom(LTS.coordinates)
    assert text.count("<version>5.26.26</version>") == 3
    assert "<groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId>" in text
