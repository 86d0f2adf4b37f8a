"""Figures of alerts for Prometheus: those that are firing, as their viewer sees them, and how checks went.

They are read from the store at each look, so that every process of a server tells the same. Firing alerts have names
of workloads and rules, and are told to whoever may read them; how many checks there were is told to all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from etgraph.alerts.standing.evaluation import SECONDS, STATUSES, Totals, evaluations, totals
from etgraph.alerts.standing.keeping import Firing
from etgraph.api.access import view_of
from etgraph.api.context import Viewer
from etgraph.store import Store

MOST: Final = 500
"""Series of firing alerts that are told apart; the others are counted together, as of `OTHERS`."""
OTHERS: Final = "(others)"
_LABELS: Final = ("team", "workload", "rule", "level", "state")


def alert_figures(store: Store, viewer: Viewer) -> bytes:
    """The figures in Prometheus' text format. Raises StoreError where the store cannot be asked."""
    may_read = viewer.is_admin or "read" in viewer.scopes
    firing = view_of(store, viewer).alerts.firing() if may_read else None
    registry = CollectorRegistry()
    unfinished = evaluations(store.records, status="begun", first=MOST)
    registry.register(_Figures(firing, totals(store.records), len(unfinished)))
    found: bytes = generate_latest(registry)
    return found


class _Figures(Collector):
    """What was counted, as families of figures."""

    def __init__(self, firing: Mapping[Firing, int] | None, checked: Totals, unfinished: int) -> None:
        self._firing = firing
        self._checked = checked
        self._unfinished = unfinished

    def collect(self) -> Iterator[Metric]:
        """The families."""
        if self._firing is not None:
            gauge = GaugeMetricFamily(
                "etgraph_alerts_firing", "Alerts that are neither resolved nor silenced", labels=_LABELS
            )
            for labels, count in _bounded(self._firing).items():
                gauge.add_metric(labels, count)
            yield gauge
        counter = CounterMetricFamily(
            "etgraph_alert_checks", "Checks of traces by rules that are kept, by what they came to", labels=("status",)
        )
        for status in STATUSES:
            if status != "begun":
                counter.add_metric((status,), self._checked.statuses.get(status, 0))
        yield counter
        yield GaugeMetricFamily(
            "etgraph_alert_checks_unfinished", "Checks that have begun and not ended: at work, or their worker died",
            value=self._unfinished,
        )  # fmt: skip
        count = sum(self._checked.statuses.values())
        buckets = [(str(most), float(number)) for most, number in zip(SECONDS, self._checked.classes, strict=True)]
        yield HistogramMetricFamily(
            "etgraph_alert_check_seconds", "How long such checks took",
            buckets=[*buckets, ("+Inf", float(count))], sum_value=self._checked.seconds,
        )  # fmt: skip


def _bounded(firing: Mapping[Firing, int]) -> Mapping[tuple[str, ...], int]:
    """Counts by labels, the largest by themselves: errors first, so that what is told together is the least."""
    found: Counter[tuple[str, ...]] = Counter()
    ordered = sorted(firing.items(), key=lambda each: (each[0].level != "error", -each[1], each[0].workload))
    for place, (one, count) in enumerate(ordered):
        named = (one.team or "", one.workload, one.rule) if place < MOST else (OTHERS,) * 3
        found[(*named, one.level, one.state)] += count
    return found


__all__ = ["MOST", "OTHERS", "alert_figures"]
