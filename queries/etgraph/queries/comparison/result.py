"""What a comparison says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from etgraph.model import Trust
from etgraph.model.results import Result


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one part of the program contributes to the difference of two steps. Times in ns on the critical path.

    `status` is added, removed, faster, slower, on-path or off-path (moved there), or same. `low_ns` and `high_ns` bound
    `contribution_ns` (90 % by bootstrap over steps), None where each side has one step. The counts are operators a step
    and rank, on the path or not; of a pause, how often the path has it in a step.

    A `structural` one is a change of the program: operators and all that they enclose and launch, or collectives of one
    type, that are there on one side only, or another number or size of them. Its counts are those on `ranks`,
    `work_ns` is the time a step that these operators take on either side, on the path or not, and `base_bytes` and
    `other_bytes` are the mean size of one collective, None where it is no collective or its size is not recorded.
    """

    key: str
    status: str
    base_ns: int
    other_ns: int
    contribution_ns: int
    base_count: float
    other_count: float
    low_ns: int | None = None
    high_ns: int | None = None
    structural: bool = False
    ranks: tuple[int, ...] = ()
    work_ns: int | None = None
    base_bytes: int | None = None
    other_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which hardware, topology or versions of the two differ."""

    what: str
    base: str | None
    other: str | None


@dataclass(frozen=True, slots=True)
class StepTime:
    """The steps of a side: how many, of how many runs, and their times.

    `median_ns` is the median of the times as measured; `low_ns` and `high_ns` bound the time of the typical step (90 %
    by bootstrap over runs and their steps), None for a single step.
    """

    steps: int
    runs: int
    median_ns: int
    min_ns: int
    max_ns: int
    low_ns: int | None = None
    high_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison(Result):
    """The difference of two steps: `contributions` and `unexplained_ns` sum to `difference_ns`.

    `structural` lists what changed in the program, the change that concerns most work first; `by` operator, it comes
    first among the contributions too. `low_ns` and `high_ns` bound the difference. Where a side has no times, it is not
    `timed`: its times are 0, and its changes are all that is known.
    """

    base_ns: int
    other_ns: int
    difference_ns: int
    unexplained_ns: int
    aligned_share: float
    contributions: tuple[Contribution, ...]
    differences: tuple[Difference, ...]
    trust: Trust
    by: str = "operator"
    structural: tuple[Contribution, ...] = ()
    low_ns: int | None = None
    high_ns: int | None = None
    base_steps: StepTime | None = None
    other_steps: StepTime | None = None
    timed: bool = True

    FRAME: ClassVar[str] = "contributions"
    TABLE: ClassVar[str] = "contributions"

    def headline(self) -> str:
        """The answer in a few words."""
        if not self.timed:
            changes = len(self.structural)
            return f"comparison without times: {changes or 'no'} change{'s' * (changes != 1)} of the program"
        sign = "+" if self.difference_ns >= 0 else "-"
        share = f", {self.difference_ns / self.base_ns:+.1%}" if self.base_ns else ""
        return (
            f"comparison, {self.base_ns / 1e6:.3f} ms to {self.other_ns / 1e6:.3f} ms: "
            f"{sign}{abs(self.difference_ns) / 1e6:.3f} ms{share}"
        )


__all__ = ["Comparison", "Contribution", "Difference", "StepTime"]
