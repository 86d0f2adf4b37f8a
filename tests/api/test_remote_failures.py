"""A server that fails, is none, or is not let near a token: what the command line says, and with which exit code."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from etgraph.cli.main import main
from etgraph.cli.remote import http
from etgraph.cli.remote.http import Client, checked_url
from etgraph.model.errors import EtgraphError, UsageError

TOKEN = "etg_abc_secret"


class Fake:
    """A server that answers with what it is given, one after another; the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.heads: list[Mapping[str, str]] = []
        self.release = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fake.heads.append(dict(self.headers))
                (fake.answers.pop(0) if len(fake.answers) > 1 else fake.answers[0])(self)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setattr(http, "PAUSES", (0.0, 0.0))
    monkeypatch.delenv("ETGRAPH_TOKEN", raising=False)
    found = Fake()
    yield found
    found.close()


def says(status: int, body: str | bytes, kind: str = "application/json", **headers: str) -> Any:
    """An answer."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        data = body.encode() if isinstance(body, str) else body
        request.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)

    return answer


def data(**found: Any) -> Any:
    """An answer with data."""
    return says(200, json.dumps({"data": found}))


def fails(code: str, message: str, **more: Any) -> Any:
    """An answer with an error of a field."""
    error = {"message": message, "path": ["trace"], "extensions": {"code": code, **more}}
    return says(200, json.dumps({"data": None, "errors": [error]}))


def dies(request: BaseHTTPRequestHandler) -> None:
    """End in the midst of the answer."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"data": {')
    request.wfile.flush()
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


def call(url: str, *arguments: str, **environment: str) -> Result:
    """Call etgraph on a server."""
    environment = {"ETGRAPH_TOKEN": "", **environment}
    return CliRunner().invoke(main, [*(arguments or ("ls",)), "--store", url], prog_name="etgraph", env=environment)


NOTHING = {"answer": {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}}

