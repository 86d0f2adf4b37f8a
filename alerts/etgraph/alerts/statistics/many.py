"""Many rules at once: which of their alarms stand when all of them are looked at together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etgraph.alerts.statistics.deciding import Decision, judged

RATE = 0.05
"""Of what is called broken, so much at most is so by chance."""


def adjusted(decisions: Sequence[Decision], q: float = RATE) -> tuple[Decision, ...]:
    """The decisions with at most a share `q` of false alarms expected among the broken ones, in the same order.

    By Benjamini and Hochberg (JRSS B 57, 1995): with R alarms left of m rules, those of a p-value up to R q / m. They
    are judged anew at that level, so that an interval again ends beyond the limit where its rule is broken, and only
    there (Benjamini and Yekutieli, JASA 100, 2005); no level is wider than a rule's own. Those that do not stand are
    undecided. What passed, improved or was undecided keeps its own interval. Rules on parts of the same step are
    positively dependent, for which this holds (Benjamini and Yekutieli, Annals of Statistics 29, 2001).
    """
    if not decisions:
        return ()
    level = threshold([decision.case.p_value for decision in decisions], q)
    return tuple(
        judged(decision.case, min(level, (1 - decision.interval.confidence) / 2))
        if decision.status == "broken"
        else decision
        for decision in decisions
    )


def combined(p_values: Sequence[float]) -> float:
    """One p-value for several at once, that none of them is an alarm (R. J. Simes, Biometrika 73, 1986).

    >>> round(combined([0.01, 0.5, 0.9]), 4), combined([0.2])
    (0.03, 0.2)
    """
    ordered = np.sort(np.asarray(p_values, dtype=float))
    return float(np.min(ordered * len(ordered) / np.arange(1, len(ordered) + 1)))


def threshold(p_values: Sequence[float], q: float) -> float:
    """The largest p-value that is an alarm, R q / m; that of a first one, q / m, where none is.

    >>> round(threshold([0.001, 0.02, 0.8, 0.9], 0.05), 4)
    0.025
    >>> round(threshold([0.3, 0.2], 0.05), 4)
    0.025
    """
    ordered = np.sort(np.asarray(p_values, dtype=float))
    count = len(ordered)
    alarms = np.flatnonzero(ordered <= q * np.arange(1, count + 1) / count * (1 + 1e-9))  # p-values are fractions, too
    return q * (int(alarms[-1]) + 1 if len(alarms) else 1) / count


__all__ = ["RATE", "adjusted", "combined", "threshold"]
