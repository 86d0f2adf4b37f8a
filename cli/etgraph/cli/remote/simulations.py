"""The simulations of a server's trace, and what each of them says of every operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from etgraph.cli.remote.asking import Arguments, answered, arguments_of, ask_root, ask_trace, pages
from etgraph.cli.remote.http import Client
from etgraph.model.results import camel_case
from etgraph.model.simulation_tables import TIMES

if TYPE_CHECKING:
    import pyarrow as pa

    from etgraph.queries import Simulations

_WORTH: Final = 30_000
_MEASURED: Final = ("rank", "index", "name", "start_ns", "duration_ns")


def simulations_of(client: Client, trace_id: str, *, operators: bool) -> Simulations:
    """The simulations that are kept beside a trace; with `operators`, what they say of each."""
    from dataclasses import replace

    from etgraph.queries import Simulations

    ask = ask_root(client, "simulations", arguments_of({"reference": trace_id}, {"reference": "String!"}))
    found = answered(Simulations, ask, ("operators",), windows=False)
    table = _side_by_side(client, trace_id, [each.id for each in found.simulations]) if operators else None
    return replace(found, operators=table)


def _side_by_side(client: Client, trace_id: str, ids: list[str]) -> pa.Table:
    """Measured times of every operator and those of simulations, as `etgraph.queries.simulations` has them."""
    import pyarrow as pa

    times = " ".join(map(camel_case, TIMES))
    nodes = f"{' '.join(map(camel_case, _MEASURED))} predictions {{ simulation {times} }}"

    def page(place: str, selection: str) -> Mapping[str, Any]:
        return ask_trace(client, trace_id, f"operators({place})", Arguments())(selection)

    rows = pages(page, nodes, max(1, min(1000, _WORTH // (10 + 6 * len(ids)))))
    predicted = [{each["simulation"]: each for each in row["predictions"]} for row in rows]
    columns = {name: [row[camel_case(name)] for row in rows] for name in _MEASURED}
    for identity in ids:
        for name in TIMES:
            columns[f"{identity}.{name}"] = [row[identity][camel_case(name)] for row in predicted]
    kinds = {"rank": pa.int32(), "index": pa.int32(), "name": pa.string()}
    return pa.table({name: pa.array(values, kinds.get(name, pa.int64())) for name, values in columns.items()})


__all__ = ["simulations_of"]
