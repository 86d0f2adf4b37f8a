"""Runs: traces that are checked or compared with, and what metrics give on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from etgraph.alerts.changes import changes_of
from etgraph.alerts.language.evaluating import Answers, Row, evaluate, label_of, reduced
from etgraph.alerts.language.expressions import Path
from etgraph.alerts.language.meaning import Metric
from etgraph.alerts.language.vocabulary import QUESTIONS, option_of
from etgraph.alerts.rules.rule import Aggregate, Where
from etgraph.alerts.structure import structure
from etgraph.alerts.times import times
from etgraph.model import Trace
from etgraph.model.errors import MissingData, UsageError
from etgraph.model.results import Result
from etgraph.queries.breakdown import Breakdown
from etgraph.queries.comparison import Comparison
from etgraph.queries.critical_path import CriticalPath, Ground, ground_of
from etgraph.queries.iterations import StepTimes
from etgraph.queries.questions import question
from etgraph.queries.subjects import Subject
from etgraph.store import TraceInfo

Part = tuple[str, int | None]
"""A row of an answer by what it is called, and its rank where it has one."""
Step = int | None | Sequence[int]
"""A step by its index; None: all of the trace; several: all of these."""


NO_TIMES: Final = "only what changed in the program is known, as the run or its baseline has no measured times"
_SHOWN: Final = 12
"""Iterations that an error lists."""


@dataclass(frozen=True, slots=True)
class Run:
    """A trace under the name by which it was asked for; `iterations` are those that are meant, None for all.

    `info` is its entry in the catalogue, None for one that is not stored. Answers are kept for the next who asks, and
    with `ground` what all questions need of its critical paths.
    Raises MissingData for an iteration that the trace does not hold.
    """

    name: str
    trace: Trace
    iterations: tuple[int, ...] | None = None
    info: TraceInfo | None = None
    answers: dict[tuple[Any, ...], Result] = field(default_factory=dict, compare=False, repr=False)
    ground: Ground = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ground", ground_of(self.trace))
        held = self.trace.iteration_indices
        missing = [index for index in self.iterations or () if index not in held]
        if missing:
            known = ", ".join(map(str, held[:_SHOWN])) + (f", … ({len(held)} in all)" if len(held) > _SHOWN else "")
            raise MissingData(f"{self.name}: no iteration {missing[0]}: the trace holds {known or 'none'}")

    def steps(self, only: Sequence[int] = ()) -> tuple[int | None, ...]:
        """Indices of its steps, or `only` some; None alone for a trace without any. Raises MissingData for none."""
        every: tuple[int | None, ...] = self.iterations or self.trace.iteration_indices or (None,)
        found = tuple(step for step in every if not only or step in only)
        if not found:
            raise MissingData(f"{self.name} has none of the steps {', '.join(map(str, only))}")
        return found

    def subject(self, only: Sequence[int] = ()) -> Subject:
        """What questions about several traces take: its steps, or `only` some of them. Raises what `steps` raises."""
        return Subject(self.trace, self.some(only), self.name)

    def some(self, only: Sequence[int]) -> tuple[int, ...] | None:
        """Indices of its steps, or `only` some of them; None where it is meant whole. Raises what `steps` raises."""
        return tuple(step for step in self.steps(only) if step is not None) if only else self.iterations

    def path(self) -> CriticalPath | None:
        """Its critical path, that of the first steps that follow each other; None where there is none."""
        step = self.iterations[:1] if self.iterations else None
        try:
            found = self.answer("criticalPath", None, None, step)
        except MissingData:
            return None
        assert isinstance(found, CriticalPath)
        return found

    def answer(
        self, name: str, by: str | None, rank: int | None, step: Step, changes: tuple[tuple[str, str], ...] = ()
    ) -> Result:
        """The answer of a question of metrics about a step, of what-if with changes. Raises what the question raises.

        A change of what the trace does not have is MissingData.
        """
        if changes:
            return self._changed(name, by, rank, self.iterations, changes)
        if QUESTIONS[name].of == "trace":
            step = self.iterations
        if name == "iterations":
            return _of_step(self._ask(name, by, rank, None), step)
        if name == "breakdown" and by is None and step is not None:
            every = self._ask(name, None, rank, self.iterations, each=True)
            return _of_step(every, step)
        return self._ask(name, by, rank, step)

    def _changed(
        self, name: str, by: str | None, rank: int | None, step: Step, changes: tuple[tuple[str, str], ...]
    ) -> Result:
        from etgraph.sim.what_if.reading import change

        made = tuple(change(option_of(option), text) for option, text in changes)
        try:
            return self._ask(name, by, rank, step, changes=made)
        except UsageError as error:  # a pattern that fits nothing: the form was looked at when the rule was read
            raise MissingData(error.message) from None

    def _ask(self, name: str, by: str | None, rank: int | None, step: Step, **choices: Any) -> Result:
        key = name, by, rank, step, *choices.items()
        if key not in self.answers:
            if by is not None:
                choices["by"] = by
            own = {"structure": structure, "times": times}.get(name)
            ask = own or question("slack" if name == "slack" else QUESTIONS[name].command.split()[0])
            self.answers[key] = ask(self.trace, rank=rank, iteration=step, **choices)
        return self.answers[key]


def _of_step(answer: Result, step: Step) -> Result:
    """The rows of a step, or of several, of an answer about all of them; of step times those over all ranks."""
    wanted = None if step is None else {step} if isinstance(step, int) else set(step)
    if isinstance(answer, StepTimes):
        over_all = any(row.rank is None for row in answer.rows)
        rows = [row for row in answer.rows if (row.rank is None or not over_all)]
        return replace(answer, rows=tuple(row for row in rows if wanted is None or row.index in wanted))
    assert isinstance(answer, Breakdown)
    return replace(answer, windows=tuple(each for each in answer.windows if wanted is None or each.iteration in wanted))


@dataclass(frozen=True, slots=True)
class Measured:
    """What a metric gives on a run: a number for each step where it is known, and one for the run.

    `rows` are the rows of answers that numbers came from, with these. `missing` says why there is no number. Of a rule
    about every row, `parts` are the numbers of each in every step; `steps` are their sums.
    """

    value: float | None
    steps: tuple[float, ...] = ()
    rows: tuple[tuple[Row, float], ...] = ()
    missing: str | None = None
    parts: Mapping[Part, tuple[float, ...]] = field(default_factory=dict)


def measure(
    run: Run, metric: Metric, where: Where, aggregate: Aggregate, compared: Callable[[], Comparison] | None = None
) -> Measured:
    """A metric on a run. `compared` gives its comparison with the baseline, for a metric that needs one.

    What the trace does not record is missing. Raises what else questions raise.
    """

    def answers(step: Step) -> Answers:
        def answer(path: Path) -> Result:
            name = path.question
            if QUESTIONS[name].of == "pair":
                assert compared is not None
                comparison = compared()
                if name == "compare" and not comparison.timed:
                    raise MissingData(NO_TIMES)
                return comparison if name == "compare" else changes_of(comparison)
            return run.answer(name, path.by, where.rank, step, path.changes)

        return answer

    once = aggregate.iterations == "together" or all(QUESTIONS[name].of != "step" for name in metric.questions)
    try:
        chosen: Sequence[Step] = [run.some(where.iterations)] if once else run.steps(where.iterations)
    except MissingData as error:
        return Measured(None, missing=error.message)
    numbers: list[float] = []
    rows: list[tuple[Row, float]] = []
    parts: dict[Part, list[float]] = {}
    missing = "what it measures does not occur in the trace" + (f": no rows of {where.rows}" if where.rows else "")
    if metric.compares and compared is not None and not compared().timed:
        missing = NO_TIMES
    for step in chosen:
        try:
            value = evaluate(metric.expression, answers(step))
        except MissingData as error:
            missing = error.message
            continue
        each = aggregate.ranks == "each"
        number = (
            reduced("sum" if each else aggregate.ranks, value.known) if value.rows is not None else value.numbers[0]
        )
        pairs = zip(value.rows or (), value.numbers)
        known = [(row, own) for row, own in pairs if own is not None] if value.rows is not None else list(value.used)
        rows += known
        if each:
            for row, own in known:
                of_steps = parts.setdefault(part_of(row), [])
                of_steps += [0.0] * (len(numbers) + 1 - len(of_steps))
                of_steps[-1] += own
        if number is not None:
            numbers.append(number)
    whole = reduced("max" if once else aggregate.iterations, numbers) if numbers else None
    filled = {part: (*some, *[0.0] * (len(numbers) - len(some))) for part, some in parts.items()}
    return Measured(whole, tuple(numbers), tuple(rows), None if numbers else missing, filled)


def part_of(row: Row) -> Part:
    """By what a row is known again in another answer."""
    rank = row.values.get("rank")
    return label_of(row), None if rank is None else int(rank)


def together(measured: Sequence[Measured]) -> Measured:
    """What several runs gave, as one without a number of its own."""
    if len(measured) == 1:
        return measured[0]
    steps = tuple(step for one in measured for step in one.steps)
    return Measured(None, steps, tuple(row for one in measured for row in one.rows))


__all__ = ["Measured", "Part", "Run", "Step", "measure", "together"]
