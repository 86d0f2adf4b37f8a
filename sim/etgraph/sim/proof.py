"""What a replay's small error is worth, in figures and in a verdict; `etgraph.sim.replay.proof` works them out."""

from __future__ import annotations

from dataclasses import dataclass, field

ENOUGH_SHARE = 0.01
"""A trace that leaves no more of its windows unexplained records enough to be replayed."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What made the replay of the worst window differ: an operator, and by how much it changed the error there."""

    rank: int
    index: int
    name: str
    ns: int


@dataclass(frozen=True, slots=True)
class Proof:
    """See the module. Shares are of the windows' length; errors of device starts are replayed - measured, in ns.

    `off_host_share` is the part of the replayed path that is not the host's own time. `crossed_error` is the mean
    absolute error of the windows of one half with constants that were fitted on the other. `constants` is how many
    there are; `turns` counts times between two threads of one process that were taken as the host's own, `pinned`
    device operators that start when they did, since what ran before them is not recorded.
    """

    mean_error: float = 0.0
    worst_error: float = 0.0
    crossed_error: float | None = None
    off_host_share: float = 0.0
    unexplained_share: float = 0.0
    device_start_mean_ns: float | None = None
    device_start_median_ns: float | None = None
    constants: int = 0
    turns: int = 0
    pinned: int = 0
    causes: tuple[Cause, ...] = field(default_factory=tuple)

    @property
    def replayable(self) -> bool:
        """Whether the trace records enough for its replay to mean something."""
        return self.unexplained_share <= ENOUGH_SHARE

    @property
    def verdict(self) -> str:
        """The verdict in words, with the number that it rests on."""
        return verdict(self.unexplained_share)


def verdict(unexplained_share: float) -> str:
    """Whether a trace of which that share is unexplained can be replayed, in words."""
    share = f"{unexplained_share:.2%} of the windows is waiting that nothing recorded explains"
    if unexplained_share <= ENOUGH_SHARE:
        return f"replayable: {share}"
    return f"not replayable: {share}, more than {ENOUGH_SHARE:.0%}"
