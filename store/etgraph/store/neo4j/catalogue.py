"""The catalogue: entries of traces under workloads, their labels and tags, and references out of them.

An entry is the relationship `HAS_TRACE` from a workload, or from the `Store` node where a trace has no workload yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from etgraph.model.errors import NotFound, StoreError
from etgraph.store.clock import now
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.description import info_of, label_properties, label_property
from etgraph.store.neo4j.migrations import ROOT
from etgraph.store.neo4j.types import Transaction
from etgraph.store.protocol import TraceInfo, WorkloadInfo
from etgraph.store.references import Candidate, no_id
from etgraph.store.visible import SEPARATOR, Visible, check_free

T = TypeVar("T")

LOOKS: Final = 5
"""How often the catalogue is read again because somebody changed it."""

_ENTRY = "MATCH (t:Trace)<-[e:HAS_TRACE]-(w) "
_NAME = "CASE WHEN w:Workload THEN w.name END"
_OF_WORKLOAD = f"coalesce(e.team, '') + $separator + coalesce($separator + {_NAME}, '') + $separator"
_SEEN = f"""($everything OR (e.team IS NOT NULL AND e.team = $viewers)
    OR (size($shared) > 0 AND ({_OF_WORKLOAD} IN $shared OR {_OF_WORKLOAD} + t.id IN $shared)))"""
"""That an entry `e` of a trace `t` under `w` is visible; its values are `among`."""


def lock(tx: Transaction) -> int:
    """Wait for all other changes of the catalogue to end, and let none begin before this; the number of this one."""
    found = rows_of(tx, "MATCH (s:Store {name: $name}) SET s.changes = s.changes + 1 RETURN s.changes", {"name": ROOT})
    if not found:
        raise StoreError("the store's node is gone from the database", hint="publish again; it is made anew")
    return int(found[0][0])


def changes(tx: Transaction) -> int:
    """The number of the last change of the catalogue."""
    found = rows_of(tx, "MATCH (s:Store {name: $name}) RETURN s.changes", {"name": ROOT})
    return int(found[0][0]) if found else 0


def settled(connection: Connection, look: Callable[[Transaction], T]) -> T:
    """What a look at the catalogue finds when nobody changes it.

    The server shows the parts of a change one after the other while it commits, and both sides of a change to who
    looks meanwhile. Who looks later on this connection sees every change that any look before could see in part.
    """
    before = connection.read(changes)
    for remaining in reversed(range(LOOKS)):
        failure: NotFound | None = None
        try:
            found = connection.read(look)
        except NotFound as error:
            failure = error
        after = connection.read(changes)
        if before == after or not remaining:
            break
        before = after
    if failure is not None:
        raise failure
    return found


@dataclass(frozen=True, slots=True)
class Ready:
    """A trace that readers see: its load's number, and its revision."""

    key: int
    revision: int


def ready(tx: Transaction, trace_id: str) -> Ready | None:
    """The trace of that id, None where no reader would see one."""
    found = rows_of(tx, "MATCH (t:Trace {id: $id, state: 'ready'}) RETURN t.key, t.revision", {"id": trace_id})
    return Ready(*found[0]) if found else None


def required(tx: Transaction, trace_id: str) -> Ready:
    """The trace of that id. Raises NotFound where no reader would see one."""
    found = ready(tx, trace_id)
    if found is None:
        raise no_id(trace_id)
    return found


def condemned(tx: Transaction, trace_id: str) -> list[int]:
    """Keys of what was published under that id, is in no reader's sight any more, and has to be deleted."""
    found = rows_of(tx, "MATCH (t:Trace {id: $id, state: 'deleting'}) RETURN t.key", {"id": trace_id})
    return [row[0] for row in found]


def among(visible: Visible | None) -> dict[str, Any]:
    """The values by which entries are visible; None is everything."""
    seen = visible or Visible(None)
    return {"everything": visible is None, "viewers": seen.team, "shared": seen.keys, "separator": SEPARATOR}


