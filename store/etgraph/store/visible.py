"""Which entries of a catalogue somebody sees: those of a team, and others' that are shared with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from etgraph.model.errors import UsageError

SEPARATOR: Final = "\x1f"
"""Stands in no name of a team or a workload, none of which may hold what cannot be printed."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Entries that others may see, too: those of a team (None: nobody's) under a workload (None: under none).

    With `trace`, that trace's entry alone; without, every entry there, and those that come.
    """

    team: str | None
    workload: str | None
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Visible:
    """Entries of a team (None: no team's) and those that are shared."""

    team: str | None
    shared: frozenset[Shared] = frozenset()

    def admits(self, team: str | None, workload: str | None, trace: str) -> bool:
        """Whether an entry is among them."""
        own = team is not None and team == self.team
        return own or not self.shared.isdisjoint((Shared(team, workload), Shared(team, workload, trace)))

    @property
    def keys(self) -> list[str]:
        """What is shared, each as the text `key`, in which stores compare it."""
        return sorted(map(key, self.shared))


def key(shared: Shared) -> str:
    """Team, workload and trace as one text; a separator before a part says that there is one."""
    parts = [shared.team or "", "" if shared.workload is None else SEPARATOR + shared.workload, shared.trace or ""]
    return SEPARATOR.join(parts)


def check_free(workload: str | None, others: Iterable[str | None]) -> None:
    """Refuse to enter a trace where somebody else did: UsageError. `others` are workloads of entries out of sight."""
    if workload is not None and workload in others:
        raise UsageError(
            f"workload {workload!r} names this trace already, and not for this team", hint="choose another workload"
        )


__all__ = ["SEPARATOR", "Shared", "Visible", "check_free", "key"]
