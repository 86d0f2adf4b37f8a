"""How a critical path is kept beside its trace: a table of its segments that says what it is the path of.

A store that holds graphs keeps such a table as a node with a relationship to each operator that the path passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from etgraph.model import table_facts

if TYPE_CHECKING:
    import pyarrow as pa

MEASURED: Final = "critical-path"
MODEL: Final = "model-critical-path"
KINDS: Final = frozenset({MEASURED, MODEL})
"""Kinds of artefacts that are critical paths: their tables have the columns `rank` and `index`, null in a pause."""

_FACTS: Final = b"etgraph.path"


def with_facts(segments: pa.Table, facts: Mapping[str, Any]) -> pa.Table:
    """The segments with what they are the path of: names in camelCase; numbers, texts, and lists of these."""
    return table_facts.with_facts(segments, _FACTS, facts)


def facts_of(schema: pa.Schema) -> dict[str, Any]:
    """What a table says that it is the path of; nothing for one that `with_facts` did not make."""
    return table_facts.facts_of(schema, _FACTS)
