"""What a check found: the verdict on every rule, with what is responsible for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Level = Literal["error", "warn", "off"]
Status = Literal["passed", "broken", "improved", "undecided", "incomparable", "suppressed"]
"""Of one rule. `broken` is a budget that is exceeded or a regression; `incomparable`: the sides differ in hardware,
topology or workload."""
Worse = Literal["higher", "lower"]
"""Which way a metric gets worse."""
CONFIDENCE: Final = 0.9
"""Of intervals here and elsewhere in etgraph: each end is passed by chance in one case of twenty."""
Outcome = Literal["ok", "regressed", "undecided", "incomparable"]
"""Of a check: the worst of its rules of level error."""


@dataclass(frozen=True, slots=True)
class Responsible:
    """An operator, collective or rank that a finding is due to.

    `key` is its name, `what` it is: operator, collective, dependency or rank. `contribution` is its part of the
    finding's difference, or of its value where there is no baseline, in `unit`, else in that of the metric. `ranks` are
    those on which it is. `source` is `file:line` of the traced program, where the trace has it.
    """

    key: str
    what: str
    contribution: float | None = None
    ranks: tuple[int, ...] = ()
    source: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a difference, from `low` to `high` in the metric's unit; `confidence` is 0…1."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one rule for one trace.

    `rule` is its id, `level` what comes of it when it is broken: error or warn. `status` is passed, broken, improved,
    undecided, incomparable or suppressed. `title` is what it is about, `message` what was found, in words. `trace` are
    the names of the traces, `metric` is what was measured.

    `value`, `baseline` and `difference` (value − baseline) are in `unit` ("ns", "bytes", "bytes/s", "share", "count").
    `change` is the difference over the baseline. `interval` is that of the difference, where statistics were asked.
    `limit` is what the value, or the difference from a baseline, may be. `runs` and `baseline_runs` are how many there
    were on each side, `runs_needed` is how many runs a side would decide what is undecided.

    `responsible` are those that it is due to, largest first. `critical_share` is the share of the critical path that
    they have, `gain_ns` what a step would gain were the cause undone. `advice` is what to do, `owner` who is to be
    asked. `reason` is why it was not measured, or let pass. `command` shows the query again. `rule_file` and
    `rule_line` are where the rule stands. `evidence` is what the test saw, by name.
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
    """Everything that a check says: its outcome, and a finding for every rule, in the order of the rules' files.

    `status` is ok, regressed, undecided or incomparable. `traces` are the names of what was checked, `baseline` are
    those of what it was compared with. `findings` are the verdicts on all rules.
    """

    status: Outcome
    traces: tuple[str, ...]
    baseline: tuple[str, ...]
    findings: tuple[Finding, ...]


__all__ = ["CONFIDENCE", "CheckResult", "Finding", "Interval", "Level", "Outcome", "Responsible", "Status", "Worse"]
