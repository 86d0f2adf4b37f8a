"""A finding in words: what a rule found, who is responsible, and which command shows it."""

from __future__ import annotations

import datetime
import shlex
from typing import TYPE_CHECKING

from etgraph.alerts.blame import Blame, of_changes, of_comparison, of_parts, of_rows
from etgraph.alerts.findings import Finding, Responsible
from etgraph.alerts.language.amounts import readable
from etgraph.alerts.language.expressions import paths
from etgraph.alerts.language.meaning import metric
from etgraph.alerts.language.vocabulary import QUESTIONS, option_of
from etgraph.alerts.runs import measure, together
from etgraph.alerts.statistics.power import MOST_RUNS
from etgraph.model.errors import MissingData

if TYPE_CHECKING:
    from etgraph.alerts.checking import Judged

NAMED_IN_MESSAGE = 3
OF_STEPS = frozenset({"iterations", "criticalPath", "compare", "waterfall"})
"""Questions about steps as a whole: what makes them longer is told by a comparison with the baseline."""


def told(one: Judged, today: datetime.date) -> Finding:
    """The finding of a rule that was judged."""
    rule, verdict = one.rule, one.verdict
    blame = _blame(one) if verdict.status in ("broken", "improved") or _may_be_worse(one) else Blame()
    status, reason = verdict.status, verdict.missing
    if rule.suppress is not None:
        expired = rule.suppress.expired(today)
        when = f"{'expired on' if expired else 'until'} {rule.suppress.until}"
        reason = f"suppression {when}: {rule.suppress.reason}" if expired or status == "broken" else reason
        status = "suppressed" if status == "broken" and not expired else status
    return Finding(
        rule=rule.id,
        level=rule.level,
        status=status,
        title=rule.title or rule.metric_text,
        message=_message(one, blame, reason),
        trace=", ".join(run.name for run in one.runs),
        metric=rule.metric_text,
        unit=rule.metric.unit,
        value=verdict.value,
        baseline=verdict.baseline,
        difference=verdict.difference,
        change=verdict.change,
        interval=verdict.interval,
        limit=verdict.limit,
        runs=len(one.runs),
        baseline_runs=len(one.baseline),
        runs_needed=verdict.runs_needed,
        responsible=blame.responsible,
        critical_share=blame.critical_share,
        gain_ns=_gain(one, blame),
        advice=(rule.remediation or blame.advice) if status not in ("improved", "incomparable") else None,
        owner=rule.owner or None,
        reason=reason,
        command=command(one),
        rule_file=one.placed.file,
        rule_line=one.placed.line,
        evidence=dict(verdict.evidence),
    )


def _may_be_worse(one: Judged) -> bool:
    """Whether it is undecided, and what was found is no better than the baseline: nobody is to blame for less."""
    return one.verdict.status == "undecided" and one.verdict.moved >= 0


def _blame(one: Judged) -> Blame:
    """Who is responsible: changes of the program that were counted, what makes a step longer, or rows of answers."""
    rule, questions = one.rule, one.rule.metric.questions
    lower = one.verdict.status == "improved"
    if one.comparison is not None and "changes" in questions:
        return of_changes(one.measured.rows, one.comparison(), one.runs, lower=lower)
    if one.comparison is not None and not rule.responsible and OF_STEPS & set(questions):
        try:
            decided = one.baseline if one.verdict.status != "undecided" else ()
            return of_comparison(one.comparison(), one.runs, decided, rule.where.iterations, lower=lower)
        except MissingData:
            return Blame()
    if rule.responsible:
        culprits = metric(rule.responsible)
        sides = [
            [measure(run, culprits, rule.where, rule.aggregate, one.comparison) for run in side]
            for side in (one.runs, one.baseline if rule.regression is not None else ())
        ]
        before = together(sides[1]) if sides[1] else None
        return of_rows(together(sides[0]), culprits.questions[0], one.runs, before, lower=lower, unit=culprits.unit)
    fewer = rule.budget is not None and one.verdict.limit is not None and (one.verdict.value or 0) < one.verdict.limit
    worse_is_less = fewer or (rule.regression is not None and rule.regression.max_increase is None)
    if one.verdict.each:
        return of_parts(one.verdict.each, one.verdict.status, one.runs, unit=rule.metric.unit)
    baseline = one.before if rule.regression is not None else None
    return of_rows(one.measured, questions[0], one.runs, baseline, lower=lower != worse_is_less, unit=rule.metric.unit)


def _gain(one: Judged, blame: Blame) -> int | None:
    """What a step would gain: what the rule says, else what the responsible cost."""
    if one.rule.gain and one.verdict.status in ("broken", "undecided"):
        found = measure(one.runs[-1], metric(one.rule.gain), one.rule.where, one.rule.aggregate, one.comparison)
        return round(found.value) if found.value is not None else blame.gain_ns
    return blame.gain_ns


