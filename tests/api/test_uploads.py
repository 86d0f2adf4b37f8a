"""Uploads: what is sent by HTTP is a trace in the end, what cannot be one is refused, and nothing is left by halves."""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import io
import os
import re
import shutil
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from flask import Flask

from etgraph.api.access import Tokens
from etgraph.api.context import Viewer
from etgraph.api.http.viewers import token_viewer
from etgraph.api.jobs import spool as spools
from etgraph.api.jobs.job import new_id
from etgraph.api.jobs.queue import Queue
from etgraph.api.jobs.rules import Rules
from etgraph.api.jobs.spool import NoRoom, Spool, spool_of
from etgraph.api.limits import Limits
from etgraph.ingest import read, samples
from etgraph.store import Store, connect
from support.api import application, serving
from support.archives import special, tarred, zipped
from support.uploading import do_all, job, job_in, kineto, left_in, send, send_body

FORM_HEAD = (
    b"POST /api/v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/zip\r\nContent-Length: %d\r\n\r\n"
)


class Server(NamedTuple):
    """An application, its store and its spool."""

    app: Flask
    store: Store
    spool: Spool

    def do_all(self) -> None:
        do_all(self.store, self.spool.folder)


@pytest.fixture
def server(empty_store: Store, tmp_path: Path) -> Server:
    """An application over an empty store of each kind."""
    return serve(empty_store, tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Server]:
    """The same over a local store, for what does not concern the store."""
    with connect(tmp_path / "store") as store:
        yield serve(store, tmp_path)


def serve(store: Store, folder: Path, **changes: Any) -> Server:
    spool = Spool(folder / "spool")
    return Server(application(store, jobs=Rules(spool=str(spool.folder)), **changes), store, spool)


def error_in(response: Any) -> str:
    (error,) = response.json["errors"]
    return f"{error['extensions']['code']}: {error['message']}"


def of_sample() -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in samples.path("dlrm_alltoall").iterdir() if file.is_file()}


def test_an_upload_becomes_the_trace_that_ingest_makes(server: Server) -> None:
    files = of_sample()
    sent = send(server.app, files, workload="dlrm", label=["gpu=h100", "run=1"], commit="c0ffee", branch="main")
    assert sent.status_code == 202
    found = job_in(sent)
    assert (found["state"], found["kind"], found["by"]) == ("queued", "ingest", "local")
    assert sent.headers["Location"] == found["url"] == f"/api/v1/jobs/{found['id']}"
    assert {each["name"]: each["sha256"] for each in found["input"]["files"]} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }
    server.do_all()
    with server.app.test_client() as client:
        done = job_in(client.get(found["url"]))
    expected = read(samples.path("dlrm_alltoall"))
    assert (done["state"], done["traceIds"], done["error"]) == ("done", [expected.trace_id], None)
    entry = server.store.find("dlrm")
    assert (entry.labels, entry.commit, entry.branch) == ({"gpu": "h100", "run": "1"}, "c0ffee", "main")
    stored = server.store.load("dlrm")
    for column in ("rank", "index", "kind", "start_ns", "duration_ns"):
        assert stored.operators[column].tolist() == expected.operators[column].tolist()
    assert left_in(server.spool) == []


@pytest.mark.parametrize(
    ("body", "kind", "name"),
    [
        (kineto(), "application/json", None),
        (kineto(), "application/octet-stream", "deep/kineto_rank0.json"),
        (zipped({"a.json": kineto()}), "application/zip", None),
        (tarred({"a.json": kineto()}), "application/x-tar", None),
    ],
)
def test_a_body_is_one_file(local: Server, body: bytes, kind: str, name: str | None) -> None:
    more = {} if name is None else {"name": name}
    sent = send_body(local.app, body, kind, workload="w", label="a=b", **more)
    assert sent.status_code == 202, sent.json
    local.do_all()
    assert job(local.store, job_in(sent)["id"]).state == "done"
    assert local.store.find("w").labels == {"a": "b"}
    assert len(local.store.load("w")) == 1


def test_several_ranks_in_folders(local: Server) -> None:
    files = {f"rank{rank}/kineto.json": kineto(rank=rank, world_size=2) for rank in (0, 1)}
    send(local.app, files, workload="two")
    local.do_all()
    assert local.store.find("two").ranks == (0, 1)


