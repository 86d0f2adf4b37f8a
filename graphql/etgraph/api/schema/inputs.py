"""Inputs that several fields take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import graphene

REFERENCE: Final = (
    "A trace: its id or the beginning of it, `workload` (its newest), or `workload@x` with x a tag, the beginning of a "
    "commit, or `label=value`."
)


class LabelInput(graphene.InputObjectType):
    """A label of a trace."""

    key = graphene.String(required=True, description="Its key.")
    value = graphene.String(required=True, description="Its value.")


class SideInput(graphene.InputObjectType):
    """A run of one side of a comparison."""

    reference = graphene.String(required=True, description=REFERENCE)
    iterations = graphene.List(
        graphene.NonNull(graphene.Int), description="Only these steps of it, by index; without, all that are asked for."
    )
    name = graphene.String(description="What the answer calls it; without, its reference.")


def labels_of(given: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Labels by key."""
    return {each["key"]: each["value"] for each in given or ()}


__all__ = ["REFERENCE", "LabelInput", "SideInput", "labels_of"]