# Words


def _message(one: Judged, blame: Blame, reason: str | None) -> str:
    rule, verdict, unit = one.rule, one.verdict, one.rule.metric.unit
    if verdict.missing is not None:
        what = "cannot be compared" if verdict.status == "incomparable" and one.baseline else "cannot be measured"
        return f"{what}: {verdict.missing}" if verdict.status == "incomparable" else f"not measured: {verdict.missing}"
    if rule.metric.compares and "changes" in rule.metric.questions:
        text = _changes(one, blame)
    elif rule.regression is None:
        text = f"{readable(verdict.value, unit)}, {_limits(one)}"
    else:
        text = _difference(one)
    first = bool(verdict.each)  # whose figures are told
    named = ", ".join(map(_named, blame.responsible[first:NAMED_IN_MESSAGE]))
    if named and "changes" not in rule.metric.questions:
        text = f"{text}{'; also' if first else ':'} {named}"
    if verdict.status == "undecided" and verdict.why:
        text += f"; undecided: {verdict.why}"
    elif verdict.status == "undecided" and verdict.runs_needed:
        text += f"; undecided: {_would_decide(verdict.runs_needed)}"
    return f"{text} ({reason})" if reason else text


def _would_decide(runs: int) -> str:
    if runs >= MOST_RUNS:
        return f"too near to what is allowed, beside the noise, for even {MOST_RUNS:,} runs a side to decide"
    return f"{runs} runs a side would decide"


def _limits(one: Judged) -> str:
    rule, unit = one.rule, one.rule.metric.unit
    limits = [
        f"{word} {readable(limit, unit)}"
        for word, limit in (("at least", rule.limit("min")), ("at most", rule.limit("max")))
        if limit is not None
    ]
    return f"where {' and '.join(limits)} is allowed"


def _difference(one: Judged) -> str:
    verdict, unit = one.verdict, one.rule.metric.unit
    share = f", {verdict.change:+.1%}" if verdict.change is not None else ""
    before, after, more = (
        readable(verdict.baseline, unit), readable(verdict.value, unit), _signed(verdict.difference, unit),
    )  # fmt: skip
    since = f" since {verdict.evidence['since']}" if "since" in verdict.evidence else ""
    row, rank = verdict.evidence.get("row"), verdict.evidence.get("rank")
    whose = f"{row}{f' on rank {rank}' if rank is not None else ''}: " if row is not None else ""
    return f"{whose}{before} → {after} ({more}{share}){since}, where {_signed(verdict.limit, unit)} is allowed"


def _changes(one: Judged, blame: Blame) -> str:
    if not blame.responsible:
        return "no such change"
    rows = {row.values["key"]: row.values for row, _ in one.measured.rows}
    words = []
    for each in blame.responsible:
        row = rows[each.key]
        before, after = row["base_count"], row["other_count"]
        counts = (
            f"{before:,.4g} to {after:,.4g} a step and rank" if before != after else f"{after:,.4g} a step and rank"
        )
        sizes = [row["base_bytes"], row["other_bytes"]]
        bytes = " → ".join(readable(size, "bytes") for size in sizes if size is not None)
        more = f"{after - before:+,.4g} × " if before != after else ""
        words.append(f"{more}{each.key} ({counts}{f', {bytes} each' if bytes else ''})")
    left = sum(bool(number) for _, number in one.measured.rows) - len(words)
    return "; ".join([*words, *([f"and {left} more"] if left > 0 else [])])


def _signed(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{'+' if value >= 0 else '-'}{readable(abs(value), unit)}"


def _named(one: Responsible) -> str:
    return one.key if one.what == "rank" or not one.ranks or len(one.ranks) > 2 else f"{one.key} on {_ranks(one.ranks)}"


def _ranks(ranks: tuple[int, ...]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def command(one: Judged) -> str:
    """The command that shows what a rule looked at."""
    rank = one.rule.where.rank
    parts: list[str]
    if one.baseline:
        base, other = one.baseline, one.runs
        parts = ["etgraph", "compare", base[0].name, other[0].name]
        parts += [part for run in base[1:] for part in ("--base", run.name)]
        parts += [part for run in other[1:] for part in ("--other", run.name)]
    else:
        path = next(paths(one.rule.metric.expression))
        words = QUESTIONS[path.question].command.split()
        asked = [f"--{option_of(option)}={text}" for option, text in path.changes]
        asked += ["--by", path.by] if path.by is not None else []
        parts = ["etgraph", words[0], one.runs[-1].name, *words[1:], *asked]
    return shlex.join([*parts, *(["--rank", str(rank)] if rank is not None else [])])


__all__ = ["command", "told"]
