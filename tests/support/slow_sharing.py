"""Fair sharing of links in exact fractions, by the definition: slow, to check the compiled form against."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def fair_rates(flows: Sequence[Sequence[int]], capacity: Sequence[Fraction]) -> list[Fraction]:
    """Rates of flows over those links: all rise together, and who meets a full link stops."""
    rates = [Fraction(0)] * len(flows)
    rising = {flow for flow, links in enumerate(flows) if links}
    while rising:
        used = {link: sum(rates[f] * list(flows[f]).count(link) for f in range(len(flows))) for f in rising
                for link in flows[f]}  # fmt: skip
        pulling = {link: sum(list(flows[f]).count(link) for f in rising) for link in used}
        step = min((capacity[link] - used[link]) / pulling[link] for link in used)
        for flow in rising:
            rates[flow] += step
        full = {link for link in used if capacity[link] - used[link] == step * pulling[link]}
        rising = {flow for flow in rising if not full.intersection(flows[flow])}
    return rates


def ends(
    start: Sequence[int], size: Sequence[int], flows: Sequence[Sequence[int]], capacity: Sequence[Fraction]
) -> list[Fraction]:
    """When each flow ends; who has nothing to send or no link to pass ends when it starts."""
    left = [Fraction(bytes) for bytes in size]
    end = [Fraction(moment) for moment in start]
    now, waiting, running = Fraction(0), set(range(len(start))), set[int]()
    while waiting or running:
        if not running:
            now = max(now, Fraction(min(start[f] for f in waiting)))
        due = {f for f in waiting if start[f] <= now}
        waiting -= due
        running |= {f for f in due if size[f] and flows[f]}
        if not running:
            continue
        order = sorted(running)
        rates = dict(zip(order, fair_rates([flows[f] for f in order], capacity)))
        until = min(now + left[f] / rates[f] for f in running)
        if waiting:
            until = min(until, Fraction(min(start[f] for f in waiting)))
        for flow in order:
            left[flow] -= rates[flow] * (until - now)
            if not left[flow]:
                end[flow] = until
                running.remove(flow)
        now = until
    return end
