"""What a query may do that was not allowed to write: nothing but read the graph.

A transaction in read mode refuses changes of the graph and of its schema. It does not refuse reading the server's
files (`LOAD CSV`), looking at or ending other users' transactions, or procedures that act on the server. The plan of a
query tells of these, except where they stand in a subquery inside an expression; therefore the text is looked at, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from etgraph.model.errors import UsageError

PROCEDURES: Final = frozenset(
    {
        "db.info",
        "db.labels",
        "db.ping",
        "db.propertykeys",
        "db.relationshiptypes",
        "db.schema.nodetypeproperties",
        "db.schema.reltypeproperties",
        "db.schema.visualization",
        "db.index.fulltext.listavailableanalyzers",
        "db.index.fulltext.querynodes",
        "db.index.fulltext.queryrelationships",
        "db.index.vector.querynodes",
        "db.index.vector.queryrelationships",
    }
)
"""Procedures, in lower case, that only look at the graph; those of plug-ins are the server's to vouch for."""

SHOWN: Final = frozenset({"ShowConstraints", "ShowFunctions", "ShowIndexes", "ShowProcedures"})
"""Operators of plans that show what the database has; others show the server's settings and other users' queries."""

_HIDDEN: Final = re.compile(
    r"""//[^\n\r]* | /\*.*?(?:\*/|\Z) | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `((?:``|[^`])*)`""",
    re.VERBOSE | re.DOTALL,
)
# Whatever is neither a part of a word nor punctuation: more than any release takes for white space.
_SPACE: Final = r"(?:(?![!-/:-@\[-`{-~])\W)"
_LOAD: Final = re.compile(rf"\bLOAD{_SPACE}+CSV\b", re.IGNORECASE)
_SHOW: Final = re.compile(rf"\bSHOW{_SPACE}+(?:TRANSACTION|SETTING)S?\b", re.IGNORECASE)
_TERMINATE: Final = re.compile(rf"\bTERMINATE{_SPACE}+TRANSACTIONS?\b", re.IGNORECASE)
_CALL: Final = re.compile(rf"\bCALL{_SPACE}+(\w+(?:{_SPACE}*\.{_SPACE}*\w+)+)", re.IGNORECASE)
_PREFIX: Final = re.compile(
    rf"{_SPACE}*(?:CYPHER\b(?:{_SPACE}+(?:\d[\d.]*|\w+{_SPACE}*={_SPACE}*\w+))*{_SPACE}*)*(EXPLAIN|PROFILE)\b",
    re.IGNORECASE,
)
_ESCAPE: Final = re.compile(r"\\u+[0-9a-fA-F]{4}")
_SHOWS_MORE: Final = "SHOW of more than indexes, constraints, functions and procedures"


def check_prefix(text: str) -> None:
    """Raise UsageError for a query that asks for its plan, which no result here holds."""
    if match := _PREFIX.match(_words(text)):
        raise UsageError(
            f"found {match[1].upper()} before the query, expected the query alone: an answer has rows, and no plan",
            hint="Neo4j Browser and cypher-shell show plans",
        )


def check_text(text: str) -> None:
    """Raise UsageError for a text that may do more than read, as far as words tell."""
    if _ESCAPE.search(text):
        raise UsageError(
            r"found an escape such as \u0041 in the query, expected none where it may only read",
            hint="write the character itself, or give the value as a parameter",
        )
    words = _words(text)
    if _LOAD.search(words):
        raise refusal("LOAD CSV, which reads the server's files and addresses that it can reach")
    if _TERMINATE.search(words):
        raise refusal("TERMINATE TRANSACTIONS, which ends other users' queries")
    if _SHOW.search(words):
        raise refusal(_SHOWS_MORE)
    for match in _CALL.finditer(words):
        _check_procedure(".".join(re.findall(r"\w+", match[1])))


def check_plan(query_type: str, plan: Mapping[str, Any] | None) -> None:
    """Raise UsageError for a query whose type (`r`, `w`, `rw`, `s`) or plan says that it does more than read."""
    for operator, details in _operators(plan):
        if operator == "LoadCSV":
            raise refusal("LOAD CSV, which reads the server's files and addresses that it can reach")
        if operator == "TerminateTransactions":
            raise refusal("TERMINATE TRANSACTIONS, which ends other users' queries")
        if operator == "ProcedureCall":
            _check_procedure(details.partition("(")[0].strip())
        if operator.startswith("Show") and operator not in SHOWN:
            raise refusal(_SHOWS_MORE)
    if query_type in ("w", "rw"):
        raise refusal("changes of the graph")
    if query_type != "r":
        raise refusal("a statement about the schema, the server or its users")


def refusal(what: str) -> UsageError:
    """The error for a query that does more than it may."""
    return UsageError(
        f"the query may only read, and holds {what}", hint="--write, or write=True in Python, lets a query do that"
    )


def _check_procedure(name: str) -> None:
    if name.lower() not in PROCEDURES:
        raise refusal(f"a call of the procedure {name}, which is not known to only read the graph")


def _words(text: str) -> str:
    """A query without its comments and texts; names in backticks are words as any other."""
    return _HIDDEN.sub(lambda match: f" {_name(match[1])} ", text)


def _name(quoted: str | None) -> str:
    """A name in backticks as one word; comments and texts as none."""
    return re.sub(r"\W", "_", quoted) if quoted else ""


def _operators(plan: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Kind, without the database behind it, and details of each operator of a plan."""
    waiting = [plan] if plan else []
    while waiting:
        node = waiting.pop()
        yield str(node["operatorType"]).partition("@")[0], str(node.get("args", {}).get("Details", ""))
        waiting.extend(node.get("children", ()))