def test_each_file_a_trace_and_what_cannot_be_read_is_told(local: Server) -> None:
    sent = send(local.app, {"a.json": kineto("a"), "b.json": kineto("b"), "c.json": b'{"traceEvents": ['}, each="true")
    local.do_all()
    done = job(local.store, job_in(sent)["id"])
    assert (done.state, len(done.trace_ids), len(local.store.traces())) == ("done", 2, 2)
    (failure,) = done.failures
    assert (failure.file, failure.code) == ("c.json", "BAD_INPUT")
    assert str(local.spool.folder) not in failure.message


def test_the_same_again_is_the_same_job(server: Server) -> None:
    first = job_in(send(server.app, {"a.json": kineto()}, workload="w"))
    again = send(server.app, {"a.json": kineto()}, workload="w")
    assert (again.status_code, job_in(again)["id"]) == (202, first["id"])
    assert left_in(server.spool) == [first["id"]]
    server.do_all()
    done = send(server.app, {"a.json": kineto()}, workload="w")
    assert (done.status_code, job_in(done)["id"], job_in(done)["state"]) == (200, first["id"], "done")
    assert left_in(server.spool) == []
    for other in ({"workload": "v"}, {"workload": "w", "label": "a=b"}, {"workload": "w", "branch": "x"}):
        assert job_in(send(server.app, {"a.json": kineto()}, **other))["id"] != first["id"]
    assert job_in(send(server.app, {"b.json": kineto()}, workload="w"))["id"] != first["id"]


def test_what_did_not_come_to_a_trace_is_done_again(local: Server) -> None:
    cancelled = job_in(send(local.app, {"a.json": kineto()}))
    with local.app.test_client() as client:
        assert job_in(client.delete(cancelled["url"]))["state"] == "cancelled"
    first = job_in(send(local.app, {"a.json": kineto()}))
    assert first["id"] != cancelled["id"]
    local.do_all()
    (trace_id,) = job(local.store, first["id"]).trace_ids
    local.store.remove(trace_id)
    assert job_in(send(local.app, {"a.json": kineto()}))["id"] != first["id"]


def test_the_same_at_the_same_time_is_one_job(local: Server) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(job_in(send(local.app, {"a.json": kineto()}))["id"]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert left_in(local.spool) == found[:1]


def test_teams_have_jobs_of_their_own(tmp_path: Path) -> None:
    def viewer_of(request: Any) -> Viewer:
        return Viewer("t", request.headers["X-Team"], frozenset(request.headers["X-Scopes"].split()))

    def ask(path: str, team: str, scopes: str, method: str = "GET") -> Any:
        with server.app.test_client() as client:
            return client.open(path, method=method, headers={"X-Team": team, "X-Scopes": scopes})

    with connect(tmp_path / "store") as store:
        server = serve(store, tmp_path, viewer_of=viewer_of)
        refused = send(server.app, {"a.json": kineto()}, headers={"X-Team": "nlp", "X-Scopes": "read"})
        assert (refused.status_code, left_in(server.spool)) == (403, [])
        both = {"X-Team": "nlp", "X-Scopes": "read ingest"}
        mine = job_in(send(server.app, {"a.json": kineto()}, workload="w", headers=both))
        others = job_in(send(server.app, {"a.json": kineto()}, workload="w", headers=both | {"X-Team": "ads"}))
        assert mine["id"] != others["id"]
        assert ask(mine["url"], "nlp", "read").status_code == 200
        assert ask(mine["url"], "ads", "read ingest").status_code == 404
        assert ask(mine["url"], "ads", "read ingest", "DELETE").status_code == 404
        assert ask(mine["url"], "nlp", "read", "DELETE").status_code == 403
        assert ask(mine["url"], "ads", "admin read").status_code == 200
        server.do_all()
        assert {entry.team for entry in store.traces()} <= {"nlp", "ads"}
        assert job_in(ask(mine["url"], "nlp", "read"))["state"] == "done"


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("text/csv", b"x", 415, "Content-Type: found text/csv, expected multipart/form-data or"),
        ("application/x-www-form-urlencoded", b"a=b", 415, "Content-Type: found application/x-www-form-urlencoded"),
        ("application/zip", b"", 400, "the body: found nothing, expected a file"),
        ("multipart/form-data", b"x", 400, "the body: found what is no form"),
        ("multipart/form-data; boundary=x", b"x", 400, "the body: found what is no form"),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 400, "upload: found no file, expected one or more"),
        ("application/zip", b"x" * 5000, 413, "the upload is larger than 4,096 bytes"),
    ],
)
def test_what_is_no_upload_is_refused_and_leaves_nothing(
    tmp_path: Path, kind: str, body: bytes, status: int, words: str
) -> None:
    with connect(tmp_path / "store") as store:
        server = serve(store, tmp_path, limits={"upload_bytes": 4096, "upload_files": 3})
        refused = send_body(server.app, body, kind)
        assert refused.status_code == status, refused.json
        assert words in error_in(refused)
        assert (left_in(server.spool), Queue(store.records).page()) == ([], [])


