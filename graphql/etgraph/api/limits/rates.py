"""How much a token may ask in a time: a bucket of requests and one of cost for each, refilled at a rate."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from etgraph.api.context import Viewer
from etgraph.api.errors import RateExceeded

BURST_SECONDS: Final = 10
"""For how long what is not asked is saved up, and how much a token may ask at once."""
_KEPT: Final = 10_000
"""Tokens whose buckets are kept; one that has been silent for longest has a full one again."""


@dataclass(slots=True)
class _Bucket:
    level: float
    moment: float


class Rates:
    """The buckets of one process. For several threads.

    What costs more than a bucket holds is let through by a full one, which is in debt then. Administrators, and who
    needs no token, are let through.
    """

    def __init__(self, requests: int, cost: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Requests and cost a second; 0: any."""
        self._rates = {"requests": requests, "cost": cost}
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, viewer: Viewer, kind: str, amount: int) -> None:
        """Take some `requests` or `cost` from a viewer's bucket. Raises RateExceeded where it holds too little."""
        rate = self._rates[kind]
        if not rate or viewer.token is None or viewer.is_admin:
            return
        most, now = rate * BURST_SECONDS, self._clock()
        with self._lock:
            bucket = self._buckets.setdefault((kind, viewer.token), _Bucket(most, now))
            self._buckets.move_to_end((kind, viewer.token))
            bucket.level, bucket.moment = min(most, bucket.level + (now - bucket.moment) * rate), now
            missing = min(amount, most) - bucket.level
            if missing <= 0:
                bucket.level -= amount
            while len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        if missing > 0:
            seconds = math.ceil(missing / rate)
            raise RateExceeded(f"{kind}: the token {viewer.token} has used up {rate:,} a second", seconds)


__all__ = ["BURST_SECONDS", "Rates"]
