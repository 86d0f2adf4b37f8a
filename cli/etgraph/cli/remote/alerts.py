"""Checks of a server's traces by rules of this machine, and the history of a metric there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from etgraph.cli.remote.asking import answered, arguments_of, ask_root
from etgraph.cli.remote.http import Client

if TYPE_CHECKING:
    from etgraph.alerts.findings import CheckResult
    from etgraph.alerts.history import History
    from etgraph.alerts.rules.reading import Placed


def check(
    client: Client, references: Sequence[str], rules: Sequence[Placed], baseline: Sequence[str], workload: str | None
) -> CheckResult:
    """What rules that apply find in a server's traces. Files and lines of rules are those of this machine."""
    from etgraph.alerts.findings import CheckResult
    from etgraph.alerts.rules.writing import dump

    told = {placed.rule.id: placed for placed in rules}
    given = arguments_of(
        {
            "references": list(references),
            "rules": [dump([placed.rule for placed in rules])] if rules else [],
            "baseline": list(baseline),
            "workload": workload,
        },
        {"references": "[String!]!", "rules": "[String!]", "baseline": "[String!]", "workload": "String"},
    )
    found = answered(CheckResult, ask_root(client, "check", given))
    findings = [
        replace(each, rule_file=told[each.rule].file, rule_line=told[each.rule].line) for each in found.findings
    ]
    return replace(found, findings=tuple(findings))


def history(client: Client, workload: str, metric: str, last: int, branch: str | None) -> History:
    """A metric over the last runs of a server's workload."""
    from etgraph.alerts.history import History

    given = arguments_of(
        {"workload": workload, "metric": metric, "last": last, "branch": branch},
        {"workload": "String!", "metric": "String!", "branch": "String"},
    )
    return answered(History, ask_root(client, "history", given))


__all__ = ["check", "history"]
