"""Rules from TOML files, with all that is wrong about them at once: file, line, what was found and expected."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from etgraph.alerts.findings import CONFIDENCE
from etgraph.alerts.language.amounts import ADDITIVE, NotAnAmount, Unit, amount_of
from etgraph.alerts.language.expressions import ExpressionError
from etgraph.alerts.language.meaning import Metric, metric
from etgraph.alerts.rules.rule import Regression, Rule
from etgraph.model.errors import EtgraphError, UsageError
from etgraph.model.settings.declaration import declared
from etgraph.model.settings.document import Node, document, text_of
from etgraph.model.settings.problems import FileProblems, near
from etgraph.model.settings.reading import MISSING, Reader, described

DEFAULT: Final = "default"
"""The name of the rules that come with etgraph, where a file of rules is named."""
DEFAULT_FILE: Final = "etgraph/alerts/rules/default.toml"
"""What the file of these rules is called in findings and messages."""
FEWEST_OF_HISTORY: Final = 8
"""Runs in which a lasting change is looked for: `etgraph.alerts.statistics.ordered.FEWEST`."""
_LAST: Final = re.compile(r"last:([0-9]{1,4})(?::.+)?", re.DOTALL | re.ASCII)
ID: Final = re.compile(r"[A-Za-z0-9](?:[\w./-]{0,98}[A-Za-z0-9])?", re.ASCII)


class RulesError(FileProblems):
    """A file of rules cannot be used."""

    code = "BAD_RULES"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule, and where it stands."""

    rule: Rule
    file: str
    line: int | None


def load(files: Sequence[Path | str]) -> tuple[Placed, ...]:
    """The rules of files, in their order; `default` is the pack that comes with etgraph, also where no file is given.

    Raises NotFound for a file that is not there, RulesError with all the problems of all the others.
    """
    return loads_all([rules_text(file) for file in files or (DEFAULT,)])


def loads(text: str, *, file: str = "rules.toml") -> tuple[Placed, ...]:
    """The rules in a TOML text; `file` names it in messages. Raises RulesError with all its problems."""
    return loads_all([(text, file)])


def loads_all(texts: Sequence[tuple[str, str]]) -> tuple[Placed, ...]:
    """The rules in several TOML texts, each with its name. Raises RulesError with the problems of all of them."""
    found: list[Placed] = []
    reader = Reader()
    for text, file in texts:
        try:
            found += _rules(reader, text, file)
        except RulesError as error:  # no TOML at all
            reader.problems += error.problems
    return _checked(reader, found)


def default_pack() -> tuple[str, str]:
    """The text and the name of the rules that come with etgraph."""
    return resources.files("etgraph.alerts.rules").joinpath("default.toml").read_text("utf-8"), DEFAULT_FILE


def rules_text(file: Path | str) -> tuple[str, str]:
    """The text of a file of rules, or of `default`, and its name. Raises NotFound and what reading a file may raise."""
    if str(file) == DEFAULT:
        return default_pack()
    path = Path(file).expanduser()
    if not str(file):
        raise UsageError("--rules: found no name, expected a file", hint="is a variable of the job empty?")
    try:
        return text_of(path, "rules are a TOML file: docs/alerts/rules.md; 'etgraph rules init' writes one"), str(file)
    except EtgraphError as error:
        error.exit_code = 2  # of the call, not of the data that is checked
        raise


def _checked(reader: Reader, found: list[Placed]) -> tuple[Placed, ...]:
    first: dict[str, Placed] = {}
    for one in found:
        before = first.setdefault(one.rule.id, one)
        if before is not one:
            node = Node(one.rule.id, one.file, one.line)
            where = f"line {before.line}" if before.file == one.file else before.file
            again = (before.file, before.line) == (one.file, one.line)
            told = "the file twice" if again else f"a rule {one.rule.id!r} as in {where}"
            reader.refuse(node, ("rules", one.rule.id, "id"), told, "each file once" if again else "an id of its own")
    if reader.problems:
        files = [problem.file for problem in reader.problems]
        raise RulesError(sorted(reader.problems, key=lambda each: (files.index(each.file), each.line or 0)))
    return tuple(found)