class GraphLookup:
    """Candidates for references out of the graph, newest first, of those entries that are visible."""

    def __init__(self, tx: Transaction, visible: Visible | None = None) -> None:
        self._tx = tx
        self._among = among(visible)

    def _candidates(self, condition: str, **values: object) -> list[Candidate]:
        found = rows_of(
            self._tx,
            f"{_ENTRY} WHERE t.state = 'ready' AND {condition} AND {_SEEN} "
            f"RETURN t.id, {_NAME}, e.created, e.commit ORDER BY e.order DESC",
            {**values, **self._among},
        )
        return [Candidate(*row) for row in found]

    def by_id(self, prefix: str) -> list[Candidate]:
        """Entries of the traces whose id starts so."""
        return self._candidates("t.id STARTS WITH $prefix", prefix=prefix)

    def in_workload(self, workload: str) -> list[Candidate]:
        """Entries of a workload."""
        return self._candidates("w:Workload AND w.name = $workload", workload=workload)

    def tagged(self, workload: str, name: str) -> str | None:
        """Id of the trace that the tag names."""
        found = rows_of(
            self._tx,
            "MATCH (:Tag {workload: $workload, name: $name})-[:NAMES]->(t:Trace {state: 'ready'}) "
            f"MATCH (t)<-[e:HAS_TRACE]-(w:Workload {{name: $workload}}) WHERE {_SEEN} RETURN t.id",
            {"workload": workload, "name": name, **self._among},
        )
        return found[0][0] if found else None

    def labelled(self, workload: str, key: str, value: str) -> list[Candidate]:
        """Entries of a workload that carry the label."""
        return self._candidates(
            "w:Workload AND w.name = $workload AND e[$key] = $value",
            workload=workload, key=label_property(key), value=value,
        )  # fmt: skip

    def tags_of(self, workload: str) -> list[str]:
        """Names of the workload's tags."""
        found = rows_of(
            self._tx,
            "MATCH (g:Tag {workload: $workload})-[:NAMES]->(t:Trace)<-[e:HAS_TRACE]-(w:Workload {name: $workload}) "
            f"WHERE {_SEEN} RETURN g.name ORDER BY g.name",
            {"workload": workload, **self._among},
        )
        return [row[0] for row in found]

    def all(self) -> list[Candidate]:
        """Every entry."""
        return self._candidates("true")


def infos(
    tx: Transaction,
    condition: str = "true",
    values: Mapping[str, Any] | None = None,
    visible: Visible | None = None,
) -> list[TraceInfo]:
    """Visible entries `e` of traces `t` under workloads `w` that satisfy a condition, newest first."""
    found = rows_of(
        tx,
        f"""{_ENTRY} WHERE t.state = 'ready' AND ({condition}) AND {_SEEN}
        RETURN properties(t), properties(e), {_NAME},
               COLLECT {{ MATCH (w)-[:HAS_TAG]->(g:Tag)-[:NAMES]->(t) RETURN g.name }},
               COLLECT {{ MATCH (t)-[:READ_FROM]->(f:Source)
                          RETURN f {{.*, document: CASE WHEN f.format STARTS WITH 'chakra' THEN f.document END}}
                          ORDER BY f.key }}
        ORDER BY e.order DESC""",
        {**(values or {}), **among(visible)},
    )
    return [info_of(trace, sources, entry, workload, tags) for trace, entry, workload, tags, sources in found]


def workload_infos(tx: Transaction, team: str | None, visible: Visible | None = None) -> list[WorkloadInfo]:
    """Workloads that have visible traces, by name; with `team`, the entries that the team published only."""
    found = rows_of(
        tx,
        f"""MATCH (w:Workload)-[e:HAS_TRACE]->(t:Trace {{state: 'ready'}}) WHERE {_SEEN}
        WITH w, collect(DISTINCT e.team) AS teams, collect(e) AS entries, collect(t) AS seen
        WITH w, teams, seen, [e IN entries WHERE $team IS NULL OR e.team = $team] AS chosen
        WHERE size(chosen) > 0
        UNWIND chosen AS e
        RETURN w.name AS name, count(*), max(e.created), teams,
               COLLECT {{ MATCH (w)-[:HAS_TAG]->(g:Tag)-[:NAMES]->(t) WHERE t IN seen RETURN g.name }} ORDER BY name""",
        {"team": team, **among(visible)},
    )
    return [WorkloadInfo(n, count, newest, tuple(sorted(teams)), tuple(sorted(tags)))
            for n, count, newest, teams, tags in found]  # fmt: skip


