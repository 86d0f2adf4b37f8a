"""Object types of answers: a dataclass becomes a type, its fields the type's fields, its Arrow tables lists of rows.

A field that is added to an answer is in the schema by itself, under its JSON name, with the words of the docstring.
What two dataclasses would call the same is told apart in `NAMES`.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

import graphene
import numpy as np
import pyarrow as pa
from graphene.types.resolver import attr_resolver

from etgraph.api.fetch.lists import MOST, checked_first
from etgraph.api.generating.descriptions import of_field, of_type, sentence
from etgraph.api.scalars import Attributes, Bytes, Count, DateTime, Nanoseconds, Value
from etgraph.model.errors import UsageError
from etgraph.model.result_tables import declared_fields, has_rows, row_declared
from etgraph.model.results import Result

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "etgraph.alerts.findings.Finding": "CheckFinding",
        "etgraph.alerts.findings.Interval": "ConfidenceInterval",
        "etgraph.alerts.standing.alert.Acknowledgement": "AlertAcknowledgement",
        "etgraph.alerts.standing.alert.Resolution": "AlertResolution",
        "etgraph.alerts.standing.evaluation.Failure": "EvaluationFailure",
        "etgraph.alerts.standing.evaluation.LeftOut": "RuleLeftOut",
        "etgraph.api.access.audit.Event": "AuditEvent",
        "etgraph.api.fetch.cypher.CypherRows": "CypherResult",
        "etgraph.queries.iterations.Cause": "StepCause",
        "etgraph.queries.iterations.StepTimes": "IterationSummary",
        "etgraph.queries.operators.Operators": "OperatorSummary",
        "etgraph.queries.saved_simulations.SimulationSummary": "Simulation",
        "etgraph.queries.stragglers.Cause": "LatenessCause",
        "etgraph.queries.library.header.Column": "QueryColumn",
        "etgraph.queries.library.header.Parameter": "QueryParameter",
        "etgraph.sim.proof.Cause": "ReplayCause",
        "etgraph.sim.profiles.profile.Device": "HardwareDevice",
        "etgraph.sim.profiles.profile.Profile": "HardwareProfile",
        "etgraph.sim.simulation.Simulation": "SimulationResult",
        "etgraph.store.protocol.IterationInfo": "Iteration",
    }
)
"""Names of types that differ from their dataclass', by where that is."""

_SMALL: Final = frozenset({
    "behind", "device", "index", "iteration", "iterations", "last_rank", "peak_rank", "peer", "rank", "ranks",
    "revision", "slowest_rank", "unrecorded_ranks", "world_size",
})  # fmt: skip
"""Names of numbers that fit in 32 bits: they number things, or are few."""
_INSTANTS: Final = frozenset({
    "asked", "changed", "created", "ended", "expires", "moment", "newest", "revoked", "started", "starts", "used",
})  # fmt: skip
_ARROW: Final = MappingProxyType({"int32": graphene.Int, "double": graphene.Float, "string": graphene.String,
                                  "bool": graphene.Boolean})  # fmt: skip

_made: dict[type, type[graphene.ObjectType]] = {}
_rows: dict[str, type[graphene.ObjectType]] = {}


def object_type(
    answers: type, *, leave_out: Sequence[str] = (), more: Mapping[str, Any] | None = None
) -> type[graphene.ObjectType]:
    """The type of a dataclass, made once; `more` are further fields of it.

    Lists of objects of an answer itself are windows, which take `first` and `offset`; those within its rows are whole.
    Raises TypeError for a field that no type of GraphQL's can hold.
    """
    if answers not in _made:
        _made[answers] = type(
            NAMES.get(f"{answers.__module__}.{answers.__qualname__}", answers.__name__),
            (graphene.ObjectType,),
            {
                "Meta": {"description": of_type(answers), "default_resolver": attr_resolver},
                **fields_of(answers, leave_out=leave_out, windows=issubclass(answers, Result)),
                **(more or {}),
            },
        )
    return _made[answers]


def fields_of(answers: type, *, leave_out: Sequence[str] = (), windows: bool) -> dict[str, graphene.Field]:
    """The fields of a dataclass. Where lists are `windows`, those of objects take `first` and `offset`."""
    return {
        name: field_of(_description(answers, name, hint), name, hint, windows=windows)
        for name, hint in declared_fields(answers).items()
        if name not in leave_out
    }


def _description(answers: type, name: str, hint: Any) -> str:
    row = row_declared(hint)
    return of_field(answers, name, hint) if row is None else sentence(f"each is {row.meaning}")


