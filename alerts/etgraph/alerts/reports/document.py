"""The result as the JSON document that every interface shares."""

from __future__ import annotations

import json
from typing import Any

from etgraph.alerts.findings import CheckResult
from etgraph.alerts.reports.names import well_formed
from etgraph.model.results import to_json


def document(result: CheckResult) -> dict[str, Any]:
    """Plain values under the names of `CheckResult` and `Finding` in camelCase; names are whole, however long."""
    plain = _well_formed(to_json(result))
    assert isinstance(plain, dict)
    return plain


def as_json(result: CheckResult) -> str:
    """The document as JSON, in ASCII, so that it survives any log."""
    return dumped(document(result))


def dumped(value: Any) -> str:
    """JSON in ASCII with an end of line, of a value whose texts may hold what is no character."""
    return json.dumps(_well_formed(value), indent=2, allow_nan=False) + "\n"


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, dict):
        return {well_formed(key): _well_formed(each) for key, each in value.items()}
    return [_well_formed(each) for each in value] if isinstance(value, list) else value