def _rules(reader: Reader, text: str, file: str) -> Iterator[Placed]:
    root = document(text, file, RulesError)
    rows = root.table.get("rules")
    for key, node in root.table.items():
        if key != "rules":
            reader.refuse(node, (key,), "an unknown key", "rows, each [[rules]]", near(key, ("rules",)))
    if rows is None and root.table:  # a misspelt key is not missing as well
        return
    if rows is None or not isinstance(rows.value, list) or not rows.value:
        reader.refuse(rows or root, ("rules",), described(rows) if rows else "nothing", "rows, each [[rules]]")
        return
    for number, row in enumerate(rows.value):
        row = _plain(row)
        name = row.table.get("id")
        place = ("rules", str(name.value) if name is not None and isinstance(name.value, str) else str(number))
        before = len(reader.problems)
        rule = reader.value(row, declared(Rule), place)
        if rule is not MISSING:
            _Checking(reader, row, place).rule(rule)
        if rule is not MISSING and len(reader.problems) == before:
            yield Placed(rule, file, row.line)


def _plain(node: Node) -> Node:
    """A tree whose dates are texts."""
    if isinstance(node.value, dict):
        return replace(node, value={key: _plain(each) for key, each in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_plain(each) for each in node.value])
    if isinstance(node.value, datetime.date):
        return replace(node, value=node.value.isoformat())
    return node


