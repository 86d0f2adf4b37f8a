"""What a rule says: a metric of a run, where it is measured, and what it must satisfy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

from etgraph.alerts.findings import CONFIDENCE, Level, Worse
from etgraph.alerts.language.amounts import amount_of
from etgraph.alerts.language.meaning import Metric, metric
from etgraph.alerts.language.narrowing import narrowed
from etgraph.model.settings.declaration import AtLeast, AtMost, Key

OfRanks = Literal["max", "mean", "median", "min", "p95", "p99", "sum", "each"]
OfSteps = Literal["median", "max", "mean", "min", "p95", "p99", "sum", "together"]
Test = Literal["auto", "exact", "statistics", "ratio", "mann-whitney", "change-point"]
Missing = Literal["fail", "pass"]


@dataclass(frozen=True, slots=True)
class Where:
    """The part of a run that a rule is about. Of scope, operator, group and size, one may be given; all are globs."""

    rank: Annotated[int | None, AtLeast(0), "only this rank"] = None
    iterations: Annotated[tuple[int, ...], "only these steps, by their indices"] = ()
    scope: Annotated[str | None, "rows of this scope, where the metric's questions group by scope"] = None
    operator: Annotated[str | None, "rows of operators of this name"] = None
    group: Annotated[str | None, "rows of this process group"] = None
    size: Annotated[str | None, "rows of collectives of this class of size, such as `1 to 10 MB`"] = None

    @property
    def rows(self) -> str:
        """Which rows are meant, in words; nothing where all are."""
        chosen = [(key, getattr(self, key)) for key in ("scope", "operator", "group", "size")]
        return " and ".join(f"{key} {pattern!r}" for key, pattern in chosen if pattern is not None)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How many numbers become one."""

    ranks: Annotated[
        OfRanks, "of the rows that a metric leaves of a step, such as one a rank; `each` compares every row by itself"
    ] = "max"
    iterations: Annotated[
        OfSteps, "of the steps of a run; `together` asks about all steps at once, rather than about each"
    ] = "median"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a metric may be at most, or must be at least, with its unit: `2ms`, `10%`, `64KiB`."""

    max: Annotated[str | float | None, "the most that it may be"] = None
    min: Annotated[str | float | None, "the least that it must be"] = None


@dataclass(frozen=True, slots=True)
class Regression:
    """How much worse than the baseline a metric may be."""

    max_increase: Annotated[str | float | None, "the most that it may grow, as a share of the baseline"] = None
    max_decrease: Annotated[
        str | float | None, "the most that it may shrink, of what is better when it is more, such as a bandwidth"
    ] = None
    floor: Annotated[str | float | None, "a difference below this amount is none"] = None
    test: Annotated[
        Test,
        "`statistics` of runs and their steps; `mann-whitney`: the order of runs by size, whatever their noise; "
        "`change-point`: a lasting change in the baseline's runs and those that are checked, in the order of time; "
        "`ratio` of typical values, which knows nothing of noise; `exact`: every step is beyond every one of the "
        "baseline, for what does not vary; `auto` is exact for metrics of the program's structure, else statistics",
    ] = "auto"
    within: Annotated[
        int | None, AtLeast(1), "of `change-point`: a change counts among the last so many runs, else among all"
    ] = None
    min_samples: Annotated[int, AtLeast(1), "runs that each side must have"] = 1
    confidence: Annotated[
        float,
        AtLeast(0.5),
        AtMost(1),
        "of the interval of the difference, below 1; false alarms are half of what is left",
    ] = CONFIDENCE

    @property
    def allowed(self) -> str | float:
        """How much worse it may be, as it is written."""
        found = self.max_increase if self.max_increase is not None else self.max_decrease
        assert found is not None
        return found

    @property
    def worse(self) -> Worse:
        """Which way is for the worse."""
        return "higher" if self.max_increase is not None else "lower"

    def test_of(self, metric: Metric) -> Test:
        """The test of a metric, that of `auto` too."""
        if self.test != "auto":
            return self.test
        return "exact" if metric.structural else "statistics"


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why a rule that is broken is let pass, and until when."""

    reason: Annotated[str, "why"]
    until: Annotated[str, "the last day on which it is, such as 2026-03-31"]

    def expired(self, today: date) -> bool:
        """Whether that day has gone."""
        return date.fromisoformat(self.until) < today


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `metric_text` is its metric as it is written, `runs` what files call `for`."""

    id: Annotated[str, "its name: letters, digits, and - . _ / between them"]
    metric_text: Annotated[str, Key("metric"), "what is measured: an expression, docs/alerts/rules.md"]
    title: Annotated[str, "what it is about, in a few words"] = ""
    level: Annotated[Level, "what comes of it when it is broken: the check fails, warns, or does not ask at all"] = (
        "error"
    )
    where: Annotated[Where, "the part of the run"] = field(default_factory=Where)
    aggregate: Annotated[Aggregate, "how many numbers become one"] = field(default_factory=Aggregate)
    baseline: Annotated[
        tuple[str, ...], "what it is compared with: references, `branch:NAME`, `last:N`; else that of the check"
    ] = ()
    budget: Annotated[Budget | None, "what it may be"] = None
    regression: Annotated[Regression | None, "what it may become"] = None
    runs: Annotated[int, Key("for"), AtLeast(1), "it is broken when so many runs in a row break it"] = 1
    responsible: Annotated[str, "an expression whose rows are named as responsible, largest first"] = ""
    gain: Annotated[str, "an expression of ns: what a step would gain were the cause undone"] = ""
    missing: Annotated[Missing, "what comes of a trace that does not record what is measured"] = "fail"
    suppress: Annotated[Suppression | None, "let it pass for a while"] = None
    owner: Annotated[str, "who is to be asked"] = ""
    remediation: Annotated[str, "what to do when it is broken"] = ""

    @property
    def metric(self) -> Metric:
        """What is measured, in the part of the run that is meant. Raises ExpressionError."""
        where = self.where
        return narrowed(
            metric(self.metric_text), scope=where.scope, operator=where.operator, group=where.group, size=where.size
        )

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares with a baseline."""
        return self.regression is not None or self.metric.compares

    @property
    def one_run_is_enough(self) -> bool:
        """Whether its regression is judged without statistics of runs."""
        return self.regression is not None and self.regression.test_of(self.metric) in ("exact", "ratio")

    def limit(self, side: Literal["max", "min"]) -> float | None:
        """A limit of its budget, in the unit of the metric."""
        text = getattr(self.budget, side) if self.budget else None
        return None if text is None else amount_of(str(text), self.metric.unit)


__all__ = ["Aggregate", "Budget", "Regression", "Rule", "Suppression", "Where"]
