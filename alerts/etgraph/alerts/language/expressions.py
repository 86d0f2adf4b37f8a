"""What a metric's text is made of, and how it is read.

expression = term {("+" | "-") term}
term       = factor {("*" | "/") factor}
factor     = "-" factor | amount | "(" expression ")" | function "(" expression {"," expression} ")" | path
path       = question ["(" name "=" text {"," name "=" text} ")"] [rows] {"." field [rows]}
rows       = "[" field comparison value {"," field comparison value} "]"
comparison = "=" | "!=" | "~" | "!~" | "<" | "<=" | ">" | ">="
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from etgraph.alerts.language.amounts import NotAnAmount, Unit, amount

FUNCTIONS: Final = ("sum", "mean", "min", "max", "median", "p95", "p99", "count")
"""What makes one number of those of several rows."""
COMPARISONS: Final = ("=", "!=", "~", "!~", "<", "<=", ">", ">=")
MOST_DEPTH: Final = 50
"""Expressions within each other that are read."""

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<amount>[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\s*(?:%|(?:[kKMGTP]i?)?B(?:/s)?(?![A-Za-z])
        |(?:ns|us|µs|ms|s)(?![A-Za-z])|[kMGTP]?FLOP/s)?)
      |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<text>"[^"]*"|'[^']*')
      |(?P<sign>!=|!~|<=|>=|[-+*/()\[\].,=~<>])
    )""",
    re.VERBOSE,
)


class ExpressionError(ValueError):
    """A metric that cannot be read; `at` is the place of its text, from 0."""

    def __init__(self, at: int, found: str, expected: str, hint: str | None = None) -> None:
        super().__init__(f"character {at + 1}: found {found}, expected {expected}")
        self.at = at
        self.found = found
        self.expected = expected
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, with its unit."""

    value: float
    unit: Unit
    at: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What a row must satisfy: its field compared with a value."""

    field: str
    comparison: str
    value: str | float
    at: int


@dataclass(frozen=True, slots=True)
class Step:
    """One field of a path, and which of its rows are meant."""

    name: str
    conditions: tuple[Condition, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Path:
    """A field of a question's answer. `steps[0]` is the question, `by` what its answer is to be grouped by.

    `changes` are other names in its parentheses, with their texts, in order.
    """

    steps: tuple[Step, ...]
    by: str | None
    at: int
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def question(self) -> str:
        """The question's name."""
        return self.steps[0].name


@dataclass(frozen=True, slots=True)
class Call:
    """A function of expressions."""

    function: str
    arguments: tuple[Expression, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Operation:
    """Two expressions with a sign between them; one that is negated is subtracted from 0."""

    sign: str
    left: Expression
    right: Expression
    at: int


Expression: TypeAlias = Amount | Path | Call | Operation


def paths(expression: Expression) -> Iterator[Path]:
    """Every path of an expression, from left to right."""
    if isinstance(expression, Path):
        yield expression
    elif isinstance(expression, Operation):
        yield from paths(expression.left)
        yield from paths(expression.right)
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from paths(argument)


def parse(text: str) -> Expression:
    """The expression that a text is. Raises ExpressionError.

    >>> parse("1 - breakdown.idleNs / 2ms").sign
    '-'
    """
    return _Parser(text).whole()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            unclosed = text[at] in "\"'"
            expected = "a text that ends with the quote it begins with" if unclosed else "a name, a number or a sign"
            raise ExpressionError(at, repr(text[at]), expected)
        found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return [*found, _Token("end", "", len(text))]


class _Parser:
    """Reads a text from left to right; every method reads what it is named after."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.place = 0
        self.depth = 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self, *signs: str) -> _Token | None:
        """The next token, where it is one of those signs."""
        token = self.next
        if token.kind != "sign" or token.text not in signs:
            return None
        self.place += 1
        return token

    def expect(self, sign: str) -> None:
        if self.take(sign) is None:
            raise ExpressionError(self.next.at, str(self.next), repr(sign))

    def name(self, what: str) -> _Token:
        token = self.next
        if token.kind != "name":
            raise ExpressionError(token.at, str(token), what)
        self.place += 1
        return token

    def whole(self) -> Expression:
        found = self.expression()
        if self.next.kind != "end":
            raise ExpressionError(self.next.at, str(self.next), "a sign such as + or /, or the end")
        return found

    def expression(self) -> Expression:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise ExpressionError(self.next.at, f"more than {MOST_DEPTH} expressions within each other", "fewer")
        left = self.term()
        while sign := self.take("+", "-"):
            left = Operation(sign.text, left, self.term(), sign.at)
        self.depth -= 1
        return left

    def term(self) -> Expression:
        left = self.factor()
        while sign := self.take("*", "/"):
            left = Operation(sign.text, left, self.factor(), sign.at)
        return left

    def factor(self) -> Expression:
        token = self.next
        signs = 0
        while self.take("-"):
            signs += 1
        if signs:
            found = self.factor()
            return Operation("-", Amount(0, "count", token.at), found, token.at) if signs % 2 else found
        if self.take("("):
            found = self.expression()
            self.expect(")")
            return found
        if token.kind == "amount":
            self.place += 1
            return Amount(*_amount(token), token.at)
        name = self.name("a number, a question such as breakdown, or a function such as sum")
        if name.text in FUNCTIONS and self.take("("):
            arguments = [self.expression()]
            while self.take(","):
                arguments.append(self.expression())
            self.expect(")")
            return Call(name.text, tuple(arguments), name.at)
        return self.path(name)

    def path(self, question: _Token) -> Path:
        by, changes = None, []
        more = self.take("(")
        while more:
            argument = self.name("by, or a change of whatif")
            self.expect("=")
            value = self.text("a text in quotes")
            if argument.text != "by":
                changes.append((argument.text, value))
            elif by is not None:
                raise ExpressionError(argument.at, "by twice", "one grouping")
            else:
                by = value
            more = self.take(",")
            if not more:
                self.expect(")")
        steps = [Step(question.text, self.conditions(), question.at)]
        while self.take("."):
            name = self.name("the name of a field")
            steps.append(Step(name.text, self.conditions(), name.at))
        return Path(tuple(steps), by, question.at, tuple(changes))

    def conditions(self) -> tuple[Condition, ...]:
        if not self.take("["):
            return ()
        found = [self.condition()]
        while self.take(","):
            found.append(self.condition())
        self.expect("]")
        return tuple(found)

    def condition(self) -> Condition:
        name = self.name("the name of a field")
        sign = self.take(*COMPARISONS)
        if sign is None:
            raise ExpressionError(self.next.at, str(self.next), f"one of {' '.join(COMPARISONS)}")
        minus = self.take("-")
        token = self.next
        if token.kind == "amount":
            self.place += 1
            number = _amount(token)[0]
            return Condition(name.text, sign.text, -number if minus else number, name.at)
        if minus:
            raise ExpressionError(token.at, str(token), "a number")
        return Condition(name.text, sign.text, self.text("a text in quotes, or a number"), name.at)

    def text(self, what: str) -> str:
        token = self.next
        if token.kind != "text":
            raise ExpressionError(token.at, str(token), what)
        self.place += 1
        return token.text[1:-1]


def _amount(token: _Token) -> tuple[float, Unit]:
    try:
        return amount(token.text)
    except NotAnAmount as error:
        raise ExpressionError(token.at, str(token), str(error)) from None


__all__ = [
    "COMPARISONS", "FUNCTIONS", "Amount", "Call", "Condition", "Expression", "ExpressionError", "Operation", "Path",
    "Step", "parse", "paths",
]  # fmt: skip
