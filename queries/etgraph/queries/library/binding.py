"""Values for a query's parameters: checked, completed by defaults, or read out of texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from etgraph.model.errors import UsageError
from etgraph.queries.library.header import NamedQuery, Parameter
from etgraph.queries.library.types import TYPES


def bind(query: NamedQuery, **values: Any) -> dict[str, Any]:
    """A value for every parameter, defaults where none is given; traces are still the references that were given.

    Raises UsageError for a parameter that the query does not have, with the nearest names, for one that is missing,
    and for a value of another type.
    """
    _check_names(query, values)
    return {parameter.name: _checked(query, parameter, values.get(parameter.name)) for parameter in query.parameters}


def from_texts(query: NamedQuery, texts: Mapping[str, str]) -> dict[str, Any]:
    """Values of the parameters' types out of texts, as a command line gives them. Raises UsageError."""
    _check_names(query, texts)
    by_name = {parameter.name: parameter for parameter in query.parameters}
    return {name: _parsed(query, by_name[name], text) for name, text in texts.items()}


def _check_names(query: NamedQuery, given: Iterable[str]) -> None:
    known = [parameter.name for parameter in query.parameters]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(known)}"
            raise UsageError(f"query {query.name} has no parameter {name!r}", hint=hint)


def _parsed(query: NamedQuery, parameter: Parameter, text: str) -> Any:
    try:
        return TYPES[parameter.type].parse(text)
    except ValueError:
        raise _wrong(query, parameter, text) from None


def _checked(query: NamedQuery, parameter: Parameter, value: Any) -> Any:
    if value is None:
        value = parameter.default
    if value is None:
        if parameter.required:
            hint = f"${parameter.name} is {parameter.meaning}"
            raise UsageError(f"query {query.name} needs a value for the parameter {parameter.name}", hint=hint)
        return None
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if not TYPES[parameter.type].holds(value):
        raise _wrong(query, parameter, value)
    if parameter.type == "integer":
        low, high = parameter.low, parameter.high
        if (low is not None and value < low) or (high is not None and value > high):
            raise _wrong(query, parameter, value)
    return value


def _wrong(query: NamedQuery, parameter: Parameter, value: Any) -> UsageError:
    expected = TYPES[parameter.type].words
    if parameter.low is not None and parameter.high is not None:
        expected = f"an integer from {parameter.low} to {parameter.high}"
    elif parameter.low is not None:
        expected = f"an integer of {parameter.low} or more"
    return UsageError(f"query {query.name}, parameter {parameter.name}: found {value!r}, expected {expected}")