@dataclass(frozen=True, slots=True)
class _Checking:
    """What the keys of a rule say together; every problem is noted at its key."""

    reader: Reader
    row: Node
    place: tuple[str, ...]

    def refuse(self, keys: tuple[str, ...], found: str, expected: str, hint: str | None = None) -> Any:
        node = self.row
        for key in keys:
            node = node.table.get(key, node)
        return self.reader.refuse(node, (*self.place, *keys), found, expected, hint)

    def rule(self, rule: Rule) -> None:
        if not ID.fullmatch(rule.id):
            self.refuse(("id",), repr(rule.id), "letters and digits with - . _ / between them, 100 at most")
        measured = self.metric(("metric",), rule.metric_text)
        if rule.responsible:
            culprits = self.metric(("responsible",), rule.responsible)
            if culprits is not None and culprits.meaning.rows is None:
                self.refuse(("responsible",), "one number", "a field of several rows, such as hotspots.exposedNs")
        if rule.gain:
            gain = self.metric(("gain",), rule.gain)
            if gain is not None and (gain.meaning.rows is not None or gain.unit != "ns"):
                self.refuse(("gain",), f"{gain.unit}{' of rows' * (gain.meaning.rows is not None)}", "one number of ns")
        if measured is not None and not measured.compares and rule.regression is None:
            self.without_baseline(rule)
        self.budget(rule, measured)
        self.regression(rule, measured)
        self.where(rule, measured)
        if rule.suppress is not None:
            try:
                datetime.date.fromisoformat(rule.suppress.until)
            except ValueError:
                self.refuse(("suppress", "until"), repr(rule.suppress.until), "a day such as 2026-03-31")
            if not rule.suppress.reason.strip():
                self.refuse(("suppress", "reason"), "nothing", "why the rule is let pass")

    def without_baseline(self, rule: Rule) -> None:
        """What only rules can have that compare with a baseline."""
        if rule.baseline:
            self.refuse(("baseline",), "a baseline", "none: nothing of the rule compares with it")
        for key in ("responsible", "gain"):
            text = getattr(rule, key)
            with suppress(ExpressionError):  # which is told already
                if text and metric(text).compares:
                    self.refuse((key,), "a comparison", "a question about the run: the rule has no baseline")

    def metric(self, keys: tuple[str, ...], text: str) -> Metric | None:
        try:
            return metric(text)
        except ExpressionError as error:
            self.refuse(keys, f"{error.found} at character {error.at + 1} of {text!r}", error.expected, error.hint)
            return None

    def budget(self, rule: Rule, measured: Metric | None) -> None:
        if rule.budget is None and rule.regression is None:
            self.refuse((), "neither budget nor regression", "one of them", "budget = {max = …} or regression = {…}")
        if rule.aggregate.ranks == "each" and (rule.regression is None or (measured and measured.meaning.rows is None)):
            self.refuse(("aggregate", "ranks"), "each", "a function: only rows that are compared are judged one by one")
        if rule.budget is None:
            return
        if rule.regression is not None:
            self.refuse(("regression",), "a regression beside a budget", "one of them", "make it two rules")
        if rule.budget.max is None and rule.budget.min is None:
            self.refuse(("budget",), "nothing", "max, min or both")
        if measured is not None:
            limits = [self.amount(("budget", key), getattr(rule.budget, key), measured.unit) for key in ("min", "max")]
            if None not in limits and limits[0] > limits[1]:  # type: ignore[operator]
                self.refuse(("budget", "min"), "a min above the max", "one below it")

    def regression(self, rule: Rule, measured: Metric | None) -> None:
        regression = rule.regression
        if regression is None:
            return
        if (regression.max_increase is None) == (regression.max_decrease is None):
            found = "neither max_increase nor max_decrease" if regression.max_increase is None else "both"
            self.refuse(("regression",), found, "one of max_increase and max_decrease")
        for key in ("max_increase", "max_decrease"):
            text = getattr(regression, key)
            share = self.amount(("regression", key), text, "share")
            if key == "max_increase" and share is not None and share > 1 and "%" not in str(text):
                self.refuse(
                    ("regression", key), f"{text}, which is {share:.0%}", f'a share such as "{share:g}%" or 0.05'
                )
            if key == "max_decrease" and share is not None and share >= 1:
                self.refuse(("regression", key), repr(text), "less than 100%, which is all of it")
        if not 0.5 <= regression.confidence < 1:
            self.refuse(("regression", "confidence"), f"{regression.confidence:g}", "a share from 0.5 to below 1")
        self.test(rule, regression)
        if rule.aggregate.iterations == "together" and regression.test != "exact":
            self.refuse(
                ("aggregate", "iterations"), "together", "median, mean or the like",
                "regressions are found among the steps of runs",
            )  # fmt: skip
        if measured is None:
            return
        if rule.aggregate.ranks == "each" and measured.unit not in ADDITIVE:
            self.refuse(("aggregate", "ranks"), f"each row of {measured.unit}", f"rows of {', '.join(ADDITIVE)}")
        self.amount(("regression", "floor"), regression.floor, measured.unit)
        if measured.compares:
            self.refuse(("metric",), "a metric that is a comparison itself", "budget instead of regression")

    def test(self, rule: Rule, regression: Regression) -> None:
        """What a test needs, as far as the rule says how many runs it will have."""
        test, keys = regression.test, ("regression", "test")
        last = [_LAST.fullmatch(name) for name in rule.baseline]
        before = sum(int(each[1]) for each in last if each) if last and all(last) else None
        if regression.within is not None and test != "change-point":
            self.refuse(("regression", "within"), f"within beside test = {test!r}", "it with change-point alone")
        if test == "ratio" and regression.confidence != CONFIDENCE:
            self.refuse(("regression", "confidence"), "confidence beside test = 'ratio'", "a test with an interval")
        if test == "change-point" and before is not None and before + 1 < FEWEST_OF_HISTORY:
            self.refuse(
                keys, f"a history of {before} runs and the one that is checked", f"{FEWEST_OF_HISTORY} or more",
                'baseline = ["last:30"]',
            )  # fmt: skip
        if test == "mann-whitney" and rule.runs > 1:
            least = math.ceil(2 / (1 - regression.confidence) * (1 - 1e-9)) - 1
            if before is None or before < least:
                self.refuse(
                    keys, f"each of {rule.runs} runs by itself", f"a baseline of {least} runs or more",
                    f"without `for`, or with baseline = [\"last:{least}\"]: the order of fewer runs says too little",
                )  # fmt: skip

    def amount(self, keys: tuple[str, ...], text: str | float | None, unit: Unit) -> float | None:
        if text is None:
            return None
        try:
            found = amount_of(str(text), unit)
        except NotAnAmount as error:
            self.refuse(keys, repr(text), str(error))
            return None
        if keys[0] == "regression" and found < 0:
            self.refuse(keys, repr(text), "0 or more")
        return found

    def where(self, rule: Rule, measured: Metric | None) -> None:
        chosen = [key for key in ("scope", "operator", "group", "size") if getattr(rule.where, key) is not None]
        if len(chosen) > 1:
            self.refuse(("where",), " and ".join(chosen), "one of them")
        elif chosen and measured is not None:
            try:
                rule.metric  # noqa: B018
            except ExpressionError as error:
                self.refuse(("where", *chosen), error.found, error.expected)
        index = rule.where.iterations
        if any(each < 0 for each in index):
            self.refuse(("where", "iterations"), f"{min(index)}", "indices from 0")


__all__ = ["DEFAULT", "DEFAULT_FILE", "Placed", "RulesError", "default_pack", "load", "loads", "loads_all"]
