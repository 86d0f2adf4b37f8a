"""Options and arguments that several commands take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click


def pairs(context: click.Context, parameter: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """`key=value` texts as a dictionary; for the callback of a parameter that may be repeated."""
    found = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise click.BadParameter(f"found {text!r}, expected KEY=VALUE", context, parameter)
        found[key] = value
    return found


def labels_option(help: str) -> Callable[[Any], Any]:
    """`--label KEY=VALUE`, repeatable, as parameter `labels`."""
    return click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, callback=pairs, help=help)
