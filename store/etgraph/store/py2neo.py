"""The graph of a Neo4j store through py2neo, for code that is written against py2neo's `Graph` and its object mapper.

An adapter, on top of a store that itself uses Neo4j's own driver. Needs the extra: `pip install 'etgraph[py2neo]'`.

    from etgraph.store import connect
    from etgraph.store.py2neo import Trace, graph

    with connect("bolt://localhost:7687") as store:
        g = graph(store)
        trace = Trace.match(g).where(state="ready").first()
        for rank in trace.ranks:
            print(rank.rank, len(rank.operators))

The classes `Workload`, `Trace`, `Rank` and `Operator` are py2neo models, one for each label. Their attributes are the
properties of the graph (`docs/graph-model.md`) in snake_case, and the relationships between these labels. py2neo
fetches all of a node's relationships of a type at once and makes an object of each node, which suits a few nodes and
not a million operators; `graph(store).run(…)` takes any Cypher.
"""

from __future__ import annotations

import re
from typing import Any

from etgraph.model.errors import UsageError
from etgraph.store.neo4j.graph.schema import GRAPH_RELATIONSHIPS, node_of
from etgraph.store.protocol import Store

try:
    from py2neo import Graph
    from py2neo.ogm import Model, Property, RelatedFrom, RelatedTo
except ImportError as error:
    raise UsageError("py2neo is not installed", hint="pip install 'etgraph[py2neo]'") from error

__all__ = ["Operator", "Rank", "Trace", "Workload", "graph"]


def graph(store: Store) -> Any:
    """The `py2neo.Graph` of a store's database: same server, user and database, but connections of its own.

    They are closed by `graph(store).service.connector.close()`. py2neo knows no bookmarks: in a cluster, it may not see
    at once what the store has just written.

    Raises UsageError for a store that is not in Neo4j, and py2neo's own errors for a server that it cannot speak to.
    """
    from etgraph.store.neo4j.store import Neo4jStore

    if not isinstance(store, Neo4jStore):
        raise UsageError(
            f"store {store.url}: found a local store, expected one in Neo4j",
            hint="connect to bolt://host:7687; 'etgraph neo4j start' runs a server on this machine",
        )
    address = store._connection.address
    return Graph(address.uri, name=address.database, auth=(address.user, address.password))


def _snake(name: str) -> str:
    """A property's name in Python: `startNs` becomes `start_ns`."""
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def _with_properties(model: Any) -> Any:
    """Give a model an attribute for each property that its label has and that the model does not name itself."""
    named = {attribute.key for attribute in vars(model).values() if isinstance(attribute, Property)}
    for found in node_of(model.__primarylabel__).properties:
        if found.name not in named:
            setattr(model, _snake(found.name), Property(found.name))
    return model


def _with_dependencies(model: Any) -> Any:
    """Give a model of operators two attributes for each kind of dependency, one for either direction."""
    for found in GRAPH_RELATIONSHIPS:
        if found.kind is not None:
            setattr(model, found.type.lower(), RelatedTo(model, found.type))
            setattr(model, f"{found.type.lower()}_of", RelatedFrom(model, found.type))
    return model


@_with_properties
class Workload(Model):
    """A workload; the properties of an entry (team, commit, …) are those of its relationship to the trace."""

    __primarykey__ = "name"

    traces = RelatedTo("Trace", "HAS_TRACE")


@_with_properties
class Trace(Model):
    """A trace; ask for those whose `state` is `ready`. `ranks` are nodes, `rank_numbers` the property `ranks`."""

    __primarykey__ = "key"

    rank_numbers = Property("ranks")
    # No `workloads`: the `Store` node owns traces too, and py2neo would take it for a workload.
    ranks = RelatedTo("Rank", "HAS_RANK")


@_with_properties
class Rank(Model):
    """A rank of a trace."""

    __primarykey__ = "key"

    trace = RelatedFrom("Trace", "HAS_RANK")
    operators = RelatedTo("Operator", "RAN")


@_with_dependencies
@_with_properties
class Operator(Model):
    """An operator; `launches` are the operators that it launches, `launches_of` those that launch it, and so on."""

    __primarykey__ = "key"

    ran_by = RelatedFrom("Rank", "RAN")
