"""Deleting what may be too much for one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from etgraph.store.errors import StoreFull
from etgraph.store.neo4j.connection import Connection, rows_of
from etgraph.store.neo4j.failures import is_out_of_memory

FEWEST: Final = 20


def delete_all(connection: Connection, text: str, parameters: Mapping[str, Any], most: int) -> None:
    """Run a query that deletes up to `$most` and returns how many these were, until nothing is left to delete.

    Nodes with very many relationships may be too much for the server's memory: then it is asked for fewer.
    """
    deleted = most
    while deleted == most:
        try:
            deleted = _delete_some(connection, text, {**parameters, "most": most})
        except StoreFull as error:
            if most <= FEWEST or not is_out_of_memory(error.__cause__):
                raise
            deleted = most = most // 2


def _delete_some(connection: Connection, text: str, parameters: Mapping[str, Any]) -> int:
    ((count,),) = connection.write(lambda tx: rows_of(tx, text, parameters), divisible=True)
    return int(count)
