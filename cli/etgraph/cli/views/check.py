"""The findings of a check: to the terminal, and in the formats that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from etgraph.cli.units import printable

if TYPE_CHECKING:
    from etgraph.alerts.findings import CheckResult
    from etgraph.cli.settings import Settings


def show_findings(settings: Settings, result: CheckResult, outputs: Sequence[str]) -> None:
    """Print the findings, as JSON or as text."""
    from etgraph.model.results import to_json

    output = settings.output()
    if settings.json:
        output.document(to_json(result))
        return
    for finding in result.findings:
        output.line(printable(f"{finding.level:<5} {finding.status:<12} {finding.rule}: {finding.message}"))
    output.line(f"{result.status}: {', '.join(map(printable, result.traces))}")
