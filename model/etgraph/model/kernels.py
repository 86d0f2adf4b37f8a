"""Compiled kernels: one Python function, run as it stands on small inputs and compiled by numba on large ones.

Importing numba and loading a compiled function costs about half a second, more than a small trace is worth. So a
kernel runs as plain Python until one of its arrays is long, and from then on as machine code kept in numba's cache.
Both ways run the same source, and the tests compare them.

A kernel whose last parameter is `stop` is given the flag of `etgraph.model.cancelling`, and looks at it now and then:

    if step % BETWEEN_LOOKS == 0 and stopped(stop):
        break

In a loop of a few instructions a step, that costs some per cent; where its range is cut into blocks, nothing.

A loop that is too long to be read as one function is a kernel that calls `part`s, which may call other parts, and hands
them its arrays as a named tuple (`etgraph.model.kernel_tables.bare`). In plain mode they are plain functions.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sized
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from etgraph.model import cancelling

P = ParamSpec("P")
R = TypeVar("R")

COMPILE_FROM = 50_000
"""Length of the longest argument from which a kernel is compiled."""


@contextmanager
def compiling_from(length: int) -> Iterator[None]:
    """Within, kernels are compiled from another length on: for who calls them again and again on one small trace."""
    global COMPILE_FROM
    before, COMPILE_FROM = COMPILE_FROM, min(length, COMPILE_FROM)
    try:
        yield
    finally:
        COMPILE_FROM = before


class Kernel(Generic[P, R]):
    """A function over NumPy arrays and scalars; see `kernel`."""

    def __init__(self, python: Callable[P, R]) -> None:
        self.python = python
        self.__doc__ = python.__doc__
        self.__name__ = python.__name__
        self.__module__ = python.__module__
        self._dispatcher: Any = None
        self._forms: set[Any] = set()
        self._signature = inspect.signature(python)
        self._takes_flag = [*self._signature.parameters][-1:] == ["stop"]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it in the way that fits the arguments. Raises Cancelled where it is to stop, before it runs or after.

        What a kernel found until it was stopped is no answer, and is not returned.
        """
        longest = max(map(_length, (*args, *kwargs.values())), default=0)
        return self.run(longest >= COMPILE_FROM, *args, **kwargs)

    def run(self, compiled: bool, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """The same in the way that the caller chooses, where the arguments' lengths do not tell what there is to do."""
        cancelling.check()
        form: Callable[..., R] = self.compiled if compiled else self.python
        result = form(*self._in_order(args, kwargs))
        cancelling.check()
        return result

    @property
    def ready(self) -> bool:
        """Whether this process has its machine code already."""
        return bool(self._forms)

    def _in_order(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arguments by position, and the flag, where it is not among them."""
        if kwargs:
            args = self._signature.bind(*args, **kwargs).args
        if self._takes_flag and len(args) < len(self._signature.parameters):
            args = (*args, cancelling.current_flag())
        return args

    def compiled(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the machine code, compiling it first where neither this process nor numba's cache has it."""
        import numba

        args = self._in_order(args, kwargs)
        if self._dispatcher is None:
            _teach_numba()
            _teach_parts()
            self._dispatcher = numba.njit(cache=True, nogil=True, error_model="numpy")(self.python)
            _watch(self._dispatcher, _parts_of(self.python))
        form = tuple(_form(a) for a in args)
        if form not in self._forms:
            with _compile_lock():
                self._dispatcher.compile(tuple(numba.typeof(a) for a in args))
            self._forms.add(form)
        result: R = self._dispatcher(*args)
        return result


def _length(value: Any) -> int:
    """The length of an argument, of a tuple of arrays that of the longest."""
    if isinstance(value, tuple):
        return max(map(_length, value), default=0)
    return len(value) if isinstance(value, Sized) else 0


def _form(value: Any) -> Any:
    """What of an argument decides on its type in machine code; asking numba takes longer than a short kernel runs."""
    if isinstance(value, tuple):
        return type(value), *map(_form, value)
    if isinstance(value, np.ndarray):
        flags = value.flags
        return value.dtype, value.ndim, flags.c_contiguous, flags.f_contiguous, flags.writeable, flags.aligned
    return type(value)


def kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Mark a function over arrays as a kernel. Of ours, it may call `stopped` and functions marked with `part`."""
    return Kernel(function)


_parts: list[Callable[..., Any]] = []
_taught: set[Callable[..., Any]] = set()


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that kernels and other parts call: it stays what it is, and becomes machine code with them."""
    _parts.append(function)
    return function


def _parts_of(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The parts that a function calls, and those that these call."""
    known = set(_parts)
    found: dict[Callable[..., Any], None] = {function: None}
    queue = [function]
    for caller in queue:
        named = (caller.__globals__.get(name) for name in caller.__code__.co_names)
        more = [called for called in named if callable(called) and called in known and called not in found]
        found |= dict.fromkeys(more)
        queue += more
    return list(found)[1:]


def _watch(dispatcher: Any, parts: list[Callable[..., Any]]) -> None:
    """Let what numba keeps of a kernel depend on the files of its parts too; by itself it looks at the kernel's own."""
    files = sorted({called.__code__.co_filename for called in parts})
    if files:
        index = dispatcher._cache._cache_file
        stamps = [(stat.st_mtime, stat.st_size) for stat in map(os.stat, files)]
        index._source_stamp = (index._source_stamp, *stamps)


def _teach_parts() -> None:
    """Tell numba of the parts that it does not know yet."""
    from numba.extending import register_jitable

    for called in _parts:
        if called not in _taught:
            register_jitable(error_model="numpy")(called)
            _taught.add(called)


@cache
def _teach_numba() -> None:
    """Tell numba what `stopped` is in machine code."""
    from numba.core import types
    from numba.extending import intrinsic, overload

    from etgraph.model import kernel_tables

    kernel_tables.teach_numba()

    def read(typing: Any, flag: Any) -> Any:
        def load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            return builder.load_atomic(array.data, "monotonic", 1)

        return types.int8(flag), load

    value: Any = intrinsic(read)
    overload(cancelling.stopped)(lambda stop: lambda stop: value(stop) != 0)


@contextmanager
def _compile_lock() -> Iterator[None]:
    """A lock between processes: numba's cache can be damaged when two of them compile into it at once.

    Where the user's cache folder cannot be written, compiling goes on without it.
    """
    from pathlib import Path

    from filelock import FileLock
    from platformdirs import user_cache_dir

    folder = Path(user_cache_dir("etgraph"))
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(folder / "compile.lock"))
        except OSError:
            pass
        yield
