"""A small schema for tests of the HTTP view: fields that answer, fail, take long, nest, and page."""

from __future__ import annotations

import threading
import time
from typing import Any

import graphene
import numpy as np
from graphql import GraphQLSchema

from etgraph.model.cancelling import BETWEEN_LOOKS, stopped
from etgraph.model.columns import Array
from etgraph.model.errors import MissingData, StoreError
from etgraph.model.kernels import kernel


@kernel
def count_for_ever(steps: Array, stop: Array) -> int:
    """Count until told to stop, as a kernel whose work never ends."""
    done = 0
    while done < steps[0]:
        for _ in range(BETWEEN_LOOKS):
            done += 1
        if stopped(stop):
            break
    return done


class Item(graphene.ObjectType):
    """A thing that holds itself."""

    name = graphene.String()
    value = graphene.Int()
    inner = graphene.Field(lambda: Item)
    text = graphene.String(length=graphene.Int(default_value=10))
    broken = graphene.String()

    @staticmethod
    def resolve_inner(parent: Any, info: Any) -> dict[str, Any]:
        return {"name": "inner", "value": 1}

    @staticmethod
    def resolve_broken(parent: Any, info: Any) -> str:
        raise ZeroDivisionError

    @staticmethod
    def resolve_text(parent: Any, info: Any, length: int) -> str:
        return "x" * length


class Trace(graphene.ObjectType):
    """A stored trace."""

    id = graphene.ID()
    workload = graphene.String()
    tags = graphene.List(graphene.String)
    operators = graphene.Int()


class Gates:
    """What tests hold fields at, and count them by."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Close them all, and count from 0."""
        self.entered = threading.Event()
        self.open = threading.Event()
        self.count = 0


GATES = Gates()


class Query(graphene.ObjectType):
    """What can be asked."""

    hello = graphene.String(name=graphene.String(default_value="you"))
    item = graphene.Field(Item)
    items = graphene.List(Item, first=graphene.Int())
    trace = graphene.Field(Trace, reference=graphene.String(required=True))
    workloads = graphene.List(graphene.String)
    endless = graphene.Int()
    held = graphene.Int()
    slow = graphene.Int()
    defect = graphene.String()
    missing = graphene.String()
    unreachable = graphene.String()
    request_id = graphene.String()
    viewer = graphene.String()
    cost_limit = graphene.Int()

    @staticmethod
    def resolve_hello(parent: Any, info: Any, name: str) -> str:
        return f"hello {name}"

    @staticmethod
    def resolve_item(parent: Any, info: Any) -> dict[str, Any]:
        return {"name": "one", "value": 1}

    @staticmethod
    def resolve_items(parent: Any, info: Any, first: int | None = None) -> list[dict[str, Any]]:
        return [{"name": f"item {n}", "value": n} for n in range(10 if first is None else first)]

    @staticmethod
    def resolve_trace(parent: Any, info: Any, reference: str) -> Any:
        GATES.count += 1
        found = info.context.store.find(reference)
        assert len(info.context.store.load(found.id)) == found.operators
        return found

    @staticmethod
    def resolve_workloads(parent: Any, info: Any) -> list[str]:
        return [each.name for each in info.context.store.workloads()]

    @staticmethod
    def resolve_endless(parent: Any, info: Any) -> int:
        return int(count_for_ever(np.full(100_000, 2**62)))

    @staticmethod
    def resolve_held(parent: Any, info: Any) -> int:
        GATES.entered.set()
        assert GATES.open.wait(30)
        return 1

    @staticmethod
    def resolve_slow(parent: Any, info: Any) -> int:
        time.sleep(1.0)
        return 1

    @staticmethod
    def resolve_defect(parent: Any, info: Any) -> str:
        raise ValueError("the password is hunter2")

    @staticmethod
    def resolve_missing(parent: Any, info: Any) -> str:
        raise MissingData("the trace has no times", hint="record it with times")

    @staticmethod
    def resolve_unreachable(parent: Any, info: Any) -> str:
        raise StoreError("neo4j://secret:7687 does not answer")

    @staticmethod
    def resolve_request_id(parent: Any, info: Any) -> str:
        return str(info.context.request_id)

    @staticmethod
    def resolve_cost_limit(parent: Any, info: Any) -> int:
        return int(info.context.limits.cost)

    @staticmethod
    def resolve_viewer(parent: Any, info: Any) -> str:
        return str(info.context.viewer.name)


class Count(graphene.Mutation):
    """Count one up."""

    class Arguments:
        by = graphene.Int(default_value=1)

    count = graphene.Int()

    @staticmethod
    def mutate(parent: Any, info: Any, by: int) -> Count:
        GATES.count += by
        return Count(count=GATES.count)


class Mutation(graphene.ObjectType):
    """What can be changed."""

    count = Count.Field()


SCHEMA = graphene.Schema(query=Query, mutation=Mutation)


def schema() -> GraphQLSchema:
    """The schema as graphql-core has it."""
    found: GraphQLSchema = SCHEMA.graphql_schema
    return found
