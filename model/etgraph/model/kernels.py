"""Compiled kernels: one Python function, run as it stands on small inputs and compiled by numba on large ones.

Importing numba and loading a compiled function costs about half a second, more than a small trace is worth. So a
kernel runs as plain Python until one of its arrays is long, and from then on as machine code kept in numba's cache.
Both ways run the same source, and the tests compare them.

A kernel whose last parameter is `stop` is given the flag of `etgraph.model.cancelling`, and looks at it now and then:

    if step % BETWEEN_LOOKS == 0 and stopped(stop):
        break

In a loop of a few instructions a step, that costs some per cent; where its range is cut into blocks, nothing.
"""

from __future__ import annotations

import inspect
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
        cancelling.check()
        longest = max((len(a) for a in (*args, *kwargs.values()) if isinstance(a, Sized)), default=0)
        run: Callable[..., R] = self.python if longest < COMPILE_FROM else self.compiled
        result = run(*self._in_order(args, kwargs))
        cancelling.check()
        return result

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
            self._dispatcher = numba.njit(cache=True, nogil=True, error_model="numpy")(self.python)
        form = tuple(_form(a) for a in args)
        if form not in self._forms:
            with _compile_lock():
                self._dispatcher.compile(tuple(numba.typeof(a) for a in args))
            self._forms.add(form)
        result: R = self._dispatcher(*args)
        return result


def _form(value: Any) -> Any:
    """What of an argument decides on its type in machine code; asking numba takes longer than a short kernel runs."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        return value.dtype, value.ndim, flags.c_contiguous, flags.f_contiguous, flags.writeable, flags.aligned
    return type(value)


def kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Mark a function over arrays as a kernel. It must be self-contained: of ours, it may call `stopped` only."""
    return Kernel(function)


@cache
def _teach_numba() -> None:
    """Tell numba what `stopped` is in machine code."""
    from numba.core import types
    from numba.extending import intrinsic, overload

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
