"""An evaluation: what came of a set of rules on a trace, whether or not it raised an alert."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import msgspec

from etgraph.alerts.standing.naming import last_at, name_at
from etgraph.store.records import Conflict, Record, Records, every

KIND: Final = "evaluation"
TOTALS: Final = "evaluation-total"
EvaluationStatus: TypeAlias = Literal["begun", "ok", "regressed", "undecided", "incomparable", "failed"]
STATUSES: Final[tuple[str, ...]] = get_args(EvaluationStatus)
SECONDS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Upper bounds of the classes in which durations are counted."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A rule that was not asked."""

    rule: Annotated[str, "its id"]
    reason: Annotated[str, "why: what it is to be compared with is not there yet"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why rules could not be checked at all."""

    code: Annotated[str, "kind of the error, as etgraph names it everywhere"]
    message: Annotated[str, "what is wrong: the place, what was found, what was expected"]
    hint: Annotated[str | None, "what to do about it; null where there is nothing to say"] = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a set of rules on a trace."""

    id: Annotated[str, "names it among evaluations; later ones have greater ones"]
    team: Annotated[str | None, "the team whose trace it is; null for nobody's"]
    workload: Annotated[str, "the workload whose trace was checked"]
    trace: Annotated[str, "id of the trace"]
    rules: Annotated[str, "name of the set of rules"]
    version: Annotated[int, "version of the set"]
    asked: Annotated[str, "when it was asked for"]
    status: Annotated[str, "begun (also where the process died), ok, regressed, undecided, incomparable or failed"]
    ended: Annotated[str | None, "when it was done; null before"] = None
    duration_ns: Annotated[int | None, "how long it took; null before its end"] = None
    verdicts: Annotated[Mapping[str, str], "the verdicts on the rules, by their ids"] = dataclasses.field(
        default_factory=dict
    )
    left_out: Annotated[tuple[LeftOut, ...], "rules that were not asked: there is nothing to compare with yet"] = ()
    failure: Annotated[Failure | None, "why nothing could be checked; null where it could"] = None

    @property
    def has_ended(self) -> bool:
        """Whether it says what came of the rules."""
        return self.status != "begun"


@dataclass(frozen=True, slots=True)
class Totals:
    """Evaluations of a store since it is: how many ended in which status, and how long they took.

    `classes` are how many took no longer than each of `SECONDS`.
    """

    statuses: Mapping[str, int]
    classes: tuple[int, ...] = (0,) * len(SECONDS)
    seconds: float = 0.0


def evaluation_id(asked: str, team: str, workload: str, trace: str, rules: str) -> str:
    """The id of the one evaluation of a trace by a set of rules that was asked for at a moment."""
    return name_at(asked, team, workload, trace, rules)


def put_evaluation(records: Records, found: Evaluation) -> None:
    """Keep an evaluation, in place of what it was. Done again it is as it was; it is counted once, when it has ended.

    One that has begun takes no place of one that has ended.
    """
    before = records.get(KIND, found.id)
    if not found.has_ended and before is not None:
        return
    document = {name: getattr(found, name) for name in _KEPT} | {
        "team": found.team or "",
        "verdicts": dict(found.verdicts),
        "left_out": [dataclasses.asdict(each) for each in found.left_out],
        "failure": None if found.failure is None else dataclasses.asdict(found.failure),
    }
    try:
        records.put(KIND, found.id, document, 0 if before is None else before.version)
    except Conflict:  # a worker whose lease ran out does the same
        return
    if found.has_ended and (before is None or not evaluation_of(before).has_ended):
        _count(records, found)


def evaluations(
    records: Records,
    team: str | None = None,
    *,
    workload: str | None = None,
    trace: str | None = None,
    rules: str | None = None,
    status: str | None = None,
    after: str | None = None,
    first: int = 100,
) -> list[Evaluation]:
    """Evaluations of a team, newest first: those behind the id `after`; None: of all teams."""
    asked = {"team": team, "workload": workload, "trace": trace, "rules": rules, "status": status}
    where = {name: value for name, value in asked.items() if value is not None}
    return [evaluation_of(each) for each in records.find(KIND, where, after=after, first=first, newest=True)]


def later_evaluations(records: Records, team: str, workload: str, rules: str, asked: str) -> Iterator[Evaluation]:
    """Evaluations by a set of rules of a workload's traces that were asked for behind a moment, oldest first."""
    where = {"team": team, "workload": workload, "rules": rules}
    return map(evaluation_of, every(records, KIND, where, after=last_at(asked), together=100))


def evaluation_of(record: Record) -> Evaluation:
    """The evaluation that a record keeps."""
    said: Any = record.document
    plain = {name: said[name] for name in _KEPT}
    return Evaluation(
        **plain | {"id": record.name, "team": said["team"] or None},
        verdicts=said["verdicts"],
        left_out=tuple(LeftOut(**each) for each in said["left_out"]),
        failure=None if said["failure"] is None else Failure(**said["failure"]),
    )


def totals(records: Records) -> Totals:
    """How many evaluations of all teams have ended in which status, and how long they took."""
    found = records.get(TOTALS, TOTALS)
    return Totals({}) if found is None else msgspec.convert(found.document, Totals)


def _count(records: Records, found: Evaluation) -> None:
    seconds = (found.duration_ns or 0) / 1e9
    while True:
        record = records.get(TOTALS, TOTALS)
        before = Totals({}) if record is None else msgspec.convert(record.document, Totals)
        now = Totals(
            {**before.statuses, found.status: before.statuses.get(found.status, 0) + 1},
            tuple(count + (seconds <= most) for count, most in zip(before.classes, SECONDS, strict=True)),
            before.seconds + seconds,
        )
        with suppress(Conflict):
            records.put(TOTALS, TOTALS, dataclasses.asdict(now), 0 if record is None else record.version)
            return


_KEPT: Final = ("workload", "trace", "rules", "version", "asked", "status", "ended", "duration_ns")

__all__ = [
    "KIND",
    "SECONDS",
    "STATUSES",
    "Evaluation",
    "EvaluationStatus",
    "Failure",
    "LeftOut",
    "Totals",
    "evaluation_id",
    "evaluation_of",
    "evaluations",
    "later_evaluations",
    "put_evaluation",
    "totals",
]
