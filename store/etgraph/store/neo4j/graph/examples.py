"""Example queries of the documentation, with parameters that fit the sample that they are shown and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Example:
    """A query: its name, what it answers, its text, the parameters that it takes, and whether it changes anything."""

    name: str
    answers: str
    text: str
    parameters: tuple[str, ...] = ()
    writes: bool = False


EXAMPLES: Final = (
    Example(
        "newest_traces",
        "The traces of a workload, newest first",
        """\
MATCH (:Workload {name: $workload})-[entry:HAS_TRACE]->(t:Trace {state: 'ready'})
RETURN t.id AS trace, entry.created AS created, entry.commit AS commit, t.operators AS operators
ORDER BY entry.order DESC""",
        ("workload",),
    ),
    Example(
        "workloads_of_team",
        "The workloads that a team owns, and how many of its traces each has",
        """\
MATCH (:Team {name: $team})-[:OWNS]->(w:Workload)-[entry:HAS_TRACE {team: $team}]->(:Trace {state: 'ready'})
RETURN w.name AS workload, count(*) AS traces
ORDER BY workload""",
        ("team",),
    ),
    Example(
        "longest_operators",
        "The ten longest operators of a trace",
        """\
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(:Rank)-[:RAN]->(o:Operator)
WHERE o.durationNs IS NOT NULL
RETURN o.rank AS rank, o.index AS index, o.name AS name, o.durationNs AS durationNs
ORDER BY durationNs DESC, rank, index
LIMIT 10""",
        ("trace",),
    ),
    Example(
        "launches",
        "What launched the kernels of a name: the host's call, and the calls that enclose it, innermost first",
        """\
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(:Rank {rank: $rank})-[:RAN]->(k:Operator {name: $kernel})
MATCH (call:Operator)-[:LAUNCHES]->(k)
MATCH enclosing = (outermost:Operator)-[:CALLS*0..]->(call)
WHERE NOT EXISTS { ()-[:CALLS]->(outermost) }
RETURN k.index AS kernel, k.startNs - call.startNs AS latencyNs, [o IN reverse(nodes(enclosing)) | o.name] AS calls
ORDER BY kernel""",
        ("trace", "rank", "kernel"),
    ),
    Example(
        "time_by_lane",
        "How busy each device stream was",
        """\
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(r:Rank)-[:HAS_LANE]->(l:Lane {kind: 'STREAM'})
MATCH (o:Operator)-[:ON_LANE]->(l)
RETURN r.rank AS rank, l.id AS stream, count(o) AS operators, sum(o.durationNs) AS busyNs
ORDER BY rank, stream""",
        ("trace",),
    ),
    Example(
        "late_ranks",
        "Who came last to each collective, and how long the first had waited for it by then",
        """\
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_COLLECTIVE]->(c:Collective)<-[:JOINS]-(o:Operator)
WITH c, o ORDER BY o.startNs
WITH c, collect(o) AS members
WHERE size(members) > 1
RETURN c.type AS type, c.bytes AS bytes, last(members).rank AS lastRank,
       last(members).startNs - head(members).startNs AS waitNs
ORDER BY waitNs DESC
LIMIT 10""",
        ("trace",),
    ),
    Example(
        "critical_path",
        "A critical path that was kept beside the trace, in order",
        """\
MATCH (p:CriticalPath {kind: 'critical-path', state: 'ready'})-[:OF]->(:Trace {id: $trace, state: 'ready'})
WHERE p.simulation IS NULL
MATCH (p)-[s:PASSES]->(o:Operator)
RETURN p.name AS path, s.order AS position, o.rank AS rank, o.name AS name, s.category AS category,
       s.endNs - s.startNs AS ns
ORDER BY path, position""",
        ("trace",),
    ),
    Example(
        "predicted_durations",
        "Predicted beside measured durations, furthest apart first, of every simulation of the trace",
        """\
MATCH (p:Simulation {state: 'ready'})-[:OF]->(:Trace {id: $trace, state: 'ready'})
MATCH (p)-[s:PREDICTS]->(o:Operator)
WHERE s.durationNs IS NOT NULL AND o.durationNs IS NOT NULL
RETURN p.id AS simulation, o.rank AS rank, o.index AS index, o.name AS name, o.durationNs AS measuredNs,
       s.durationNs AS predictedNs
ORDER BY abs(predictedNs - measuredNs) DESC, simulation, rank, index
LIMIT 10""",
        ("trace",),
    ),
    Example(
        "change_duration",
        "Change how long an operator took",
        """\
MATCH (:Trace {id: $trace, state: 'ready'})-[:HAS_RANK]->(:Rank {rank: $rank})-[:RAN]->(o:Operator {index: $index})
SET o.durationNs = $durationNs
RETURN o.name AS name, o.durationNs AS durationNs""",
        ("trace", "rank", "index", "durationNs"),
        writes=True,
    ),
)
"""Every example, in the order of the page."""
