"""Concurrent transfers on shared links: max–min fair rates, and when each transfer ends.

Rates are max–min fair: none can be raised without lowering one that is no higher (Bertsekas and Gallager, Data
Networks, §6.5.2). Progressive filling finds them: all rates rise together until a link is full, its flows stop there,
the others go on. Flows are in compressed rows: the links of flow f are `links[offsets[f]:offsets[f + 1]]`; capacities
are bytes/ns.
"""

from __future__ import annotations

import numpy as np

from etgraph.model.cancelling import NEVER, check, stopped
from etgraph.model.columns import Array
from etgraph.model.errors import UsageError
from etgraph.model.kernels import kernel

COMPILE_FROM = 1_000
"""Flows from which sharing runs as machine code."""


def fair_rates(offsets: Array, links: Array, capacity: Array) -> Array:
    """Max–min fair rates of flows that all run at once, bytes/ns; infinite for a flow that passes no link.

    >>> fair_rates(np.array([0, 1, 3, 4]), np.array([0, 0, 1, 1]), np.array([10.0, 100.0])).tolist()
    [5.0, 5.0, 95.0]
    """
    _check(offsets, links, capacity)
    flows = len(offsets) - 1
    at_once = np.zeros(flows, dtype=np.int64)
    return _shared(at_once, np.ones(flows), offsets, links, capacity, np.arange(flows), 1)[1]


def share(start_ns: Array, bytes: Array, offsets: Array, links: Array, capacity: Array) -> Array:
    """When transfers end that start at those moments and share their links fairly, in whole ns, rounded up.

    A flow without bytes or without links ends when it starts. O(running flows · their links + links in use · those that
    fill one after another) at each start and end. Raises UsageError for a link without capacity or a negative size.
    """
    _check(offsets, links, capacity)
    if len(bytes) and bytes.min() < 0:
        raise UsageError(f"flow {bytes.argmin()} has {bytes.min()} bytes, expected 0 or more")
    order = np.argsort(start_ns, kind="stable")
    start, size = start_ns.astype(np.int64), bytes.astype(np.float64)
    return _shared(start, size, offsets, links, capacity, order, np.iinfo(np.int64).max)[0]


def _shared(
    start: Array, size: Array, offsets: Array, links: Array, capacity: Array, order: Array, moments: int
) -> tuple[Array, Array]:
    # A flow costs more than an element of an array usually does, so that machine code pays off early.
    run = _run if len(start) < COMPILE_FROM else _run.compiled
    found = run(start, size, offsets, links, capacity, order, moments)
    check()
    return found


def _check(offsets: Array, links: Array, capacity: Array) -> None:
    used = np.unique(links[: offsets[-1]]) if len(offsets) else links[:0]
    if len(used) and not 0 <= used[0] <= used[-1] < len(capacity):
        raise UsageError(f"a flow passes link {used[-1] if used[0] >= 0 else used[0]} of {len(capacity)} links")
    closed = used[~(capacity[used] > 0)]
    if len(closed):
        raise UsageError(f"link {closed[0]} has a capacity of {capacity[closed[0]]} bytes/ns, expected more than 0")


@kernel
def _run(
    start: Array,
    size: Array,
    offsets: Array,
    links: Array,
    capacity: Array,
    order: Array,
    moments: int,
    stop: Array = NEVER,
) -> tuple[Array, Array]:
    """Ends of flows, and their rates at the last of at most so many moments: starts and ends, between which rates stay.

    Times are kept from the last moment at which the network was empty, so that rounding does not grow with the clock.
    """
    flows = len(start)
    end, remaining, rates = start.copy(), size.copy(), np.full(flows, np.inf)
    room, users = np.zeros(len(capacity), np.float64), np.zeros(len(capacity), np.int64)
    used, begin, beyond = np.empty(len(capacity), np.int64), users.copy(), users.copy()
    running, on_link = np.empty(flows, np.int64), np.empty(len(links), np.int64)
    count, following, origin, now, step = 0, 0, np.int64(0), 0.0, 0
    while following < flows or count > 0:
        step += 1
        if step % 1024 == 0 and stopped(stop):
            break
        if count == 0:
            origin, now = start[order[following]], 0.0
        while following < flows and start[order[following]] - origin <= now:
            flow = order[following]
            following += 1
            if size[flow] > 0 and offsets[flow] < offsets[flow + 1]:
                running[count] = flow
                count += 1
        if count == 0:
            continue
        # The links in use, and which flows pass each of them.
        in_use, total = 0, 0
        for place in range(count):
            rates[running[place]] = 0.0
            for at in range(offsets[running[place]], offsets[running[place] + 1]):
                link = links[at]
                if users[link] == 0:
                    used[in_use] = link
                    in_use += 1
                    room[link] = capacity[link]
                users[link] += 1
        for place in range(in_use):
            link = used[place]
            begin[link] = beyond[link] = total
            total += users[link]
        for place in range(count):
            for at in range(offsets[running[place]], offsets[running[place] + 1]):
                on_link[beyond[links[at]]] = running[place]
                beyond[links[at]] += 1
        # Progressive filling.
        left = count
        while left > 0:
            level = np.inf
            for place in range(in_use):
                if users[used[place]] > 0:
                    level = min(level, room[used[place]] / users[used[place]])
            for place in range(in_use):
                link = used[place]
                # What rounding leaves of a link's room is none: equal flows get equal rates.
                if users[link] > 0 and room[link] <= level * users[link] * (1 + 1e-11):
                    for held in range(begin[link], beyond[link]):
                        flow = on_link[held]
                        if rates[flow] == 0.0:
                            rates[flow] = level
                            left -= 1
                            for at in range(offsets[flow], offsets[flow + 1]):
                                room[links[at]] -= level
                                users[links[at]] -= 1
        moments -= 1
        if moments == 0:
            break
        # On to the first end or the next start, whichever comes first.
        until = np.inf
        for place in range(count):
            until = min(until, now + remaining[running[place]] / rates[running[place]])
        if following < flows:
            until = min(until, np.float64(start[order[following]] - origin))
        kept = 0
        for place in range(count):
            flow = running[place]
            # Who is due is through, even where the clock's last digit is too coarse for what it still had to send.
            due = now + remaining[flow] / rates[flow] <= until
            remaining[flow] -= rates[flow] * (until - now)
            # A millionth of a byte, or what rounding leaves of a large transfer, has arrived.
            if due or remaining[flow] <= 1e-6 + size[flow] * 1e-12:
                end[flow] = origin + np.int64(np.ceil(until - 1e-6))
            else:
                running[kept] = flow
                kept += 1
        count, now = kept, until
    return end, rates


__all__ = ["fair_rates", "share"]
