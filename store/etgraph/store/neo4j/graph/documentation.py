"""The page about the graph in the database, and its picture, from the declarations themselves.

`python -m etgraph.store.neo4j.graph.documentation docs` writes `graph-model.md` and `graph-model.svg` into a folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from etgraph.store.neo4j.graph.examples import EXAMPLES, Example
from etgraph.store.neo4j.graph.picture import picture
from etgraph.store.neo4j.graph.schema import GRAPH_NODES, GRAPH_RELATIONSHIPS, Node, Part, Property, Relationship
from etgraph.store.neo4j.migrations import FORMAT, INDEXES, Index
from etgraph.store.neo4j.writing.batches import KEY_BITS

PAGE: Final = "graph-model.md"
PICTURE: Final = "graph-model.svg"

_INTRODUCTION: Final = f"""\
# The graph in Neo4j

What a store in Neo4j keeps, for whoever asks it in Cypher: in Neo4j Browser, with `etgraph cypher`, or with any client.
The page follows from the declarations in `model/etgraph/model/schema.py` and `store/etgraph/store/neo4j/`. After a
change there, write it anew:

    python -m etgraph.store.neo4j.graph.documentation docs

![Labels and relationships of the graph]({PICTURE})

Boxes are labels and arrows relationships; a box with several labels stands for nodes of each.

## What to know before asking

**Ask for `state: 'ready'`.** A trace is written in many transactions. Its node has the state `loading` until the last
one, and `deleting` once it is given up; what hangs on it then is a part of a trace. Artefacts have the same states.
The graph of a `Trace` that is `ready` is whole.

**Start at the trace.** Labels are shared by all traces of the database, and an operator does not say which one it
belongs to: `(:Trace)-[:HAS_RANK]->(:Rank)-[:RAN]->(:Operator)` does. A trace is found by its `id`, or by a name:
`(:Tag {{workload: …, name: …}})-[:NAMES]->(:Trace)`.

**An operator is (rank, index).** Both are properties of the operator; `index` counts within the rank. `parent` is the
`index` of the operator of the same rank that encloses it.

**A `key` finds a node at once.** It is an integer that no other node of the label has: the number of the load that
wrote the trace (the `key` of its `Trace`), shifted left by {KEY_BITS} bits, plus the row in the trace's table. So the
rows of one trace are a range of keys, in the order of the table. A trace that is replaced by a newer revision gets
other keys; keep (id, rank, index) rather than a key.

**Times are integers in nanoseconds**, from the trace's own zero; clock offsets are applied already.

**What is null is not there.** A property without a value is missing, as ever in Neo4j.

**Numbers and names.** Neo4j's integers have 64 bits with a sign. Unsigned numbers beyond 2⁶³ − 1 (`nodeId`, `address`)
are texts in decimal. Enumerations are texts, their names; a number that has no name stays a number.

**`attrs` is JSON**: what the source says and no property holds, as it was recorded. Cypher alone cannot look inside;
`attrsRow` is the number of that text among the trace's attributes, so that the trace can be read back as it was.

**Changes are seen.** Whoever reads the trace from the store afterwards gets the operators and dependencies as they are
in the database then, edited values included; `etgraph doctor --verify` tells when an edit leaves no valid trace. What
the `Trace` node says of it (`operators`, `spanNs`, …) stays as it was published. To delete a trace, use `etgraph rm`,
which takes its names and all of its nodes.
"""

_CATALOGUE: Final = """\
An entry of the catalogue is a relationship `HAS_TRACE`, which carries the moment, team, commit, branch and labels, so
that one trace may stand under several workloads. A trace that was published without a workload hangs on the `Store`
node. A workload without traces, a team without workloads and a tag without trace do not exist."""


_PY2NEO: Final = """\
## With py2neo

The extra `pip install 'etgraph[py2neo]'` brings an adapter for code that is written against py2neo:

```python
from etgraph.store import connect
from etgraph.store.py2neo import Operator, graph

with connect("bolt://localhost:7687") as store:
    g = graph(store)
    g.run("MATCH (t:Trace {state: 'ready'}) RETURN t.id, t.operators").to_data_frame()
    kernel = Operator.match(g).where(name="gemm").first()
    [call.name for call in kernel.launches_of]
```

