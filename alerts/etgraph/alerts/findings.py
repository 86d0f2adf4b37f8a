"""What a check found: the verdict on every rule, with what is responsible for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["error", "warn", "off"]
Status = Literal["passed", "broken", "improved", "undecided", "incomparable", "suppressed"]
"""Of one rule. `broken` is a budget that is exceeded or a regression; `incomparable`: the sides differ in hardware,
topology or workload."""
Outcome = Literal["ok", "regressed", "undecided", "incomparable"]
"""Of a check: the worst of its rules of level error."""


@dataclass(frozen=True, slots=True)
class Responsible:
    """An operator, collective or rank that a finding is due to.

    `contribution` is its part of the finding's difference, or of its value where there is no baseline, in `unit`, else
    in that of the metric; `source` is `file:line` of the traced program, where the trace has it.
    """

    key: str
    what: str
    contribution: float | None = None
    ranks: tuple[int, ...] = ()
    source: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a difference, in the metric's unit; `confidence` is 0…1."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one rule for one trace.

    `value`, `baseline` and `difference` (value − baseline) are in `unit` ("ns", "bytes", "bytes/s", "share", "count");
    `change` is the difference over the baseline. `runs_needed` is how many runs a side would decide what is
    undecided. `critical_share` is the share of the critical path that the responsible have, `gain_ns` what a step
    would gain were the cause undone. `command` shows the query again. `evidence` is what the test saw, by name.
    """

    rule: str
    level: Level
    status: Status
    title: str
    message: str
    trace: str
    metric: str
    unit: str
    value: float | None = None
    baseline: float | None = None
    difference: float | None = None
    change: float | None = None
    interval: Interval | None = None
    limit: float | None = None
    runs: int = 1
    baseline_runs: int = 0
    runs_needed: int | None = None
    responsible: tuple[Responsible, ...] = ()
    critical_share: float | None = None
    gain_ns: int | None = None
    advice: str | None = None
    owner: str | None = None
    reason: str | None = None
    command: str | None = None
    rule_file: str | None = None
    rule_line: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Everything that a check says: its outcome, and a finding for every rule, in the order of the rules' files."""

    status: Outcome
    traces: tuple[str, ...]
    baseline: tuple[str, ...]
    findings: tuple[Finding, ...]


__all__ = ["CheckResult", "Finding", "Interval", "Level", "Outcome", "Responsible", "Status"]