def put_entry(
    tx: Transaction,
    trace: int,
    order: int,
    workload: str | None,
    details: Mapping[str, str | None],
    labels: Mapping[str, str],
    visible: Visible | None = None,
) -> None:
    """Enter a trace under a workload, or add to the entries that it has, of those that are visible.

    `details` are team, commit and branch.
    """
    entries = rows_of(tx, f"{_ENTRY} WHERE t.key = $trace RETURN {_NAME}, {_SEEN}", {"trace": trace, **among(visible)})
    check_free(workload, [name for name, seen in entries if not seen])
    names: list[str | None] = [name for name, seen in entries if seen]
    if (workload is not None and workload not in names) or not names:
        entry = {"created": now(), "order": order}
        if None in names:
            # It takes on the workload, and with a new number comes to stand as the newest there.
            taken = rows_of(
                tx,
                f"MATCH (w:Store)-[e:HAS_TRACE]->(t:Trace {{key: $trace}}) WHERE {_SEEN} "
                "WITH e, properties(e) AS p DELETE e RETURN p",
                {"trace": trace, **among(visible)},
            )
            entry = {**taken[0][0], **entry}
        owner = "(w:Workload {name: $workload})" if workload is not None else "(w:Store {name: $root})"
        tx.run(
            f"MERGE {owner} WITH w MATCH (t:Trace {{key: $trace}}) CREATE (w)-[e:HAS_TRACE]->(t) SET e = $entry",
            {"workload": workload, "root": ROOT, "trace": trace, "entry": entry | _given(details)},
        ).consume()
    change_entries(tx, trace, workload, _given(details) | label_properties(labels), visible)


def _given(details: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in details.items() if value is not None}


def change_entries(
    tx: Transaction,
    trace: int,
    workload: str | None,
    properties: Mapping[str, str],
    visible: Visible | None = None,
) -> None:
    """Set properties of a trace's visible entry under a workload, or of all its visible entries."""
    if properties:
        tx.run(
            f"{_ENTRY} WHERE t.key = $trace AND ($workload IS NULL OR (w:Workload AND w.name = $workload)) "
            f"AND {_SEEN} SET e += $properties",
            {"trace": trace, "workload": workload, "properties": dict(properties), **among(visible)},
        ).consume()
    if "team" in properties:
        tx.run(
            "MATCH (w:Workload)-[e:HAS_TRACE]->(:Trace {key: $trace}) WHERE e.team IS NOT NULL "
            "MERGE (m:Team {name: e.team}) MERGE (m)-[:OWNS]->(w)",
            {"trace": trace},
        ).consume()
        forget_unused(tx)


def put_labels(
    tx: Transaction, trace: int, workload: str | None, labels: Mapping[str, str], visible: Visible | None = None
) -> None:
    """Set labels of a trace's visible entry under a workload, or of all its visible entries."""
    change_entries(tx, trace, workload, label_properties(labels), visible)


def workloads_of(tx: Transaction, trace: int, workload: str | None, visible: Visible | None = None) -> list[str]:
    """Workloads of a trace's visible entries, that one only or all, newest first."""
    found = rows_of(
        tx,
        "MATCH (w:Workload)-[e:HAS_TRACE]->(t:Trace {key: $trace}) "
        f"WHERE ($workload IS NULL OR w.name = $workload) AND {_SEEN} RETURN w.name ORDER BY e.order DESC",
        {"trace": trace, "workload": workload, **among(visible)},
    )
    return [row[0] for row in found]


def put_tag(tx: Transaction, trace: int, workload: str, name: str) -> None:
    """Let the workload's tag name this trace and no other."""
    tx.run(
        """MATCH (w:Workload {name: $workload}) MATCH (t:Trace {key: $trace})
        MERGE (g:Tag {workload: $workload, name: $name}) MERGE (w)-[:HAS_TAG]->(g)
        WITH g, t OPTIONAL MATCH (g)-[old:NAMES]->() DELETE old
        WITH DISTINCT g, t CREATE (g)-[:NAMES]->(t)""",
        {"workload": workload, "trace": trace, "name": name},
    ).consume()


