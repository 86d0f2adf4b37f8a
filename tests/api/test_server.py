"""The server at a real port: slow clients, many at once, and an end that breaks nothing off."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from etgraph.api.http import logs
from etgraph.api.running import wsgi
from etgraph.api.running.server import Server, ServerError
from etgraph.api.settings import Settings
from etgraph.model.errors import UsageError
from etgraph.store import Store
from support.api import application, post, serving
from support.api_schema import GATES, schema

SERVE = Path(__file__).parents[1] / "support" / "serve_api.py"
REQUEST = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def ask(url: str, query: str, method: str = "POST", path: str = "/graphql") -> tuple[int, Any]:
    """One request on a connection of its own: status and body."""
    connection = http.client.HTTPConnection(*address(url), timeout=30)
    try:
        connection.request(
            method,
            path,
            json.dumps({"query": query}) if method == "POST" else None,
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def closes(connection: socket.socket) -> bool:
    """Whether the server ends a connection by itself."""
    connection.settimeout(20)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def refuses(url: str) -> bool:
    """Whether the server takes no further connections, soon at least."""
    for _ in range(200):
        try:
            socket.create_connection(address(url), timeout=1).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("sent", [b"", b"POST /gra", REQUEST % (100, b'{"query"')])
def test_a_client_that_says_no_more_is_dropped(gpt: Store, sent: bytes) -> None:
    with (
        serving(application(gpt), idle_ns=10**9, receive_ns=10**9) as url,
        socket.create_connection(address(url)) as connection,
    ):
        connection.sendall(sent)
        assert closes(connection)
        assert ask(url, "{ hello }")[0] == 200


def test_a_client_that_sends_byte_by_byte_is_dropped(gpt: Store) -> None:
    with (
        serving(application(gpt), receive_ns=10**9) as url,
        socket.create_connection(address(url)) as connection,
    ):
        ended = threading.Event()
        thread = threading.Thread(target=lambda: closes(connection) and ended.set())
        thread.start()
        for byte in REQUEST[:60] * 10:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            if ended.wait(0.1):
                break
        thread.join()
        assert ended.is_set()


def test_a_client_that_does_not_take_its_answer_is_dropped_and_holds_no_thread(gpt: Store) -> None:
    app = application(gpt, limits={"cost": 10**6})
    long = json.dumps({"query": "{ items(first: 4000) { text(length: 1000) } }"}).encode()
    with serving(app, receive_ns=10**9, threads=1) as url:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(address(url))
        with slow:
            slow.sendall(REQUEST % (len(long), long))
            assert ask(url, "{ hello }")[0] == 200
            time.sleep(3)
            assert closes(slow)


def test_a_body_that_is_too_large_is_not_read(gpt: Store) -> None:
    with serving(application(gpt)) as url, socket.create_connection(address(url)) as connection:
        connection.sendall(REQUEST % (10**12, b""))
        connection.settimeout(20)
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_request_that_runs_is_answered_before_the_server_ends(gpt: Store) -> None:
    answers: list[tuple[int, Any]] = []
    server = Server(application(gpt), Settings(port=0))
    running = threading.Thread(target=server.run)
    running.start()
    asking = threading.Thread(target=lambda: answers.append(ask(server.url, "{ held }")))
    asking.start()
    assert GATES.entered.wait(10)
    server.stop()
    assert refuses(server.url)
    assert running.is_alive()
    GATES.open.set()
    asking.join()
    running.join()
    assert [(status, json.loads(body)["data"]) for status, body in answers] == [(200, {"held": 1})]


def test_a_request_that_does_not_end_is_broken_off_after_the_grace(gpt: Store) -> None:
    server = Server(application(gpt), Settings(port=0, grace_ns=10**8))
    running = threading.Thread(target=server.run)
    running.start()

    def held() -> None:
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(url, "{ held }")

    url = server.url
    asking = threading.Thread(target=held)
    asking.start()
    assert GATES.entered.wait(10)
    server.stop()
    running.join(20)
    assert not running.is_alive()
    asking.join()
    GATES.open.set()


def test_a_port_that_is_taken_is_told(gpt: Store) -> None:
    with serving(application(gpt)) as url:
        with pytest.raises(ServerError, match="cannot listen at") as told:
            Server(application(gpt), Settings(port=address(url)[1]))
        assert told.value.exit_code == 4


def test_another_server_gets_the_application_by_the_environment(gpt: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "the_schema", schema)
    monkeypatch.setattr(logs, "start_to_stderr", lambda: None)
    monkeypatch.setenv("ETGRAPH_STORE", gpt.url)
    assert post(wsgi.application(), '{ trace(reference: "gpt") { workload } }').json["data"]["trace"]
    monkeypatch.delenv("ETGRAPH_STORE")
    with pytest.raises(UsageError, match="ETGRAPH_STORE: found nothing"):
        wsgi.application()


@contextmanager
def process(store: Store, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server as a process of its own, and its address."""
    started = subprocess.Popen(
        [sys.executable, str(SERVE), store.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert started.stdout is not None
    try:
        yield started, started.stdout.readline().strip()
    finally:
        started.kill()
        started.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_once_its_requests_are_answered(gpt: Store, number: signal.Signals) -> None:
    answers: list[tuple[int, Any]] = []
    with process(gpt) as (server, url):
        asking = threading.Thread(target=lambda: answers.append(ask(url, "{ slow }")))
        asking.start()
        while b"etgraph_http_requests_in_flight 2.0" not in ask(url, "", "GET", "/metrics")[1]:
            time.sleep(0.01)
        server.send_signal(number)
        asking.join()
        logged = server.communicate(timeout=30)[1]
    assert [(status, json.loads(body)["data"]) for status, body in answers] == [(200, {"slow": 1})]
    assert server.returncode == 0
    events = [json.loads(line) for line in logged.splitlines()]
    assert [each["event"] for each in events if each["event"] != "request"] == ["listening", "stopping", "stopped"]
    assert events[-1]["broken"] == 0


def test_settings_of_the_environment_reach_the_process(gpt: Store) -> None:
    with process(gpt, ETGRAPH_SERVER_LIMITS_COST="3") as (_, url):
        status, body = ask(url, "{ costLimit }")
    assert (status, json.loads(body)["data"]) == (200, {"costLimit": 3})
