"""A store of two teams and of nobody, with tokens of every kind, and requests that are sent with them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Flask
from werkzeug.test import TestResponse

from etgraph.api.access import SCOPES, Tokens, view_of
from etgraph.api.context import Viewer
from etgraph.api.http.app import create_app
from etgraph.api.schema import SCHEMA
from etgraph.api.settings import Settings
from etgraph.queries import save_simulation
from etgraph.sim.simulators import simulate
from etgraph.store import Store
from support.build import build

STEP = """
    rank 0 | thread 1 | iteration ProfilerStep#1  0..100
    rank 0 | thread 1 | {}                        0..60
    rank 0 | thread 1 | aten::relu               60..100
"""
OURS, THEIRS, NOBODYS, BOTH = (letter * 64 for letter in "abcd")
SECRETS: Final = (THEIRS[:12], "zeta-model", "hushed", "dead5ec2e7", "codename", "omega", "aten::classified")
"""What tells of the other team's trace: its id, workload, tag, commit, label's key and value, an operator."""
WITHOUT_ADMIN: Final = tuple(scope for scope in SCOPES if scope != "admin")


@dataclass(frozen=True)
class World:
    """A server over a store. `tokens` are secrets by what they are of: `ours`, `theirs`, `admin`, `expired` …"""

    store: Store
    app: Flask
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, team: str, *scopes: str) -> str:
        """A token of a team with just these scopes, made when it is first asked for."""
        name = " ".join([team, *sorted(scopes)])
        if name not in self.tokens:
            self.tokens[name] = Tokens(lambda: self.store.records).create(name, team, scopes).secret
        return self.tokens[name]

    def send(self, path: str, token: str | None = None, method: str = "GET", **more: Any) -> TestResponse:
        """Send a request with a token."""
        headers = more.pop("headers", {}) | ({} if token is None else {"Authorization": f"Bearer {token}"})
        with self.app.test_client() as client:
            return client.open(path, method=method, headers=headers, **more)

    def ask(self, document: str, token: str | None = None, **variables: Any) -> TestResponse:
        """Send a document."""
        return self.send("/graphql", token, "POST", json={"query": document, "variables": variables})

    def data(self, document: str, token: str, **variables: Any) -> Any:
        """The data of an answer that has no errors."""
        found = self.ask(document, token, **variables).json
        assert found is not None
        assert "errors" not in found, found["errors"]
        return found["data"]


def trace(letter: str, operator: str = "aten::mm") -> Any:
    """A small trace with an id of that letter."""
    built = build(STEP.format(operator))
    return replace(built, trace_id=letter * 64, metadata=replace(built.metadata, device_model="Test GPU"))


def world_of(store: Store) -> World:
    """Team nlp with `gpt`, team ads with `zeta-model` and a trace of the same content as one of nlp, nobody's `old`."""
    nlp, ads = (view_of(store, Viewer(team, team, frozenset(WITHOUT_ADMIN))) for team in ("nlp", "ads"))
    nlp.publish(trace("a"), workload="gpt", commit="0123abcd", labels={"k": "v"})
    nlp.tag("gpt", "base")
    ads.publish(
        trace("b", "aten::classified"), workload="zeta-model", commit="dead5ec2e7", labels={"codename": "omega"}
    )
    ads.tag("zeta-model", "hushed")
    for view, name in ((nlp, OURS), (ads, THEIRS)):
        loaded = view.load(name)
        save_simulation(view, name, simulate(loaded, "replay"), trace=loaded)
    store.publish(trace("c"), workload="old")
    nlp.publish(trace("d"), workload="gpt-2")
    ads.publish(trace("d"), workload="zeta-model")

    world = World(store, create_app(store, SCHEMA.graphql_schema, Settings(authentication="tokens")))
    now = datetime.now(UTC)
    tokens = Tokens(lambda: store.records)
    past = Tokens(lambda: store.records, lambda: now - timedelta(days=2))
    revoked = tokens.create("revoked", "nlp", SCOPES)
    tokens.revoke(revoked.token.id)
    world.tokens.update(
        ours=world.token("nlp", *WITHOUT_ADMIN),
        theirs=world.token("ads", *WITHOUT_ADMIN),
        admin=world.token("ops", "admin"),
        expired=past.create("expired", "nlp", SCOPES, lasts=timedelta(days=1)).secret,
        revoked=revoked.secret,
    )
    return world


__all__ = ["BOTH", "NOBODYS", "OURS", "SECRETS", "THEIRS", "WITHOUT_ADMIN", "World", "trace", "world_of"]
