"""The exit code of a check."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from etgraph.alerts.findings import CheckResult, Outcome

OK, BROKEN, DATA = 0, 1, 3
CODES: Final[Mapping[Outcome, int]] = MappingProxyType(
    {"ok": OK, "regressed": BROKEN, "undecided": OK, "incomparable": DATA}
)
"""Exit codes by outcome. Undecided is a warning unless the caller says otherwise."""


def exit_code(result: CheckResult, *, fail_on_undecided: bool = False) -> int:
    """0 where nothing is broken, 1 where a rule of level error is, 3 where something could not be checked."""
    if result.status == "undecided" and fail_on_undecided:
        return BROKEN
    return CODES[result.status]


__all__ = ["BROKEN", "CODES", "DATA", "OK", "exit_code"]