ANSWERS = {
    "HTML": (says(200, "<html>hello</html>", "text/html"), 4, "answers 200 with text/html"),
    "a list": (says(200, "[]"), 4, "not as an etgraph server does"),
    "no data": (says(200, "{}"), 4, "without data"),
    "half of JSON": (says(200, '{"data": '), 4, "not as an etgraph server does"),
    "no fields": (data(), 4, "not as this version knows it"),
    "not found": (says(404, "no", "text/plain"), 4, "answers 404"),
    "401": (says(401, "who?", "text/html"), 4, "ETGRAPH_TOKEN"),
    "403": (says(403, "", "text/html"), 4, "does not let us in"),
    "429": (says(429, "slowly", "text/plain"), 4, "too many requests"),
    "500": (says(500, "oh", "text/plain"), 4, "answers 500"),
    "503": (says(503, "oh", "text/plain"), 4, "answers 503"),
    "unauthenticated": (fails("UNAUTHENTICATED", "no such token"), 4, "no such token"),
    "forbidden": (fails("FORBIDDEN", "another team's"), 4, "another team's"),
    "a defect": (fails("INTERNAL", "something went wrong", requestId="abc"), 4, "request id abc"),
    "an unknown trace": (fails("NOT_FOUND", "no trace"), 3, "no trace"),
    "data that is missing": (fails("BAD_USER_INPUT", "no times", reason="MISSING_DATA", hint="record"), 3, "record"),
    "an unheard-of kind": (fails("BAD_USER_INPUT", "stuck", reason="DEADLOCK"), 3, "stuck"),
    "a wrong call": (fails("BAD_USER_INPUT", "no such rank"), 2, "no such rank"),
    "too slow": (fails("TIMEOUT", "not done within 30 s"), 3, "not done"),
    "another version": (
        says(400, json.dumps({"errors": [{"message": "Cannot query field 'x'", "locations": [{"line": 1, "column": 1}],
                                          "extensions": {"code": "BAD_USER_INPUT"}}]})),
        4, "does not know what it was asked",
    ),
    "elsewhere": (says(307, "", Location="https://evil.example/graphql"), 4, "https://evil.example"),
    "death": (dies, 4, "cannot be reached"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_answer_is_told(fake: Fake, name: str) -> None:
    answer, code, words = ANSWERS[name]
    fake.answers = [answer]
    found = call(fake.url)
    assert (found.exit_code, words in found.stderr) == (code, True), found.stderr
    assert "Traceback" not in found.stderr


def test_nobody_is_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = call(f"http://127.0.0.1:{free.getsockname()[1]}")
    assert found.exit_code == 4
    assert "cannot be reached: Connection refused" in found.stderr
    assert "etgraph serve" in found.stderr


@pytest.mark.parametrize("trouble", [dies, says(503, "later", "text/plain"), says(429, "slowly", "text/plain")])
def test_a_question_is_asked_again(fake: Fake, trouble: Any) -> None:
    fake.answers = [trouble, trouble, data(**NOTHING)]
    assert call(fake.url).exit_code == 0
    assert len(fake.heads) == 3


def limited(seconds: int) -> Any:
    """An answer of a server whose rate is used up."""
    error = {"message": "cost: used up", "extensions": {"code": "COST_EXCEEDED", "reason": "RATE_EXCEEDED"}}
    return says(429, json.dumps({"errors": [error]}), **{"Retry-After": str(seconds)})


def test_a_server_with_a_rate_is_asked_again_when_it_says(fake: Fake) -> None:
    paused: list[float] = []
    with closing(Client(fake.url, environment={}, pause=paused.append)) as client:
        fake.answers = [limited(2), limited(5), data(renamed=True)]
        assert client.graphql("mutation { renamed }", {}, again=False) == {"renamed": True}
        assert paused == [2, 5]
        fake.answers = [limited(3600)]
        with pytest.raises(EtgraphError, match="used up"):
            client.graphql("{ a }", {})
        assert paused == [2, 5]


def test_a_change_is_not_made_again(fake: Fake) -> None:
    fake.answers = [dies]
    assert call(fake.url, "untag", "gpt@x").exit_code == 4
    assert len(fake.heads) == 1
    assert fake.heads[0]["Idempotency-Key"]


def test_a_question_has_its_time(fake: Fake) -> None:
    fake.answers = [lambda request: fake.release.wait(20) and None]
    found = call(fake.url, "breakdown", "gpt", "--timeout", "0.2")
    assert found.exit_code == 3
    assert "not done within 0.2 s" in found.stderr


def test_the_token_goes_with_every_request_and_is_never_told(fake: Fake) -> None:
    fake.answers = [fails("UNAUTHENTICATED", "no such token")]
    found = call(fake.url, "-v", "ls", ETGRAPH_TOKEN=TOKEN)
    assert fake.heads[0]["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in found.output


def test_nothing_from_a_netrc_file_takes_the_tokens_place(
    fake: Fake, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fake.answers = [data(**NOTHING)]
    assert call(fake.url).exit_code == 0
    assert "Authorization" not in fake.heads[0]


@pytest.mark.parametrize(
    ("url", "environment", "words"),
    [
        ("http://example.org", {"ETGRAPH_TOKEN": TOKEN}, "without encryption"),
        ("http://user:secret@127.0.0.1", {}, "holds a name or password"),
        ("https://:443", {}, "found no server"),
        ("https://host:port", {}, "no address of a server"),
        ("https://host/?token=secret", {}, "expected http(s)://host"),
        ("http://127.0.0.1", {"ETGRAPH_TOKEN": "a b"}, "holds no token"),
    ],
)
def test_what_would_betray_a_secret_is_refused(url: str, environment: dict[str, str], words: str) -> None:
    found = call(url, **environment)
    assert found.exit_code == 2
    assert words in found.stderr
    assert not any(each in found.output for each in (TOKEN, "user:secret"))


def test_a_token_may_go_in_the_clear_where_that_is_said() -> None:
    with pytest.raises(UsageError):
        Client("http://example.org", environment={"ETGRAPH_TOKEN": TOKEN})
    Client("http://example.org", environment={"ETGRAPH_TOKEN": TOKEN, "ETGRAPH_TOKEN_IN_CLEAR": "1"}).close()
    Client("https://example.org", environment={"ETGRAPH_TOKEN": TOKEN}).close()


def test_a_url_may_have_a_prefix() -> None:
    assert checked_url("HTTPS://host:8443/etgraph/") == "https://host:8443/etgraph"


def test_doctor_says_that_there_is_no_server(fake: Fake) -> None:
    fake.answers = [says(503, "later", "text/plain")]
    found = call(fake.url, "doctor")
    assert found.exit_code == 4
    assert "server" in found.stdout
    viewer = {"name": "ci", "team": "ads", "scopes": ["read"]}
    fake.answers = [data(serverInfo={"version": "9", "store": "local"}, viewer=viewer), fails("FORBIDDEN", "no")]
    found = call(fake.url, "doctor")
    assert found.exit_code == 0
    assert "ci of team ads, who may read" in found.stdout


def test_rows_come_in_fewer_pages_where_they_cost_too_much() -> None:
    from etgraph.cli.remote.asking import answered
    from etgraph.cli.remote.failures import TooCostly
    from etgraph.queries.breakdown import Breakdown

    asked: list[str] = []

    def ask(selection: str) -> Any:
        asked.append(selection)
        raise TooCostly("too much")

    with pytest.raises(EtgraphError, match="too much"):
        answered(Breakdown, ask)
    firsts = [int(each.split("first: ")[1].split(",")[0]) for each in asked]
    assert firsts == sorted(firsts, reverse=True)
    assert firsts[-1] == 1
