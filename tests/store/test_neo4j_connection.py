"""Addresses of Neo4j servers, servers that do not serve, and what is said of them: never a password."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import neo4j.exceptions
import pytest
import trustme

from etgraph.model import Trace
from etgraph.model.errors import StoreError, UsageError
from etgraph.store import Store, connect
from etgraph.store.errors import ReadOnlyStore, StoreFull, StoreUnavailable
from etgraph.store.neo4j.address import parse
from etgraph.store.neo4j.connection import _refuse_older
from etgraph.store.neo4j.failures import explained
from etgraph.store.neo4j.store import Neo4jStore
from support.neo4j import Neo4jUnderTest
from support.tls import encrypted

MakeTrace = Callable[..., Trace]

pytestmark = pytest.mark.neo4j


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ETGRAPH_NEO4J_USER", "ETGRAPH_NEO4J_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    found = parse("neo4j+s://me:p%40ss@example.org/traces")
    assert (found.uri, found.database, found.user, found.password) == (
        "neo4j+s://example.org:7687", "traces", "me", "p@ss",
    )  # fmt: skip
    assert found.url == "neo4j+s://example.org:7687/traces"
    assert "p@ss" not in repr(found)
    assert parse("bolt://[::1]:1").uri == "bolt://[::1]:1"
    monkeypatch.setenv("ETGRAPH_NEO4J_PASSWORD", "secret")
    assert (parse("bolt://h").user, parse("bolt://h").password) == ("neo4j", "secret")
    monkeypatch.setenv("ETGRAPH_NEO4J_USER", "me")
    assert (parse("bolt://h").user, parse("bolt://you@h").user) == ("me", "you")
    assert parse("bolt://you:own@h").password == "own"
    for wrong, words in (
        ("neo4j://", "no host"), ("neo4j://u:top-secret@h:99999", "port"), ("neo4j://u:top-secret@h/a/b", "database"),
        ("neo4j://u:top-secret@h?x=1", "database"), ("neo5j://u:top-secret@h", "unknown scheme"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words) as raised:
            connect(wrong)
        assert "top-secret" not in str(raised.value)


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from etgraph.store.neo4j_server import process

    for scheme in ("neo4j", "bolt", "bolt+s"):
        url = f"{scheme}://me:top-secret@127.0.0.1:{process.free_port()}"
        with pytest.raises(StoreUnavailable, match="no answer") as raised:
            connect(url)
        assert "etgraph neo4j start" in (raised.value.hint or "")
        assert "top-secret" not in f"{raised.value} {raised.value.hint} {raised.value.__cause__}"


def test_a_wrong_password_and_a_wrong_database(neo4j_server: Neo4jUnderTest) -> None:
    host = neo4j_server.uri.partition("://")[2]
    with pytest.raises(StoreError, match="refused the user or the password") as raised:
        connect(f"bolt://me:top-secret@{host}")
    assert "ETGRAPH_NEO4J_PASSWORD" in (raised.value.hint or "")
    assert "top-secret" not in f"{raised.value}"
    for scheme in ("bolt", "neo4j"):
        with pytest.raises(StoreError, match="nowhere"):
            connect(f"{scheme}://{neo4j_server.user}:{neo4j_server.password}@{host}/nowhere")


def test_certificates_are_verified(
    neo4j_server: Neo4jUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, plain = trustme.CA(), neo4j_server.uri.partition("://")[2]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    login = f"{neo4j_server.user}:{neo4j_server.password}"
    host, port = plain.rsplit(":", 1)
    with connect(f"bolt://{login}@{plain}") as store:
        traces = store.traces()
    with encrypted(host, int(port), context) as encrypted_port:
        url = f"{login}@127.0.0.1:{encrypted_port}"
        with pytest.raises(StoreUnavailable, match="certificate is not trusted") as raised:
            connect(f"bolt+s://{url}")
        assert "certificate authority" in (raised.value.hint or "")
        with connect(f"bolt+ssc://{url}") as store:
            assert store.traces() == traces
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        with connect(f"bolt+s://{url}") as store:
            assert store.traces() == traces
        # The certificate is another host's.
        with pytest.raises(StoreUnavailable, match="certificate is not trusted"):
            connect(f"bolt+s://{login}@localhost:{encrypted_port}")
    with pytest.raises(StoreUnavailable):
        connect(f"bolt+s://{login}@{plain}")


def test_an_old_server_is_refused() -> None:
    _refuse_older("Neo4j/5.26.0", "u")
    _refuse_older("Neo4j/2026.09.0", "u")
    _refuse_older("Neo4j/2025.01.0-aura", "u")
    _refuse_older("Compatible/1.0", "u")
    for agent in ("Neo4j/5.25.1", "Neo4j/4.4.40"):
        with pytest.raises(StoreError, match=r"expected 5\.26 or newer"):
            _refuse_older(agent, "u")


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        ("Neo.ClientError.Cluster.NotALeader", ReadOnlyStore, "leader"),
        ("Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", ReadOnlyStore, "written"),
        ("Neo.ClientError.Security.Forbidden", ReadOnlyStore, "user who may write"),
        ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", StoreFull, "dbms.memory.transaction.total.max"),
        ("Neo.TransientError.General.OutOfMemoryError", StoreFull, "memory"),
        ("Neo.TransientError.Transaction.DeadlockDetected", StoreError, "try again"),
        ("Neo.ClientError.Database.DatabaseNotFound", StoreError, "database's name"),
        ("Neo.DatabaseError.General.UnknownError", StoreError, "the server reports"),
    ],
)
def test_what_a_server_reports_is_told(code: str, expected: type[StoreError], words: str) -> None:
    with pytest.raises(expected) as raised, explained("neo4j://h"):
        raise neo4j.exceptions.Neo4jError._hydrate_neo4j(code=code, message="because")
    assert type(raised.value) is expected
    assert words in f"{raised.value} {raised.value.hint}"
    assert "neo4j://h" in str(raised.value)


def test_the_store_prints_no_credentials(neo4j_server: Neo4jUnderTest) -> None:
    host = neo4j_server.uri.partition("://")[2]
    with connect(f"bolt://{neo4j_server.user}:{neo4j_server.password}@{host}") as store:
        assert isinstance(store, Neo4jStore)
        assert neo4j_server.password not in f"{store!r} {store.url} {store.__dict__}"
        assert neo4j_server.password not in f"{vars(store._connection)}"


def test_a_forked_process_has_a_connection_of_its_own(
    new_neo4j_store: Callable[[], Store], make_trace: MakeTrace
) -> None:
    with new_neo4j_store() as store:
        store.publish(make_trace(), workload="w")
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if store.find("w").operators == 12 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert store.find("w").operators == 12