def delete_tag(tx: Transaction, workload: str, name: str) -> None:
    """Take a tag away."""
    tx.run(
        "MATCH (g:Tag {workload: $workload, name: $name}) DETACH DELETE g", {"workload": workload, "name": name}
    ).consume()


def move_names(tx: Transaction, old: int, new: int) -> None:
    """Give the entries and tags of one trace to another."""
    keys = {"old": old, "new": new}
    tx.run(
        "MATCH (w)-[e:HAS_TRACE]->(:Trace {key: $old}) MATCH (t:Trace {key: $new}) "
        "CREATE (w)-[n:HAS_TRACE]->(t) SET n = properties(e) DELETE e",
        keys,
    ).consume()
    tx.run(
        "MATCH (g:Tag)-[e:NAMES]->(:Trace {key: $old}) MATCH (t:Trace {key: $new}) CREATE (g)-[:NAMES]->(t) DELETE e",
        keys,
    ).consume()


def take_out(tx: Transaction, trace: int, visible: Visible | None) -> bool:
    """Take a trace's visible entries out of the catalogue, with the tags that name it there; whether none is left."""
    values = {"trace": trace, **among(visible)}
    tx.run(
        f"MATCH (w:Workload)-[e:HAS_TRACE]->(t:Trace {{key: $trace}}) WHERE {_SEEN} "
        "MATCH (g:Tag {workload: w.name})-[:NAMES]->(t) DETACH DELETE g",
        values,
    ).consume()
    tx.run(f"MATCH (w)-[e:HAS_TRACE]->(t:Trace {{key: $trace}}) WHERE {_SEEN} DELETE e", values).consume()
    forget_unused(tx)
    return not rows_of(tx, "MATCH (:Trace {key: $trace})<-[e:HAS_TRACE]-() RETURN 1 LIMIT 1", {"trace": trace})


def forget(tx: Transaction, trace: int) -> None:
    """Take a trace out of the catalogue: its entries, the tags that name it, workloads and teams left without any."""
    tx.run("MATCH (g:Tag)-[:NAMES]->(:Trace {key: $trace}) DETACH DELETE g", {"trace": trace}).consume()
    tx.run("MATCH ()-[e:HAS_TRACE]->(:Trace {key: $trace}) DELETE e", {"trace": trace}).consume()
    forget_unused(tx)


def forget_unused(tx: Transaction) -> None:
    """Delete workloads without traces, and what says of a team more than its entries do."""
    for text in (
        "MATCH (w:Workload) WHERE NOT EXISTS { (w)-[:HAS_TRACE]->() } DETACH DELETE w",
        "MATCH (m:Team)-[o:OWNS]->(w) WHERE NOT EXISTS { (w)-[e:HAS_TRACE]->() WHERE e.team = m.name } DELETE o",
        "MATCH (m:Team) WHERE NOT EXISTS { (m)-[:OWNS]->() } DELETE m",
    ):
        tx.run(text).consume()


def conditions(workload: str | None, team: str | None, labels: Mapping[str, str] | None) -> tuple[str, dict[str, Any]]:
    """The condition, for `infos`, that an entry is of a workload and a team and carries all labels; its values."""
    parts: list[str] = []
    values: dict[str, Any] = {"labels": [[label_property(k), v] for k, v in (labels or {}).items()]}
    if workload is not None:
        parts.append("w:Workload AND w.name = $workload")
        values["workload"] = workload
    if team is not None:
        parts.append("e.team = $team")
        values["team"] = team
    parts.append("all(label IN $labels WHERE e[label[0]] = label[1])")
    return " AND ".join(parts), values


def entries_of(tx: Transaction, trace_id: str, workload: str | None, visible: Visible | None = None) -> list[TraceInfo]:
    """The visible entries of a trace, under one workload or all, newest first."""
    condition = "t.id = $id AND ($workload IS NULL OR (w:Workload AND w.name = $workload))"
    return infos(tx, condition, {"id": trace_id, "workload": workload}, visible)
