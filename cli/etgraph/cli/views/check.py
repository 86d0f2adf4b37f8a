"""Where the reports of a check go: to stdout, and to the files that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etgraph.alerts.reports import Output
    from etgraph.cli.settings import Settings


def reports_of(settings: Settings, outputs: Sequence[str]) -> tuple[Output, ...]:
    """The reports that a call asks for; where none of them goes to stdout, text does, unless it is to be quiet.

    Raises UsageError for what is no format, and where several go to the same place.
    """
    from etgraph.alerts.reports import Output, parse_outputs

    told = [*outputs, *(["json"] if settings.json else [])]
    found = parse_outputs(told)
    if not settings.quiet and all(output.file is not None for output in found):
        return (*found, Output("text"))
    return found if told or not settings.quiet else ()
