"""What a server says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from etgraph.api.access import require
from etgraph.api.context import Context
from etgraph.api.limits.limits import Limit, described
from etgraph.model.schema import REVISION
from etgraph.queries.questions import OF_SEVERAL, QUESTIONS
from etgraph.sim.simulators import SIMULATORS
from etgraph.store import Check
from etgraph.store.checking import checks_of


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What answers: its version, and what it knows how to do.

    `version` is that of etgraph. `revision` is that of the pipeline which makes graphs of files; a trace of an older
    one can be read again. `store` is the kind of its store, local or neo4j; only the latter has Cypher. `questions` are
    those that can be asked of a trace, `simulators` what can predict its times, `limits` what a request may cost.
    """

    version: str
    revision: int
    store: str
    questions: tuple[str, ...]
    simulators: tuple[str, ...]
    limits: tuple[Limit, ...]


def server_info(context: Context) -> ServerInfo:
    """What the server of a request says of itself."""
    kind = "local" if context.store.url.startswith("file:") else "neo4j"
    return ServerInfo(
        version("etgraph"), REVISION, kind, (*QUESTIONS, *OF_SEVERAL), tuple(SIMULATORS), described(context.limits)
    )


def store_checks(context: Context, *, verify: bool) -> list[Check]:
    """Whether the store of a request is in order. Raises Forbidden for viewers who are no administrators."""
    require(context.viewer, "admin")
    return checks_of(context.store, verify=verify)


__all__ = ["ServerInfo", "server_info", "store_checks"]
