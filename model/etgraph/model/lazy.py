"""Packages whose names are imported when they are first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def names_of(package: str, modules: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """A module's `__getattr__` (PEP 562) that finds each name in the package's module that is said to hold it."""
    homes = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)  # the next time is an ordinary look-up
        return value

    return find
