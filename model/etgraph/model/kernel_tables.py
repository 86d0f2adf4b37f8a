"""Tables as the parts of a kernel see them: plain memory, without counting who refers to it.

Numba counts references to arrays, for each array of a tuple each time that a function takes the tuple. In a kernel of
many small parts that takes almost all of the time. `bare` leaves the count with the kernel, which holds the arrays for
as long as it runs, and gives its parts no more than addresses and lengths.
"""

# Numba's own modules are partly typed.
# mypy: disable-error-code="attr-defined,import-untyped,no-untyped-call,override,untyped-decorator"

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def bare(tables: T) -> T:
    """The one-dimensional arrays of a named tuple for the parts of a kernel: only indexed, by whole numbers from 0.

    Plain, it is the tuple itself. Compiled, nothing checks that an index is within its table.
    """
    return tables


@cache
def teach_numba() -> None:
    """Tell numba what `bare` is in machine code, and what one can do with it."""
    import operator

    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.core.datamodel import models, register_default
    from numba.core.imputils import lower_builtin, lower_getattr_generic
    from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
    from numba.extending import intrinsic, overload

    class Table(types.Type):
        """One table."""

        def __init__(self, row: Any) -> None:
            self.row = row
            super().__init__(name=f"Table({row})")

    class Tables(types.Type):
        """All tables of a tuple."""

        def __init__(self, source: Any) -> None:
            self.rows = {name: Table(array.dtype) for name, array in zip(source.fields, source.types)}
            super().__init__(name=f"Tables({source})")

    @register_default(Table)
    class TableModel(models.StructModel):
        def __init__(self, manager: Any, table: Any) -> None:
            super().__init__(manager, table, [("data", types.voidptr), ("length", types.intp)])

    @register_default(Tables)
    class TablesModel(models.StructModel):
        def __init__(self, manager: Any, tables: Any) -> None:
            super().__init__(manager, tables, list(tables.rows.items()))

    def to_bare(typing: Any, source: Any) -> Any:
        tables = Tables(source)

        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            made = cgutils.create_struct_proxy(tables)(context, builder)
            for number, (name, array_type) in enumerate(zip(source.fields, source.types)):
                array = context.make_array(array_type)(context, builder, builder.extract_value(arguments[0], number))
                table = cgutils.create_struct_proxy(tables.rows[name])(context, builder)
                table.data = builder.bitcast(array.data, cgutils.voidptr_t)
                table.length = array.nitems
                setattr(made, name, table._getvalue())
            return made._getvalue()

        return tables(source), codegen

    made: Any = intrinsic(to_bare)

    overload(bare)(lambda tables: lambda tables: made(tables))  # noqa: PLW0108

    @infer_getattr
    class TablesAttributes(AttributeTemplate):
        key = Tables

        def generic_resolve(self, tables: Any, name: str) -> Any:
            return tables.rows.get(name)

    @lower_getattr_generic(Tables)
    def get_table(context: Any, builder: Any, tables: Any, value: Any, name: str) -> Any:
        return getattr(cgutils.create_struct_proxy(tables)(context, builder, value=value), name)

    @infer_global(operator.getitem)
    class GetRow(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if isinstance(args[0], Table) and isinstance(args[1], types.Integer):
                return signature(args[0].row, args[0], types.intp)
            return None

    @infer_global(operator.setitem)
    class SetRow(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if isinstance(args[0], Table) and isinstance(args[1], types.Integer):
                return signature(types.none, args[0], types.intp, args[0].row)
            return None

    def address(context: Any, builder: Any, table: Any, value: Any, index: Any) -> Any:
        data = cgutils.create_struct_proxy(table)(context, builder, value=value).data
        size = context.get_abi_sizeof(context.get_data_type(table.row))
        return builder.gep(data, [builder.mul(index, ir.Constant(index.type, size))])

    @lower_builtin(operator.getitem, Table, types.intp)
    def get_row(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        table = sig.args[0]
        at = address(context, builder, table, *arguments)
        if isinstance(table.row, types.Record):
            return builder.bitcast(at, context.get_value_type(table.row))
        pointer = builder.bitcast(at, context.get_data_type(table.row).as_pointer())
        return context.unpack_value(builder, table.row, pointer)

    @lower_builtin(operator.setitem, Table, types.intp, types.Any)
    def set_row(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        table = sig.args[0]
        at = address(context, builder, table, *arguments[:2])
        pointer = builder.bitcast(at, context.get_data_type(table.row).as_pointer())
        context.pack_value(builder, table.row, arguments[2], pointer)
        return context.get_dummy_value()

    @infer_global(len)
    class Length(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            return signature(types.intp, args[0]) if isinstance(args[0], Table) else None

    @lower_builtin(len, Table)
    def get_length(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        return cgutils.create_struct_proxy(sig.args[0])(context, builder, value=arguments[0]).length
