"""How simulations met what they predicted: a relationship from a simulation to the trace that was measured."""

from __future__ import annotations

from dataclasses import fields

from etgraph.model.accuracy import Score, Validation
from etgraph.model.results import camel_case
from etgraph.store.clock import now
from etgraph.store.neo4j import catalogue
from etgraph.store.neo4j.connection import rows_of
from etgraph.store.neo4j.types import Transaction
from etgraph.store.references import no_simulation

_NAMES = {field.name: camel_case(field.name) for field in fields(Score)}


def simulations_of(tx: Transaction, workload: str) -> list[tuple[str, str]]:
    """Ids of traces of a workload and of the simulations beside them."""
    found = rows_of(
        tx,
        "MATCH (:Workload {name: $workload})-[:HAS_TRACE]->(t:Trace {state: 'ready'})<-[:OF]-"
        "(s:Simulation {state: 'ready'}) RETURN DISTINCT t.id AS trace, s.name AS simulation "
        "ORDER BY trace, simulation",
        {"workload": workload},
    )
    return [(trace, simulation) for trace, simulation in found]


def put(tx: Transaction, trace_id: str, simulation: str, measured: str, score: Score) -> None:
    """Note how a simulation beside a trace met another trace. Raises NotFound for what is not there."""
    catalogue.lock(tx)
    trace, other = catalogue.required(tx, trace_id), catalogue.required(tx, measured)
    told = {name: getattr(score, field) for field, name in _NAMES.items()} | {"created": now()}
    found = rows_of(
        tx,
        "MATCH (s:Simulation {name: $simulation, state: 'ready'})-[:OF]->(:Trace {key: $trace}) "
        "MATCH (m:Trace {key: $measured}) MERGE (s)-[v:VALIDATED_BY]->(m) SET v = $told RETURN s.key",
        {"simulation": simulation, "trace": trace.key, "measured": other.key, "told": told},
    )
    if not found:
        raise no_simulation(trace_id, simulation)


def listed(tx: Transaction, trace_id: str) -> list[Validation]:
    """How the simulations beside a trace met others, and how those of others met it. Raises NotFound for the trace."""
    key = catalogue.required(tx, trace_id).key
    found = rows_of(
        tx,
        "CALL () { MATCH (:Trace {key: $key})<-[:OF]-(s:Simulation)-[v:VALIDATED_BY]->(m:Trace) RETURN s, v, m UNION "
        "MATCH (s:Simulation)-[v:VALIDATED_BY]->(m:Trace {key: $key}) RETURN s, v, m } "
        "MATCH (s)-[:OF]->(t:Trace) WHERE s.state = 'ready' AND t.state = 'ready' AND m.state = 'ready' "
        "RETURN s.name AS simulation, t.id AS base, m.id AS trace, v.created AS created, properties(v) "
        "ORDER BY simulation, created, base, trace",
        {"key": key},
    )
    return [
        Validation(simulation, base, trace, created, Score(**{field: told.get(name) for field, name in _NAMES.items()}))
        for simulation, base, trace, created, told in found
    ]
