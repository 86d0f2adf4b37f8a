"""Markdown for a pull request and for the summary of a job: a table of the findings, details folded away.

What comes from traces and rules stands in code spans or with its punctuation as character references, so that none of
it is markup, HTML, a link or the mention of a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from etgraph.alerts.findings import CheckResult, Finding
from etgraph.alerts.reports import wording
from etgraph.alerts.reports.names import shown
from etgraph.model.readable import counted

MARKER = "<!-- etgraph check -->"
"""By which a bot finds its own comment and updates it."""
MOST_COMMENT = 65_536
"""Characters that GitHub takes as a comment."""
MOST_SUMMARY = 1_000_000
"""GitHub takes 1 MiB of summary from a step; characters beyond ASCII are few."""
SYMBOLS = {
    "error": "❌",
    "warning": "⚠️",
    "cannot be compared": "🚫",
    "cannot be measured": "🚫",
    "undecided": "❔",
    "suppressed": "🔕",
    "improved": "✅",
}
HEADS = {
    "ok": "✅ no rule is broken",
    "regressed": "❌ performance has regressed",
    "undecided": "❔ undecided",
    "incomparable": "🚫 cannot be compared",
}
MOST_CELL = 100
PUNCTUATION = re.compile(r"""[]!"#$&*<=>?@[\\^_`{|}~]|:(?=\S)|(?i:(?<=www)\.)|^[-+]|^\d+[.)](?=\s|$)""")
"""What Markdown may act on; some of it only at the beginning of a line, or in an address."""


def markdown(result: CheckResult) -> str:
    """A comment of at most 65,536 characters, which begins with the `MARKER`."""
    return _fitted(result, f"{MARKER}\n", MOST_COMMENT)


def summary(result: CheckResult) -> str:
    """The summary of a job: the same without the marker, and with more room."""
    return _fitted(result, "", MOST_SUMMARY)


def _fitted(result: CheckResult, start: str, most: int) -> str:
    """As many rows, then as many details as there is room for; what is left out is told."""
    listed = [finding for finding in wording.worst_first(result) if not wording.is_quiet(finding)]
    end = _end(result, most // 8)
    head = f"{start}### etgraph check: {HEADS[result.status]}\n\n{prose(shown(wording.summary(result)))}"
    head += f" — {_sides(result)}\n" if result.traces else "\n"
    room = most - len(head) - len(end) - 2 * len(_left_out(len(listed), "finding"))
    rows, room = _as_many(list(map(_row, listed)), room - 200)
    table = ""
    if rows:
        table = "\n| | rule | what | change | due to |\n|---|---|---|---|---|\n" + "".join(rows)
        table += _left_out(len(listed) - len(rows), "finding")
    details, _ = _as_many([_details(finding) for finding in listed[: len(rows)]], room)
    told = "".join(details)
    return head + table + told + _left_out(len(rows) - len(details), "finding's details", "findings' details") + end


def _as_many(parts: Sequence[str], room: int) -> tuple[list[str], int]:
    """The first parts that fit into a number of characters, and what is left of it."""
    kept = []
    for part in parts:
        if len(part) > room:
            break
        room -= len(part)
        kept.append(part)
    return kept, room


def _left_out(number: int, one: str, many: str | None = None) -> str:
    if number <= 0:
        return ""
    return f"\n*{counted(number, one, many)} left out: the report would be too long. `etgraph check` shows all.*\n"


def _sides(result: CheckResult) -> str:
    checked = ", ".join(code(shown(trace, MOST_CELL)) for trace in result.traces[:5])
    checked += f" and {len(result.traces) - 5:,} more" if len(result.traces) > 5 else ""
    against = ", ".join(code(shown(trace, MOST_CELL)) for trace in result.baseline[:5])
    return f"{checked} against {against}" if against else checked


def _row(finding: Finding) -> str:
    verdict = wording.verdict(finding)
    blamed = [code(shown(responsible.key, MOST_CELL)) for responsible in finding.responsible[:3]]
    more = len(finding.responsible) - len(blamed)
    cells = (
        f"{SYMBOLS[verdict]} {verdict}",
        code(shown(finding.rule, MOST_CELL)),
        prose(shown(finding.title)),
        prose(wording.change_and_limit(finding)),
        ", ".join(blamed) + (f" and {more:,} more" if more > 0 else ""),
    )
    return f"| {' | '.join(cells)} |\n"


def _details(finding: Finding) -> str:
    lines = [prose(shown(finding.message, 4000)), "", *(f"- {line}" for line in _points(finding))]
    body = "\n".join(lines)
    title = f"{code_in_html(shown(finding.rule, MOST_CELL))}: {prose(shown(finding.title))}"
    return f"\n<details><summary>{title}</summary>\n\n{body}\n\n</details>\n"


def _points(finding: Finding) -> Iterator[str]:
    yield prose(wording.figures(finding))
    for key, part in wording.blamed(finding):
        yield f"{code(key)} {prose(part)}" if key else prose(part)
    for label, told in wording.rows(finding):
        if told:
            yield f"{label}: {code(told) if label in ('show', 'rule') else prose(told)}"


def _end(result: CheckResult, most: int) -> str:
    """The rules of which nothing else is told."""
    folds = []
    for label, names in wording.quiet(result.findings).items():
        kept, _ = _as_many([f", {code_in_html(shown(name, MOST_CELL))}" for name in names], most)
        more = f" and {len(names) - len(kept):,} more" if len(names) > len(kept) else ""
        told = f"{counted(len(names), 'rule')} {prose(shown(label, MOST_CELL * 2))}"
        folds.append(
            f"\n<details><summary>{told}</summary>\n\n{''.join(kept).removeprefix(', ')}{more}\n\n</details>\n"
        )
    return "".join(_as_many(folds, 2 * most)[0])


def code(text: str) -> str:
    """A code span that may stand in the cell of a table.

    >>> code("aten::mm"), code("a|b`")
    ('`aten::mm`', '<code>a&#124;b&#96;</code>')
    """
    if not text:
        return ""
    if "`" in text or "|" in text or text != text.strip():
        return code_in_html(text)
    return f"`{text}`"


def code_in_html(text: str) -> str:
    """The same as an element, for places where Markdown's spans are not read."""
    return f"<code>{PUNCTUATION.sub(_reference, text)}</code>"


def prose(text: str) -> str:
    """A text with nothing in it that Markdown, HTML or a forge's links would act on.

    >>> prose("50 % of <b>aten::mm</b>, @all")
    '50 % of &#60;b&#62;aten&#58;&#58;mm&#60;/b&#62;, <span>&#64;</span>all'
    """
    text = PUNCTUATION.sub(_reference, text.strip())
    # A reference alone does not keep a forge from finding people and numbers in the text that is made of it.
    return text.replace("&#64;", "<span>&#64;</span>").replace("&#35;", "<span>&#35;</span>")


def _reference(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(character)};" for character in match[0])
