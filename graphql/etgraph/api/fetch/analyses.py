"""Questions to stored traces, as every other interface asks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from etgraph.api.context import Context
from etgraph.api.fetch.hardware import given_profile
from etgraph.api.generating.arguments import choices_of
from etgraph.api.shared import Made, bytes_of
from etgraph.model import Trace
from etgraph.model.results import Result
from etgraph.queries.comparison import Comparison
from etgraph.queries.questions import OF_SEVERAL
from etgraph.queries.saved_simulations import find_simulation, load_on
from etgraph.queries.saving import answer, place_of
from etgraph.queries.subjects import Subject
from etgraph.queries.waterfall import Waterfall, Waterfalls, together
from etgraph.sim.what_if.reading import from_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.queries.saved_simulations import Described, Kept

T = TypeVar("T")

_WITH_DERIVED: Final = 4
"""Times the bytes of its columns."""


class OpenOnce:
    """The store of a context, in which a trace is found and opened once for a request, however much is asked of it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def find(self, reference: str) -> Described:
        """See `Store.find`."""
        return self._context.once(("find", reference), lambda: self._context.store.find(reference))

    def load(self, reference: str) -> Trace:
        """See `Store.load`. The trace stays open for other requests that find it in this revision."""
        found = self.find(reference)

        def load() -> Made[Trace]:
            trace = self._context.store.load(found.id)
            return Made(trace, _bytes_of_trace(trace), lasting=trace.revision == found.revision)

        return self._context.shared.traces.get((found.id, found.revision), load)

    def get_artefact(self, trace_id: str, kind: str, key: str) -> pa.Table | None:
        """See `Store.get_artefact`."""
        return self._context.once(
            ("artefact", trace_id, kind, key), lambda: self._context.store.get_artefact(trace_id, kind, key)
        )

    def put_artefact(self, trace_id: str, kind: str, key: str, table: pa.Table, *, revision: int | None = None) -> None:
        """See `Store.put_artefact`."""
        self._context.remembered.clear()
        self._context.store.put_artefact(trace_id, kind, key, table, revision=revision)

    def artefacts(self, trace_id: str) -> list[Kept]:
        """See `Store.artefacts`."""
        return self._context.once(("artefacts", trace_id), lambda: list(self._context.store.artefacts(trace_id)))

    def artefact_schema(self, trace_id: str, kind: str, key: str) -> pa.Schema | None:
        """See `Store.artefact_schema`."""
        return self._context.once(
            ("schema", trace_id, kind, key), lambda: self._context.store.artefact_schema(trace_id, kind, key)
        )


def ask(context: Context, trace: Described, question: str, arguments: Mapping[str, Any]) -> Result:
    """The answer to a question of `etgraph.queries.questions` about a trace that this request has found.

    It follows from id, revision and choices, and is worked out once for all requests. Nothing is kept in the store: a
    query changes nothing. Raises NotFound for an unknown profile, and what the question raises.
    """
    store, choices = OpenOnce(context), _choices(arguments)
    if choices.get("simulation") is not None:
        choices["simulation"] = find_simulation(store, trace.id, choices["simulation"])

    def work() -> Result:
        return answer(store, trace.id, question, save=False, **choices)

    return worked_out(context, (trace,), place_of(question, **choices), work)


def keep(context: Context, trace_id: str, question: str, choices: Mapping[str, Any], simulation: str | None) -> Result:
    """The answer, kept beside its trace from now on. The choices are values of the question's keywords, as JSON.

    Raises UsageError for choices that the question does not have.
    """
    found = _choices(choices_of(question, choices))
    return answer(OpenOnce(context), trace_id, question, save=True, simulation=simulation, **found)


def compare(
    context: Context,
    base: Sequence[Mapping[str, Any]],
    other: Sequence[Mapping[str, Any]],
    simulation: str | None = None,
    **arguments: Any,
) -> Comparison:
    """The comparison of the traces of two sides, each a `SideInput`. A trace of several sides is opened once.

    The other side's are looked at on the timeline of a simulation, where one is named.
    """
    store, choices = OpenOnce(context), _choices(arguments)
    found = {one["reference"]: store.find(one["reference"]) for one in (*base, *other)}

    def run(one: Mapping[str, Any], on: str | None) -> tuple[str, tuple[int, ...] | None, str, str | None]:
        """What is looked at of a run, and under which name, and on which timeline."""
        reference = one["reference"]
        timeline = None if on is None else find_simulation(store, found[reference].id, on)
        return reference, _steps(one.get("iterations")), one.get("name") or reference, timeline

    sides = [[run(one, None) for one in base], [run(one, simulation) for one in other]]

    def subject(reference: str, steps: tuple[int, ...] | None, name: str, timeline: str | None) -> Subject:
        trace = store.load(reference) if timeline is None else load_on(store, reference, timeline)
        return Subject(trace, steps, name)

    def work() -> Comparison:
        subjects = [[subject(*one) for one in side] for side in sides]
        return cast(Comparison, OF_SEVERAL["compare"](*subjects, **choices))

    asked = ("compare", repr(sides), repr(sorted(choices.items())))
    return worked_out(context, list(found.values()), asked, work)


def _steps(iterations: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if iterations is None else tuple(iterations)


def worked_out(context: Context, traces: Sequence[Described], asked: tuple[Any, ...], work: Callable[[], T]) -> T:
    """What follows from traces and what was asked of them, worked out once for all requests.

    It is kept if the traces are still those that were found.
    """
    revisions = {each.id: each.revision for each in traces}

    def made() -> Made[T]:
        result = work()
        lasting = all(context.store.find(each).revision == revision for each, revision in revisions.items())
        return Made(result, bytes_of(result), lasting)

    key = (*((each.id, each.revision) for each in traces), *asked)
    return cast(T, context.shared.results.get(key, made))


def _bytes_of_trace(trace: Trace) -> int:
    """What a trace takes, with the graph and the orders that questions derive from its columns."""
    return _WITH_DERIVED * sum(columns.nbytes for columns in trace.tables.values())


def waterfall(context: Context, references: Sequence[str], arguments: Mapping[str, Any]) -> Waterfalls:
    """Lost time of several traces, each under the reference that names it."""
    store = OpenOnce(context)
    rows = [cast(Waterfall, ask(context, store.find(each), "waterfall", arguments)) for each in references]
    return together([replace(row, trace=each) for row, each in zip(rows, references)])


def _choices(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the question's function takes them."""
    choices = {name: getattr(value, "value", value) for name, value in arguments.items()}
    if choices.get("profile") is not None:
        choices["profile"] = given_profile(choices["profile"])
    if choices.get("changes") is not None:
        choices["changes"] = from_rows(choices["changes"])
    return choices


__all__ = ["OpenOnce", "ask", "compare", "keep", "waterfall", "worked_out"]