`Workload`, `Trace`, `Rank` and `Operator` are models of these labels. They have the properties above, in snake_case,
and the relationships among themselves: `workload.traces`, `trace.ranks` (the property of that name is `rank_numbers`),
`rank.operators`, `operator.ran_by`, and for each kind of dependency two, such as `launches` and `launches_of`. py2neo
makes an object of each node and is no longer developed ([ADR 0008](adr/0008-py2neo-as-an-adapter.md)): use it for a few
nodes, and `Store.cypher` for many.
"""


def page() -> str:
    """All of `docs/graph-model.md`."""
    sections = [
        _INTRODUCTION.rstrip(),
        "## Nodes",
        _table(
            ("label", "part", "a node is"),
            ((f"[`{n.label}`](#{n.label.lower()})", n.part.value, n.meaning) for n in GRAPH_NODES),
        ),
        "A property that is not always there is marked with `?` after its types.",
        *(text for part in Part for text in _part(part)),
        "## Relationships",
        _table(("from", "type", "to", "meaning", "properties"), map(_relationship, _plain())),
        *(text for relationship in _with_properties() for text in _properties_of(relationship)),
        *_dependencies(),
        "## Constraints and indexes",
        f"A store makes them before the first trace goes in; the format of the graph is {FORMAT}.",
        _table(("name", "label", "properties", "unique"), map(_index, INDEXES)),
        "## Examples",
        "Each of these is run by the tests. Parameters begin with `$`; Neo4j Browser sets one with"
        " `:param trace => '…'`, `etgraph cypher` with `--param trace=…`. More, with a command for each, are in the"
        " [library of queries](queries/library.md).",
        *(_example(example) for example in EXAMPLES),
        _PY2NEO.rstrip(),
    ]
    return "\n\n".join(sections) + "\n"


def _part(part: Part) -> list[str]:
    sections = [f"## Nodes: {part.value}"]
    if part is Part.CATALOGUE:
        sections.append(_CATALOGUE)
    for node in GRAPH_NODES:
        if node.part is part:
            sections += _node(node)
    return sections


def _node(node: Node) -> Iterable[str]:
    yield f"### `{node.label}`"
    base = f" It has the label `{node.base}` too, and its properties." if node.base else ""
    yield f"{_sentence(node.meaning)}{base}"
    yield _properties(node.properties)
    if node.more:
        yield f"Further properties: {node.more}."


def _properties(properties: Iterable[Property]) -> str:
    return _table(
        ("property", "type", "unit", "meaning"),
        ((f"`{p.name}`", _types(p), p.unit, p.meaning) for p in properties),
    )


def _types(found: Property) -> str:
    return " or ".join(f"`{name}`" for name in found.types) + (" ?" if found.optional else "")


def _plain() -> list[Relationship]:
    return [r for r in GRAPH_RELATIONSHIPS if r.kind is None]


def _with_properties() -> list[Relationship]:
    """Relationships with properties, one of each type."""
    by_type = {r.type: r for r in reversed(_plain()) if r.properties}
    return list(reversed(by_type.values()))


def _relationship(relationship: Relationship) -> Sequence[str]:
    names = [f"`{p.name}`" for p in relationship.properties]
    if relationship.more:
        names.append("…")
    source, target = (f"`{label}`" for label in (relationship.source, relationship.target))
    return source, f"`{relationship.type}`", target, relationship.meaning, ", ".join(names)


def _properties_of(relationship: Relationship) -> Iterable[str]:
    yield f"### `{relationship.type}`"
    yield _properties(relationship.properties)
    if relationship.more:
        yield f"Further properties: {relationship.more}."


def _dependencies() -> list[str]:
    found = [r for r in GRAPH_RELATIONSHIPS if r.dependency is not None]
    rows = []
    for relationship in found:
        assert relationship.kind is not None
        assert relationship.dependency is not None
        ends = "; ".join(end.value for end in relationship.dependency.ends)
        order = "yes" if relationship.dependency.ordering else "no"
        rows.append((f"`{relationship.type}`", f"`{relationship.kind.name}`", ends, order, relationship.meaning))
    return [
        "## Dependencies",
        "From the operator that comes first to the one that depends on it. The third column says which of their ends"
        " the dependency joins; one outside the order explains a delay and orders nothing"
        " ([architecture.md](architecture.md#the-event-graph)). The members of a collective depend on each other by"
        " way of it: `JOINS`, above.",
        _table(("type", "kind", "ends", "in the order", "meaning"), rows),
        "Each carries:",
        _properties(found[0].properties),
        "One that you create needs none of these; it is read as a recorded one of method `edited`, after the others.",
    ]


def _index(index: Index) -> Sequence[str]:
    properties = ", ".join(f"`{name}`" for name in index.properties)
    return f"`{index.name}`", f"`{index.label}`", properties, "yes" if index.unique else "no"


def _example(example: Example) -> str:
    note = "This changes the database; with `etgraph cypher` it takes `--write`.\n\n" if example.writes else ""
    return f"### {example.answers}\n\n{note}```cypher\n{example.text}\n```"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def write(folder: Path) -> None:
    """Write the page and its picture into a folder."""
    (folder / PAGE).write_text(page(), "utf-8")
    (folder / PICTURE).write_text(picture(), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
