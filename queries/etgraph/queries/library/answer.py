"""What a named query answers: columns of the declared types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etgraph.queries.library.header import NamedQuery
from etgraph.queries.library.types import TYPES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a named query as columns: `data` holds a list for each declared column.

    `truncated` says that there were more rows than a store gives at once.
    """

    query: NamedQuery
    data: tuple[Sequence[Any], ...]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.data[0])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.query.columns)

    def rows(self) -> Iterator[list[Any]]:
        """The rows, each a list in the order of the columns."""
        return map(list, zip(*self.data))

    def to_arrow(self) -> pa.Table:
        """An Arrow table of the declared types; unit and meaning stand in each field's metadata."""
        import pyarrow as pa

        arrays, fields = [], []
        for column, values in zip(self.query.columns, self.data):
            name = TYPES[column.type].arrow
            item = name.removeprefix("list<").removesuffix(">")
            kind = pa.list_(pa.type_for_alias(item)) if item != name else pa.type_for_alias(name)
            metadata = {"unit": column.unit, "meaning": column.meaning}
            arrays.append(pa.array(values, kind))
            fields.append(pa.field(column.name, kind, nullable=column.nullable, metadata=metadata))
        return pa.table(arrays, schema=pa.schema(fields))

    def to_pandas(self) -> pd.DataFrame:
        """A data frame; integers stay integers where values are missing."""
        import pandas as pd

        nullable = {"integer": "Int64", "boolean": "boolean", "float": "float64"}
        return pd.DataFrame(
            {
                column.name: pd.Series(list(values), dtype=nullable.get(column.type, "object"))
                for column, values in zip(self.query.columns, self.data)
            }
        )
