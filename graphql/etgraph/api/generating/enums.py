"""GraphQL enums of Python's enums and of literals; their values are texts, spelled as everywhere else."""

from __future__ import annotations

import enum
from functools import cache
from typing import Any, Final, get_args

import graphene

from etgraph.api.generating.descriptions import of_type, sentence, words

UNKNOWN: Final = "UNKNOWN"
"""A number that this version has no name for."""


def _made(name: str, values: tuple[str, ...], description: str) -> type[graphene.Enum]:
    def describe(value: Any) -> str:
        if value is None:
            return description
        return (
            "A number that this version knows no name for." if value.value == UNKNOWN else sentence(words(value.value))
        )

    made: type[graphene.Enum] = graphene.Enum(name, [(value, value) for value in values], description=describe)
    return made


@cache
def enum_of(known: type[enum.IntEnum], *, open_ended: bool = False) -> type[graphene.Enum]:
    """The names of an enum; one that is open-ended has `UNKNOWN` for numbers without a name."""
    return _made(known.__name__, (*known.__members__, *([UNKNOWN] if open_ended else [])), of_type(known))


@cache
def choice_of(literal: Any, name: str, description: str) -> type[graphene.Enum]:
    """The texts of a literal, as the command line spells them."""
    return _made(name, get_args(literal), description)


def name_of(value: Any) -> str | None:
    """The value of `enum_of` for a member, or for a number that is none."""
    return None if value is None else getattr(value, "name", UNKNOWN)