@pytest.mark.parametrize(
    ("files", "fields", "status", "words"),
    [
        ({"../a.json": b"x"}, {}, 422, "a name that leads out of the archive"),
        ({"/etc/passwd": b"x"}, {}, 422, "an absolute name"),
        ({"x" * 300: b"x"}, {}, 422, "a name that no file here can have"),
        ({"a": b"x", "a/b": b"x"}, {}, 422, "a name that no file here can have"),
        ({"a.json": b"x", "./a.json": b"x"}, {}, 422, "a second member of this name"),
        ({f"{number}": b"x" for number in range(4)}, {}, 422, "more than 3 members"),
        ({"a.json": b"x"}, {"workload": "a@b"}, 400, "workload 'a@b'"),
        ({"a.json": b"x"}, {"label": "nothing"}, 400, "field 'label': found 'nothing', expected KEY=VALUE"),
        ({"a.json": b"x"}, {"label": "a#=b"}, 400, "label 'a#'"),
        ({"a.json": b"x"}, {"wrkload": "w"}, 400, "field 'wrkload': unknown"),
        ({"a.json": b"x"}, {"each": "perhaps"}, 400, "field 'each': found 'perhaps'"),
        ({"a.json": b"x"}, {"branch": ["a", "b"]}, 400, "field 'branch': found 2 values"),
        ({"a.json": b"x"}, {"workload": "w" * 200_000}, 413, "the form: found more than"),
    ],
)
def test_what_is_said_of_files_must_be_right(
    tmp_path: Path, files: Mapping[str, bytes], fields: Mapping[str, Any], status: int, words: str
) -> None:
    with connect(tmp_path / "store") as store:
        server = serve(store, tmp_path, limits={"upload_files": 3})
        refused = send(server.app, files, **fields)
        assert refused.status_code == status, refused.json
        assert words in error_in(refused)
        assert (left_in(server.spool), Queue(store.records).page()) == ([], [])


def digest_of(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def test_a_checksum_must_match_where_one_is_sent(local: Server) -> None:
    body = zipped({"a.json": kineto()})
    wrong = send_body(local.app, body, "application/zip", headers={"Content-Digest": digest_of(b"other")})
    assert wrong.status_code == 400
    assert "the body: found sha-256" in error_in(wrong)
    assert left_in(local.spool) == []
    right = f"md5=:AAAA:, {digest_of(body)}"
    assert send_body(local.app, body, "application/zip", headers={"Content-Digest": right}).status_code == 202


def test_each_part_of_a_form_may_have_a_checksum(local: Server) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.json"\r\n'
    part = head + b"Content-Digest: %s\r\n\r\n%s\r\n--x--\r\n"
    form = "multipart/form-data; boundary=x"
    assert send_body(local.app, part % (digest_of(b"?").encode(), kineto()), form).status_code == 400
    whole = part % (digest_of(kineto()).encode(), kineto())
    headers = {"Content-Digest": digest_of(whole)}
    assert send_body(local.app, whole, form, headers=headers).status_code == 202


def bomb(size: int) -> bytes:
    return zipped({"a.json": b" " * size}, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (zipped({"../../evil.json": kineto()}), "a name that leads out of the archive"),
        (zipped({"/evil.json": kineto()}), "an absolute name"),
        (tarred({"a.json": kineto()}, tarfile.PAX_FORMAT, special("b.json", tarfile.SYMTYPE, "/etc/passwd")), "b.json"),
        (bomb(3 << 20), "3,145,728 bytes"),
        (zipped({f"{number}.json": kineto() for number in range(5)}), "at most 4 members"),
        (zipped({"a.zip": zipped({"b.zip": zipped({"c.zip": zipped({"d.json": kineto()})})})}), "4 deep"),
        (zipped({"a.json": kineto()})[:-30], "upload"),
        (b"\x7fELF" + b"\0" * 100, "upload"),
        (zipped({"readme.txt": b"hello"}), "no file that may be a trace"),
    ],
)  # fmt: skip
def test_what_is_no_trace_fails_clearly(tmp_path: Path, body: bytes, words: str) -> None:
    with connect(tmp_path / "store") as store:
        server = serve(store, tmp_path)
        sent = job_in(send_body(server.app, body))
        do_all(store, server.spool.folder, limits=Limits(unpacked_bytes=1 << 20, archive_files=4))
        failed = job(store, sent["id"])
        assert failed.state == "failed"
        assert failed.error is not None
        assert words in failed.error.message, failed.error
        assert failed.error.code == "BAD_INPUT"
        assert str(tmp_path) not in failed.error.message
        assert (store.traces(), left_in(server.spool)) == ([], [])
    assert not list(tmp_path.parent.rglob("evil.json"))


