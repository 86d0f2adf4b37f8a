"""Tokens for a reader, and as JSON has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from etgraph.cli.units import age, printable
from etgraph.cli.views.tables import grid

if TYPE_CHECKING:
    from rich.console import RenderableType

    from etgraph.api.access import Token


def tokens_view(tokens: Sequence[Token]) -> RenderableType:
    """A row a token."""
    table = grid("id", "name", "team", "scopes", "made", "used", "good")
    for each in tokens:
        table.add_row(
            each.id, printable(each.name), printable(each.team), " ".join(each.scopes) or "–", age(each.created),
            age(each.used) if each.used else "never", _good(each),
        )  # fmt: skip
    return table


def _good(token: Token) -> str:
    if token.revoked is not None:
        return "revoked"
    return "for ever" if token.expires is None else f"until {token.expires[:16].replace('T', ' ')}"


def token_document(token: Token) -> dict[str, Any]:
    """What is known of a token, as the API's type `Token` has it."""
    return asdict(token) | {"scopes": list(token.scopes)}
