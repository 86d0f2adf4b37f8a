"""What a finding says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from etgraph.model import Trust
from etgraph.model.results import Result


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that holds the step back. `gain_ns` is what the median step loses by mending it, as replayed.

    `operators` are names of the operators that show it, costliest first, `evidence` figures in words, `advice` what to
    do about it.
    """

    id: str
    title: str
    gain_ns: int
    gain_share: float
    ranks: tuple[int, ...]
    iterations: tuple[int, ...]
    operators: tuple[str, ...]
    sources: tuple[str, ...]
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Findings(Result):
    """Findings of a trace, largest gain first; gains do not add up, since causes overlap."""

    step_ns: int
    findings: tuple[Finding, ...]
    trust: Trust

    FRAME: ClassVar[str] = "findings"
    TABLE: ClassVar[str] = "findings"


__all__ = ["Finding", "Findings"]