def test_a_full_disk_is_told_before_anything_is_read(local: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 1 << 20

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Full)
    refused = send(local.app, {"a.json": kineto()})
    assert (refused.status_code, error_in(refused)) == (507, "COST_EXCEEDED: there is no room for the upload")


def test_a_disk_that_fills_up_leaves_nothing(local: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spools.ReceivedFile, "write", full)
    assert send(local.app, {"a.json": kineto()}).status_code == 507
    assert left_in(local.spool) == []


def test_broken_uploads_are_swept_and_none_that_is_at_work(local: Server) -> None:
    kept = job_in(send(local.app, {"a.json": kineto()}))["id"]
    ended = job_in(send(local.app, {"b.json": kineto()}))["id"]
    queue = Queue(local.store.records)
    queue.cancel(ended)
    now = time.time()
    broken, young = new_id(now - 3600), new_id(now)
    for job_id in (broken, young):
        (local.spool.folder / job_id / "files").mkdir(parents=True)
    later = now + 61

    def needed(job_id: str) -> bool:
        return any(job_id == each.id and not each.has_ended for each in queue.page())

    at_work = new_id(now - 3600)
    with local.spool.receiving(at_work) as upload:
        upload.file("a.json").write(b"x")
        assert local.spool.sweep(needed, lambda: now + 30) == [broken]
        assert set(local.spool.sweep(needed, lambda: later)) == {ended, young}
        assert left_in(local.spool) == sorted([kept, at_work])
    assert local.spool.sweep(needed, lambda: later) == [at_work]
    local.do_all()
    assert job(local.store, kept).state == "done"


def test_where_a_spool_lies(tmp_path: Path) -> None:
    assert spool_of("file:///data/my%20store").folder == Path("/data/my store/.uploads")
    assert spool_of("neo4j://host/db", str(tmp_path)).folder == tmp_path
    assert spool_of("neo4j://host/a").folder != spool_of("neo4j://host/b").folder
    here, there = Spool(tmp_path / "a"), Spool(tmp_path / "b")
    assert here.name == here.name != there.name
    with pytest.raises(NoRoom):
        here.check_room(1 << 62)


# At a real port


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def ask(url: str, body: Any, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address(url), timeout=30)
    try:
        connection.request("POST", "/api/v1/traces", body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_large_uploads_pass_a_real_server_and_larger_ones_do_not(local: Server) -> None:
    body = zipped({"a.json": kineto(), "b.bin": os.urandom(3 << 20)}, zipfile.ZIP_STORED)
    with serving(local.app, spool=local.spool, limits={"upload_bytes": 4 << 20}) as url:
        status, _ = ask(url, io.BytesIO(body), {"Content-Type": "application/zip", "Content-Length": str(len(body))})
        assert status == 202
        chunks = (body[begin : begin + 100_000] for begin in range(0, len(body), 100_000))
        assert ask(url, chunks, {"Content-Type": "application/zip"})[0] == 202
        with socket.create_connection(address(url)) as connection:
            connection.sendall(FORM_HEAD % (5 << 20))
            assert b"413" in connection.recv(100)
    local.do_all()
    assert len(local.store.traces()) == 1


def test_a_client_that_dies_midway_leaves_nothing(local: Server) -> None:
    with serving(local.app, spool=local.spool) as url:
        for _ in range(3):
            with socket.create_connection(address(url)) as connection:
                connection.sendall(FORM_HEAD % (4 << 20) + b"PK" + os.urandom(2 << 20))
        assert ask(url, kineto(), {"Content-Type": "application/json"})[0] == 202
    assert len(left_in(local.spool)) == 1
    assert len(Queue(local.store.records).page()) == 1


def test_no_room_is_told_when_the_headers_are_there(local: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 1 << 20

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Full)
    with serving(local.app, spool=local.spool) as url, socket.create_connection(address(url)) as connection:
        connection.sendall(FORM_HEAD % (1 << 20))
        assert b"507 Insufficient Storage" in connection.recv(100)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, Server, dict[str, str]]]:
    """A real server that asks for tokens, and tokens by their scopes."""
    with connect(tmp_path / "store") as store:
        tokens = Tokens(lambda: store.records)
        secrets = {scope: tokens.create(scope, "nlp", [scope]).secret for scope in ("ingest", "read")}
        local = serve(store, tmp_path, viewer_of=token_viewer(tokens))
        with serving(local.app, spool=local.spool, limits={"upload_bytes": 4 << 20}) as url:
            yield url, local, secrets


