"""Results of checks to render: one of every verdict, and any that hypothesis can think of."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from etgraph.alerts.findings import CheckResult, Finding, Interval, Responsible

SLOWER = Finding(
    rule="step-time", level="error", status="broken", title="the step takes longer",
    message="The median step takes 5.10 ms longer than in the baseline.",
    trace="runs/new", metric="step_ns", unit="ns",
    value=46_300_000.0, baseline=41_200_000.0, difference=5_100_000.0, change=0.1238,
    interval=Interval(3_900_000.0, 6_200_000.0, 0.95), limit=2_060_000.0, runs=3, baseline_runs=3,
    responsible=(
        Responsible("all_gather@2", "new", 3_100_000.0, (0, 1, 2, 3), "model/train.py:88"),
        Responsible("barrier", "new", 1_200_000.0, (0,)),
    ),
    critical_share=0.78, gain_ns=4_600_000, advice="Gather the parameters once.", owner="perf team",
    command="etgraph compare gpt@baseline runs/new", rule_file="perf.toml", rule_line=12,
)  # fmt: skip


def found(**changes: Any) -> Finding:
    """A finding, plain but for what is named."""
    plain: dict[str, Any] = {
        "rule": "rule", "level": "error", "status": "broken", "title": "title", "message": "message",
        "trace": "runs/new", "metric": "step_ns", "unit": "ns",
    }  # fmt: skip
    return Finding(**plain | changes)


EVERY_VERDICT = (
    found(rule="quiet", status="passed"),
    found(rule="warned", level="warn", title="many small messages", value=14.0, unit="count", limit=10.0),
    found(rule="unsure", status="undecided", title="too few runs", runs_needed=7, runs=2, baseline_runs=2),
    SLOWER,
    found(rule="other-machine", status="incomparable", title="8 GPUs against 4", message="worldSize: 8, not 4"),
    found(rule="known", status="suppressed", title="known slow copy", reason="until the driver is mended"),
    found(
        rule="faster", status="improved", title="less waiting", value=1.0, baseline=2.0, difference=-1.0, change=-0.5
    ),
    found(rule="asleep", level="off", status="passed"),
)


def checked(*findings: Finding, status: Any = "regressed", traces: tuple[str, ...] = ("runs/new",)) -> CheckResult:
    """The result that holds these findings."""
    return CheckResult(status, traces, ("gpt@baseline",), findings)


HOSTILE = (
    "a\nb\r\n::error::pwned", "::add-mask::secret", "%0A::error::x", "50%25 %2C %3A", "##[add-path]/evil",
    "##vso[task]",
    '"quoted" \'name\'', "<script>alert(1)</script>", "</code><img src=x onerror=alert(1)>", "a|b|c", "back`tick``s`",
    "\\|`\\", "*bold* _it_ ~~no~~ [link](javascript:x) ![i](http://e.x/i.png)", "@everyone #1 http://e.x www.e.x",
    "a@b.cd",
    "\x00\x01\x1b[31m\x7f\x85", "\ud800 lone \udfff", "\u202eright to left\u2066", "\ufffe\uffff", "]]> <!-- -->",
    "<!--", "-- list", "1. one", "# head", "    indented", "&lt;&#60;&amp;", "name" * 2500, "{0} {{", "名前 µ 🚀",
    "$x$", "a](1)", "| - |\n|---|", "~~~", "```", "---", "===", " ", "\t", "\u2028\u2029", "C:\\dir\\x.py:3",
)  # fmt: skip
"""Names that would be markup, commands, illegal characters or simply too much."""

names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(codec=None), min_size=1, max_size=60),
    st.lists(st.sampled_from(HOSTILE), min_size=2, max_size=3).map("".join),
)
numbers = st.one_of(st.none(), st.floats(-1e18, 1e18), st.sampled_from([math.nan, math.inf, -math.inf]))


@st.composite
def any_finding(draw: st.DrawFn) -> Finding:
    """A finding whose every text is a name that `names` gives, and whose figures are any or none."""
    responsible = st.builds(
        Responsible, key=names, what=names, contribution=numbers,
        ranks=st.lists(st.integers(0, 10_000), max_size=12).map(tuple), source=st.one_of(st.none(), names),
    )  # fmt: skip
    return draw(
        st.builds(
            Finding, rule=names, title=names, message=names, trace=names, metric=names,
            level=st.sampled_from(["error", "warn", "off"]),
            status=st.sampled_from(["passed", "broken", "improved", "undecided", "incomparable", "suppressed"]),
            unit=st.sampled_from(["ns", "bytes", "bytes/s", "share", "count"]),
            value=numbers, baseline=numbers, difference=numbers, change=numbers, limit=numbers,
            interval=st.one_of(st.none(), st.just(Interval(-1.0, 2.0, 0.9))),
            runs_needed=st.one_of(st.none(), st.integers(1, 100)),
            responsible=st.lists(responsible, max_size=7).map(tuple),
            critical_share=st.one_of(st.none(), st.floats(0, 1)), gain_ns=st.one_of(st.none(), st.integers(0, 10**12)),
            advice=st.one_of(st.none(), names), owner=st.one_of(st.none(), names), reason=st.one_of(st.none(), names),
            command=st.one_of(st.none(), names), rule_file=st.one_of(st.none(), names),
            rule_line=st.one_of(st.none(), st.integers(1, 10_000)),
            evidence=st.dictionaries(names, numbers, max_size=2),
        )
    )  # fmt: skip


any_result = st.builds(
    CheckResult, st.sampled_from(["ok", "regressed", "undecided", "incomparable"]),
    st.lists(names, max_size=3, unique=True).map(tuple), st.lists(names, max_size=2).map(tuple),
    st.lists(any_finding(), max_size=5).map(tuple),
)  # fmt: skip