def field_of(description: str, name: str, hint: Any, *, windows: bool) -> graphene.Field:
    """One field of a dataclass."""
    declared = _type(name, hint)
    if not windows or not has_rows(hint):
        return graphene.Field(declared, description=description)
    return graphene.Field(
        declared, description=description, args=window_arguments(), resolver=partial(_window_of, name)
    )


def window_arguments() -> dict[str, graphene.Argument]:
    """The arguments of a list that is part of an answer."""
    return {
        "first": graphene.Argument(
            graphene.NonNull(graphene.Int), default_value=MOST, description=f"No more rows than this; {MOST:,} at most."
        ),
        "offset": graphene.Argument(
            graphene.NonNull(graphene.Int), default_value=0, description="Leave out so many rows before."
        ),
    }


def window(rows: Any, first: int, offset: int) -> list[Any]:
    """Some rows of an Arrow table, as dictionaries, or of a sequence. Raises UsageError for numbers out of range."""
    first = checked_first(first)
    if offset < 0:
        raise UsageError(f"offset: found {offset}, expected 0 or more")
    if isinstance(rows, pa.Table):
        return [] if offset >= len(rows) else [_finite(row) for row in rows.slice(offset, first).to_pylist()]
    chosen = rows[offset : offset + first]
    return chosen.tolist() if isinstance(chosen, np.ndarray) else list(chosen)


def _window_of(name: str, root: Any, info: Any, first: int, offset: int) -> list[Any] | None:
    rows = getattr(root, name)
    return None if rows is None else window(rows, first, offset)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """The row without NaN, which JSON lacks."""
    return {name: None if value != value else value for name, value in row.items()}


def _options(hint: Any) -> list[Any]:
    """The types that a value may be of; None is left out."""
    if get_origin(hint) is Annotated:
        return _options(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return [one for each in get_args(hint) if each is not types.NoneType for one in _options(each)]
    return [hint]


def _nullable(hint: Any) -> bool:
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return get_origin(inner) in (Union, types.UnionType) and types.NoneType in get_args(inner)


def _type(name: str, hint: Any) -> Any:
    """The type of a field; NonNull unless None, or a float that is no number, may be there."""
    options = _options(hint)
    if len(options) != 1:
        raise TypeError(f"field {name}: found {hint}, expected one type, or one and None")
    declared = options[0]
    if declared is pa.Table:
        found = graphene.List(graphene.NonNull(_row_type(name, hint)))
    elif get_origin(declared) is np.ndarray:
        found = _matrix(_number(name), known=True)
    elif get_origin(declared) is np.ma.MaskedArray:
        found = _matrix(_number(name), known=False)
    elif get_origin(declared) is tuple:
        found = graphene.List(graphene.NonNull(_plain(name, get_args(declared)[0])))
    else:
        found = _plain(name, declared)
    return found if _nullable(hint) or declared in (float, Any) else graphene.NonNull(found)


def _matrix(cell: Any, *, known: bool) -> graphene.List:
    return graphene.List(graphene.NonNull(graphene.List(graphene.NonNull(cell) if known else cell)))


def _plain(name: str, hint: Any) -> Any:
    """The type of one value that is no list."""
    (hint,) = _options(hint)
    origin = get_origin(hint) or hint
    if dataclasses.is_dataclass(hint):
        return object_type(cast(type, hint))
    if origin is Literal:
        return graphene.String
    if origin in (dict, Mapping):
        return Attributes
    if origin is Any:
        return Value
    if origin is str:
        return DateTime if name in _INSTANTS else graphene.ID if name == "id" else graphene.String
    if origin is int:
        return _number(name)
    plain = {bool: graphene.Boolean, float: graphene.Float}
    if origin not in plain:
        raise TypeError(f"field {name}: found {hint}, expected what GraphQL has a type for")
    return plain[origin]


def _number(name: str) -> Any:
    """The type of whole numbers, by the name of what they are."""
    parts = name.split("_")
    if parts[-1] == "ns":
        return Nanoseconds
    if "bytes" in (parts[0], parts[-1]):
        return Bytes
    return graphene.Int if name in _SMALL else Count


def _row_type(name: str, hint: Any) -> type[graphene.ObjectType]:
    """The type of an Arrow table's rows, from what is declared beside the field's type."""
    row = row_declared(hint)
    if row is None:
        raise TypeError(f"field {name}: found a table without its columns; declare them by etgraph.model.result_tables")
    if row.name not in _rows:
        fields = {
            column.name: graphene.Field(
                _ARROW.get(column.type) or _number(column.name), description=sentence(column.meaning)
            )
            for column in row.columns
        }
        _rows[row.name] = type(
            row.name, (graphene.ObjectType,), {"Meta": {"description": sentence(row.meaning)}, **fields}
        )
    return _rows[row.name]