def head_of(size: int, *more: str, kind: str = "application/json") -> bytes:
    """The headers of an upload of so many bytes."""
    lines = ["POST /api/v1/traces HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {size}"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def answer_to(url: str, head: bytes) -> bytes:
    """What comes back when only the headers are sent, until the server ends its side."""
    with socket.create_connection(address(url), timeout=30) as connection:
        connection.sendall(head)
        found = b""
        while data := connection.recv(1 << 16):
            found += data
        return found


@pytest.mark.parametrize(
    ("token", "size", "more", "status", "word"),
    [
        (None, 1 << 20, {}, b"401", b"UNAUTHENTICATED"),
        ("etg_0123456789abcdef_" + "0" * 64, 1 << 20, {}, b"401", b"UNAUTHENTICATED"),
        ("read", 1 << 20, {}, b"403", b"FORBIDDEN"),
        ("ingest", 5 << 20, {}, b"413", b""),
        ("ingest", 1 << 20, {"kind": "text/plain"}, b"415", b"BAD_USER_INPUT"),
        ("read", 1 << 20, {"expect": True}, b"403", b"FORBIDDEN"),
    ],
)
def test_what_headers_tell_is_refused_before_the_body_is_sent(
    guarded: tuple[str, Server, dict[str, str]],
    token: str | None,
    size: int,
    more: Mapping[str, Any],
    status: bytes,
    word: bytes,
) -> None:
    url, local, secrets = guarded
    said = [f"Authorization: Bearer {secrets.get(token, token)}"] if token else []
    said += ["Expect: 100-continue"] if more.get("expect") else []
    found = answer_to(url, head_of(size, *said, kind=more.get("kind", "application/json")))
    assert found.startswith(b"HTTP/1.1 " + status)
    assert word in found
    assert b"\r\nconnection: close\r\n" in found.lower()
    assert left_in(local.spool) == []


def test_who_sends_all_the_same_sees_the_answer_and_no_reset(guarded: tuple[str, Server, dict[str, str]]) -> None:
    url, _, secrets = guarded
    body = os.urandom(3 << 20)
    for token, status in (("read", 403), (None, 401)):
        said = {"Authorization": f"Bearer {secrets[token]}"} if token else {}
        for whole in (body, (body[begin : begin + 100_000] for begin in range(0, len(body), 100_000))):
            assert ask(url, whole, {"Content-Type": "application/zip", **said})[0] == status


def test_who_may_send_is_told_to_go_on(guarded: tuple[str, Server, dict[str, str]]) -> None:
    url, local, secrets = guarded
    body = kineto()
    head = head_of(len(body), f"Authorization: Bearer {secrets['ingest']}", "Expect: 100-continue", "Connection: close")
    with socket.create_connection(address(url), timeout=30) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 202")
    assert len(left_in(local.spool)) == 1


def test_uploads_that_come_in_one_piece_are_judged_one_by_one(guarded: tuple[str, Server, dict[str, str]]) -> None:
    url, local, secrets = guarded
    sent = b""
    for name, scope in (("aten::mm", "ingest"), ("aten::relu", "ingest"), ("aten::add", "read")):
        body = kineto(name)
        sent += head_of(len(body), f"Authorization: Bearer {secrets[scope]}") + body
    found = answer_to(url, sent)
    assert re.findall(rb"HTTP/1\.1 (\d+)", found) == [b"202", b"202", b"403"]
    assert len(left_in(local.spool)) == 2
