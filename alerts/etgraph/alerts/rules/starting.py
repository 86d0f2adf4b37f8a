"""The first file of rules for a workload: those that come with etgraph, with budgets from what a run measures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.language.amounts import readable
from etgraph.alerts.rules.reading import default_pack, load
from etgraph.model.settings.document import quoted

ROOM: Final = 1.2
"""How much more than what was measured a first budget allows."""
_BUDGET: Final = re.compile(r"^budget = \{(max|min) = .*\}$", re.MULTILINE)
_ID: Final = re.compile(r'^id = "(.*)"$', re.MULTILINE)
_HEAD: Final = """\
# Rules of a workload. A budget is what was measured of {traces}, with a fifth to spare.
# docs/alerts/rules.md tells what else a rule may say; 'etgraph rules lint FILE' reads them.
"""


def first_rules(result: CheckResult, baseline: Sequence[str] = (), *, comparing: bool = False) -> str:
    """The text of a file of rules, from a check by the rules that come with etgraph.

    Budgets of what does not occur in the run stay as they are. Rules that compare are written with the `baseline`;
    without one they are left out or, with `comparing`, name none, so that they compare with that of each check.
    """
    found = {finding.rule: finding for finding in result.findings}
    compare = {placed.rule.id for placed in load([]) if placed.rule.needs_baseline}
    text, _ = default_pack()
    _, *rules = re.split(r"^(?=\[\[rules\]\]$)", text, flags=re.MULTILINE)
    parts = [_HEAD.format(traces=", ".join(result.traces))]
    for rule in rules:
        match = _ID.search(rule)
        assert match is not None
        if match[1] in compare:
            if baseline or comparing:
                names = f"\nbaseline = [{', '.join(map(quoted, baseline))}]" if baseline else ""
                parts.append(rule.replace(match[0], f"{match[0]}{names}", 1).strip() + "\n")
            continue
        parts.append(_with_budget(rule, found.get(match[1])).strip() + "\n")
    return "\n".join(parts)


def _with_budget(rule: str, finding: Finding | None) -> str:
    if finding is None or not finding.value:
        return rule
    measured_value, unit = finding.value, finding.unit
    measured = f"# measured: {readable(measured_value, unit)}\n"

    def budget(match: re.Match[str]) -> str:
        value = measured_value * ROOM if match[1] == "max" else measured_value / ROOM
        return f"{measured}budget = {{{match[1]} = {written(value, unit)}}}"

    return _BUDGET.sub(budget, rule)


def written(value: float, unit: str) -> str:
    """An amount as rules have it, to three digits.

    >>> written(0.2345678, "share"), written(123_456, "ns"), written(7.2, "count"), written(8.4e9, "bytes/s")
    ('"23.5%"', '"0.123 ms"', '7.2', '"8.4 GB/s"')
    """
    scale, name = _SCALES.get(unit, (1.0, ""))
    number = value / scale
    digits = 0 if number == 0 else max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{number:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f'"{text}{name}"' if name else text


_SCALES: Final[Mapping[str, tuple[float, str]]] = {
    "share": (0.01, "%"), "ns": (1e6, " ms"), "bytes": (1e6, " MB"), "bytes/s": (1e9, " GB/s"),
    "flop/s": (1e12, " TFLOP/s"),
}  # fmt: skip


__all__ = ["ROOM", "first_rules", "written"]
