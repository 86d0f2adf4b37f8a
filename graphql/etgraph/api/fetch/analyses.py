"""Questions to stored traces, as every other interface asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from etgraph.api.context import Context
from etgraph.api.fetch.hardware import given_profile
from etgraph.api.fetch.worked_out import worked_out
from etgraph.api.generating.arguments import choices_of
from etgraph.model import Trace
from etgraph.queries.comparison import Comparison
from etgraph.queries.questions import OF_SEVERAL
from etgraph.queries.saved_simulations import find_simulation
from etgraph.queries.saving import answer, place_of
from etgraph.queries.subjects import Subject
from etgraph.queries.waterfall import Waterfall, Waterfalls, together
from etgraph.sim.what_if.reading import from_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.model.results import Result
    from etgraph.queries.saved_simulations import Described, Kept


class OpenOnce:
    """The store of a context, in which a trace is found and opened once for a request, however much is asked of it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def find(self, reference: str) -> Described:
        """See `Store.find`."""
        return self._context.once(("find", reference), lambda: self._context.store.find(reference))

    def load(self, reference: str) -> Trace:
        """See `Store.load`."""
        return self._context.once(("load", reference), lambda: self._context.store.load(reference))

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


def ask(context: Context, trace_id: str, question: str, arguments: Mapping[str, Any]) -> Result:
    """The answer to a question of `etgraph.queries.questions`: a kept one where there is, else worked out now.

    Nothing is kept: a query changes nothing. Raises NotFound for an unknown profile, and what the question raises.
    """
    store, choices = OpenOnce(context), _choices(arguments)
    if choices.get("simulation") is not None:
        choices["simulation"] = find_simulation(store, trace_id, choices["simulation"])
    key = (context.store.url, trace_id, store.find(trace_id).revision, *place_of(question, **choices))
    return worked_out(key, lambda: answer(store, trace_id, question, save=False, **choices))


def keep(context: Context, trace_id: str, question: str, choices: Mapping[str, Any], simulation: str | None) -> Result:
    """The answer, kept beside its trace from now on. The choices are values of the question's keywords, as JSON.

    Raises UsageError for choices that the question does not have.
    """
    found = _choices(choices_of(question, choices))
    return answer(OpenOnce(context), trace_id, question, save=True, simulation=simulation, **found)


def compare(
    context: Context, base: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], **arguments: Any
) -> Comparison:
    """The comparison of the traces of two sides, each a `SideInput`. A trace of several sides is opened once."""
    store = OpenOnce(context)

    def side(runs: Sequence[Mapping[str, Any]]) -> list[Subject]:
        return [_subject(store, **each) for each in runs]

    return cast(Comparison, OF_SEVERAL["compare"](side(base), side(other), **_choices(arguments)))


def _subject(
    store: OpenOnce, reference: str, iterations: Sequence[int] | None = None, name: str | None = None
) -> Subject:
    return Subject(store.load(reference), None if iterations is None else tuple(iterations), name or reference)


def waterfall(context: Context, references: Sequence[str], arguments: Mapping[str, Any]) -> Waterfalls:
    """Lost time of several traces, each under the reference that names it."""
    rows = [cast(Waterfall, ask(context, each, "waterfall", arguments)) for each in references]
    return together([replace(row, trace=each) for row, each in zip(rows, references)])


def _choices(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as the question's function takes them."""
    choices = {name: getattr(value, "value", value) for name, value in arguments.items()}
    if choices.get("profile") is not None:
        choices["profile"] = given_profile(choices["profile"])
    if choices.get("changes") is not None:
        choices["changes"] = from_rows(choices["changes"])
    return choices


__all__ = ["OpenOnce", "ask", "compare", "keep", "waterfall"]
