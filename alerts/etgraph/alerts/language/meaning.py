"""What a metric means: every name looked up, units that go together, and what is left of several rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from etgraph.alerts.language.amounts import Unit
from etgraph.alerts.language.expressions import (
    Amount,
    Call,
    Condition,
    Expression,
    ExpressionError,
    Operation,
    Path,
    Step,
    parse,
    paths,
)  # fmt: skip
from etgraph.alerts.language.vocabulary import (
    QUESTIONS,
    STRUCTURAL,
    Fields,
    Kind,
    Number,
    Question,
    Rows,
    Text,
    option_of,
    table_of,
)  # fmt: skip
from etgraph.model.errors import UsageError
from etgraph.model.results import camel_case
from etgraph.model.settings.problems import near, one_of

LONGEST: Final = 1000
"""Characters of a metric."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an expression gives: a number of that unit or, with `rows`, one for each row of what `rows` names.

    `unit` is None where it gives rows themselves, which only `count` takes.
    """

    unit: Unit | None
    rows: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that was read and found to mean something."""

    text: str
    expression: Expression
    meaning: Meaning

    @property
    def unit(self) -> Unit:
        """What it is measured in."""
        assert self.meaning.unit is not None
        return self.meaning.unit

    @property
    def questions(self) -> tuple[str, ...]:
        """The questions that it asks, by the names that metrics give them."""
        return tuple(dict.fromkeys(path.question for path in paths(self.expression)))

    @property
    def compares(self) -> bool:
        """Whether it needs a baseline to be worked out at all."""
        return any(QUESTIONS[name].of == "pair" for name in self.questions)

    @property
    def structural(self) -> bool:
        """Whether it is of the program alone, so that one run decides."""
        return all(name in STRUCTURAL for name in self.questions)


def metric(text: str) -> Metric:
    """The metric that a text is. Raises ExpressionError for what cannot be read or does not mean anything."""
    if len(text) > LONGEST:
        raise ExpressionError(LONGEST, f"{len(text):,} characters", f"{LONGEST:,} at most")
    expression = parse(text)
    found = _meaning(expression)
    if found.unit is None:
        raise ExpressionError(expression.at, "rows", "a number", "name a field of them, or count(…) them")
    if not any(True for _ in paths(expression)):
        raise ExpressionError(0, "numbers only", "a field of an answer, such as breakdown.idleNs")
    return Metric(text, expression, found)


def _meaning(expression: Expression) -> Meaning:
    if isinstance(expression, Amount):
        return Meaning(expression.unit)
    if isinstance(expression, Path):
        return _of_path(expression)
    if isinstance(expression, Call):
        return _of_call(expression)
    return _of_operation(expression)


def _of_call(call: Call) -> Meaning:
    meant = [_meaning(argument) for argument in call.arguments]
    if call.function == "count":
        if len(meant) != 1 or meant[0].rows is None:
            raise ExpressionError(call.at, "count of what is no rows", "rows, such as count(findings)")
        return Meaning("count")
    if len(meant) == 1:
        (only,) = meant
        if only.rows is None:
            raise ExpressionError(call.at, f"{call.function} of one number", "a field of several rows")
        return Meaning(_number(only, call.arguments[0]))
    if call.function not in ("min", "max"):
        raise ExpressionError(call.at, f"{len(meant)} arguments of {call.function}", "one")
    unit: Unit | None = None
    for one, argument in zip(meant, call.arguments, strict=True):
        if one.rows is not None:
            raise ExpressionError(argument.at, "several rows", "one number each, such as sum(…)")
        own = _number(one, argument)
        if not _nothing(argument):
            unit = own if unit is None else _same(unit, own, argument, "beside")
    return Meaning(unit or "count")


def _of_operation(operation: Operation) -> Meaning:
    left, right = _meaning(operation.left), _meaning(operation.right)
    first, second = _number(left, operation.left), _number(right, operation.right)
    if left.rows is not None and right.rows is not None and left.rows != right.rows:
        raise ExpressionError(
            operation.at, f"rows of {left.rows} {operation.sign} rows of {right.rows}", "rows of the same",
            "make one number of either by sum(…), mean(…) or max(…)",
        )  # fmt: skip
    rows = left.rows if left.rows is not None else right.rows
    if operation.sign in "+-":
        if _nothing(operation.left) or _nothing(operation.right):
            return Meaning(second if _nothing(operation.left) else first, rows)
        return Meaning(_same(first, second, operation, operation.sign), rows)
    return Meaning(_product(first, second) if operation.sign == "*" else _ratio(first, second), rows)


def _nothing(expression: Expression) -> bool:
    """Whether it is the number 0, which goes with any unit."""
    return isinstance(expression, Amount) and expression.value == 0


def _number(meaning: Meaning, at: Expression) -> Unit:
    if meaning.unit is None:
        raise ExpressionError(at.at, "rows", "a number", "name a field of them")
    return meaning.unit


_PLAIN: Final = ("share", "count")


def _same(first: Unit, second: Unit, at: Expression, what: str) -> Unit:
    """The unit of a sum; shares and counts are both plain numbers."""
    if first == second:
        return first
    if first in _PLAIN and second in _PLAIN:
        return "share"
    raise ExpressionError(at.at, f"{first} {what} {second}", "the same unit")


