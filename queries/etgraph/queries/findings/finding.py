"""What a finding says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from etgraph.model import Trust
from etgraph.model.results import Result


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that holds the step back. `gain_ns` is what the median step loses by mending it, as replayed.

    `kind` is a name of `etgraph.queries.findings.KINDS`, `id` that and what tells it from others of its kind.
    `operators` are names of the operators that show it, costliest first, `sources` the lines of code that they come
    from, as far as stacks were recorded; `critical_ns` is the time of a step's measured critical path in these
    operators, in the mean. `evidence` is figures in words, `advice` what to do about it.
    """

    id: str
    kind: str
    title: str
    gain_ns: int
    gain_share: float
    critical_ns: int
    ranks: tuple[int, ...]
    iterations: tuple[int, ...]
    operators: tuple[str, ...]
    sources: tuple[str, ...]
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Findings(Result):
    """Findings of a trace, largest gain first; gains do not add up, since causes overlap.

    `step_ns` is the median step, from the earliest start to the latest end of all ranks. `bound` is what most of its
    measured critical path is spent on (`BOUNDS`), `bound_share` the part of the path. `replay_error` is by how much
    the steps of the unchanged replay are off in the mean, `least_gain_ns` what a finding has to gain at least.
    `left_out` says what was not looked for, and why.
    """

    step_ns: int
    bound: str
    bound_share: float
    replay_error: float
    least_gain_ns: int
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]
    trust: Trust

    FRAME: ClassVar[str] = "findings"
    TABLE: ClassVar[str] = "findings"

    def headline(self) -> str:
        """The answer in a few words."""
        bound = f"{self.step_ns / 1e6:.3f} ms a step, {self.bound_share:.0%} {self.bound}"
        if not self.findings:
            return f"no findings, {bound}"
        return f"{len(self.findings)} findings, {bound}; first: {self.findings[0].title}"


__all__ = ["Finding", "Findings"]
