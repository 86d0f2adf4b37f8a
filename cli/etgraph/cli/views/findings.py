"""Findings for a reader: what bounds the step, then each finding with its gain, its evidence and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from etgraph.cli.units import counted, duration, percent, printable, ranges, shortened

if TYPE_CHECKING:
    from etgraph.queries.findings import Finding, Findings

INDENT = 4
LABEL = 10
BAR = 20
MOST_WIDTH = 120
"""Longer lines of text are hard to read."""
SHOWN_OPERATORS = 3
MOST_NAME = 48


def findings_view(answer: Findings, title: str, width: int) -> RenderableType:
    """Title, the step and what bounds it, the findings, and what was not looked for."""
    parts: list[RenderableType] = [Text(printable(title), style="bold"), Text(_summary(answer)), Text()]
    for number, finding in enumerate(answer.findings, 1):
        parts += [*_finding(number, finding, width), Text()]
    for told in answer.left_out:
        parts += [Text(line, style="dim") for line in wrap(f"not looked for: {printable(told)}", _room(width, 0))]
    return Group(*parts, *([Text()] if answer.left_out else []))


def _summary(answer: Findings) -> str:
    step = f"median step {duration(answer.step_ns)}, {_bound(answer)}"
    if answer.findings:
        return f"{step}; {counted(len(answer.findings), 'finding')}, whose gains do not add up"
    return f"{step}; nothing found that would gain {duration(answer.least_gain_ns)} of it or more"


def _bound(answer: Findings) -> str:
    if answer.bound == "unexplained":
        return f"of whose critical path {percent(answer.bound_share)} is not explained"
    return f"bound by {answer.bound}: {percent(answer.bound_share)} of its critical path"


def _finding(number: int, finding: Finding, width: int) -> Iterator[Text]:
    bar = "█" * max(1, round(BAR * min(finding.gain_share, 1)))
    gain = f"{duration(finding.gain_ns)}  {percent(finding.gain_share)}"
    head = Text(f"{number:>2}. ")
    head.append(printable(finding.title), style="bold")
    yield head
    line = Text(" " * INDENT)
    line.append("gain".ljust(LABEL), style="dim")
    line.append(f"{gain}  ")
    line.append(bar, style="green")
    yield line
    for label, text in _rows(finding):
        if text:
            yield from _wrapped(label, printable(text), width)


def _rows(finding: Finding) -> Iterator[tuple[str, str]]:
    yield "evidence", finding.evidence
    yield "on path", f"{duration(finding.critical_ns)} of a step's critical path"
    yield "where", ", ".join(_where(finding))
    yield "shown by", ", ".join(shortened(name, MOST_NAME) for name in finding.operators[:SHOWN_OPERATORS])
    yield "code", ", ".join(finding.sources)
    yield "do", finding.advice


def _where(finding: Finding) -> Iterator[str]:
    if finding.ranks:
        yield f"rank{'s' if len(finding.ranks) > 1 else ''} {ranges(finding.ranks)}"
    if finding.iterations:
        yield f"iteration{'s' if len(finding.iterations) > 1 else ''} {ranges(finding.iterations)}"


def _wrapped(label: str, text: str, width: int) -> Iterator[Text]:
    for place, line in enumerate(wrap(text, _room(width, INDENT + LABEL)) or [""]):
        shown = Text(" " * INDENT)
        shown.append((label if place == 0 else "").ljust(LABEL), style="dim")
        yield shown.append(line)


def _room(width: int, taken: int) -> int:
    return max(20, min(width, MOST_WIDTH) - taken)
