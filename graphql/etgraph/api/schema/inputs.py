"""Inputs that several fields take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import graphene


class LabelInput(graphene.InputObjectType):
    """A label of a trace."""

    key = graphene.String(required=True, description="Its key.")
    value = graphene.String(required=True, description="Its value.")


def labels_of(given: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Labels by key."""
    return {each["key"]: each["value"] for each in given or ()}


__all__ = ["LabelInput", "labels_of"]