def _product(first: Unit, second: Unit) -> Unit:
    if first in _PLAIN:
        return second if first == "count" or second not in _PLAIN else "share"
    return first if second in _PLAIN else "count"


def _ratio(first: Unit, second: Unit) -> Unit:
    if first == second:
        return "share"
    return first if second in _PLAIN else "count"


# Paths


def _of_path(path: Path) -> Meaning:
    question = QUESTIONS.get(path.question)
    if question is None:
        raise ExpressionError(
            path.at, f"no question {path.question!r}", one_of(tuple(QUESTIONS)), near(path.question, QUESTIONS)
        )
    if path.by is not None and path.by not in question.groupings:
        choices = question.groupings
        expected = one_of(choices) if choices else f"no grouping: {path.question} has none"
        raise ExpressionError(path.at, f"by={path.by!r}", expected, near(path.by, choices))
    for name, text in path.changes:
        _check_change(question, path, name, text)
    kind: Kind = question.fields
    given = ", ".join(filter(None, (path.by, *(f"{name}={text}" for name, text in path.changes))))
    rows = f"{path.question}({given})" if given else path.question
    several = False
    for number, step in enumerate(path.steps):
        if number:
            kind, through = _field(kind, step, question, path)
            rows += f".{through}{step.name}"
            several = several or bool(through)
        elif step.conditions or len(path.steps) == 1:
            kind = question.table
        if isinstance(kind, Rows):
            several = True
            for condition in step.conditions:
                _check(kind.of, condition, rows)
                rows += f"[{condition.field}{condition.comparison}{condition.value}]"
        elif step.conditions:
            raise ExpressionError(step.conditions[0].at, f"a condition on {step.name}, which is no list", "none")
    if isinstance(kind, Number):
        return Meaning(kind.unit, _parent(rows) if several else None)
    if isinstance(kind, Rows):
        return Meaning(None, rows)
    last = path.steps[-1]
    told = "a text" if isinstance(kind, Text) else "an object" if isinstance(kind, Fields) else "no number"
    raise ExpressionError(last.at, f"{last.name}, {told}", "a number", _numbers(kind))


def _check_change(question: Question, path: Path, name: str, text: str) -> None:
    """Raise ExpressionError for a change of the run that the question does not know, or that is said wrongly."""
    from etgraph.sim.what_if.reading import change

    if name not in question.changes:
        expected = one_of(("by", *question.changes)) if question.changes else f"by: {path.question} knows nothing else"
        raise ExpressionError(path.at, repr(name), expected, near(name, ("by", *question.changes)))
    try:
        change(option_of(name), text)
    except UsageError as error:
        raise ExpressionError(
            path.at, f"{name}={text!r}", error.message.rpartition("expected ")[2], error.hint
        ) from None


def _parent(rows: str) -> str:
    """The rows of which a path names a field."""
    return rows.rpartition(".")[0] if not rows.endswith("]") else rows


def _field(kind: Kind, step: Step, question: Question, path: Path) -> tuple[Kind, str]:
    """The kind of a field, and the name, with a dot, of the rows that it is found in where the answer lacks it."""
    of = kind.of if isinstance(kind, Rows) else kind
    if not isinstance(of, Fields):
        before = path.steps[path.steps.index(step) - 1]
        raise ExpressionError(step.at, f"a field {step.name!r} of {before.name}, which has none", "no further field")
    if step.name in of.fields:
        return of.fields[step.name].kind, ""
    known = dict(of.fields)
    if of is question.fields:
        table = question.table.of.fields
        if step.name in table:
            return table[step.name].kind, f"{camel_case(table_of(question.answer))}."
        known |= table
    raise ExpressionError(
        step.at, f"no field {step.name!r} of {path.question}", one_of(tuple(known)), near(step.name, known)
    )


def _check(of: Fields, condition: Condition, rows: str) -> None:
    found = of.fields.get(condition.field)
    if found is None:
        raise ExpressionError(
            condition.at, f"no field {condition.field!r} of {rows}", one_of(tuple(of.fields)),
            near(condition.field, of.fields),
        )  # fmt: skip
    textual = isinstance(condition.value, str)
    if isinstance(found.kind, Number) == textual or not isinstance(found.kind, (Number, Text)):
        raise ExpressionError(
            condition.at, f"{condition.field} {condition.comparison} {condition.value!r}",
            "a number" if isinstance(found.kind, Number) else "a text in quotes" if isinstance(found.kind, Text)
            else f"another field: {condition.field} cannot be compared",
        )  # fmt: skip
    allowed = ("=", "!=", "~", "!~") if textual else ("=", "!=", "<", "<=", ">", ">=")
    if condition.comparison not in allowed:
        raise ExpressionError(
            condition.at, f"{condition.comparison} with {'a text' if textual else 'a number'}", one_of(allowed)
        )


def _numbers(kind: Kind) -> str | None:
    if not isinstance(kind, Fields):
        return None
    return f"its numbers are {', '.join(name for name, field in kind.fields.items() if isinstance(field.kind, Number))}"


__all__ = ["LONGEST", "Meaning", "Metric", "metric"]
