"""Communication against the network of a profile: which tier a group spans, how much of its bandwidth is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from etgraph.model import Trace
from etgraph.model.columns import Array
from etgraph.model.meetings import Meetings, bus_factors, rank_ranges
from etgraph.sim.profiles import Profile
from etgraph.sim.profiles.spanning import spanning_tiers


class Reached(NamedTuple):
    """Of one key: the tiers that its meetings span, the bandwidth of a device in them (bytes/s), the part reached."""

    tier: str | None
    peak_bandwidth: float | None
    bus_bandwidth_share: float | None


NOT_COMPARED = Reached(None, None, None)


@dataclass(frozen=True, slots=True)
class Compared:
    """What was reached by the number of each key that could be compared, and what could not."""

    by_key: Mapping[int, Reached] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def against_tiers(trace: Trace, met: Meetings, seen: Array, key: Array, profile: Profile) -> Compared:
    """Bus bandwidth of the meetings `seen`, each of a `key`, against the innermost tier that joins its ranks.

    The share is the time that the bytes on the bus take at the tier's bandwidth, as a part of the transfer time: over
    several tiers each counts by its time, and the peak is the mean by bytes.
    """
    tier = spanning_tiers(profile, *(each[seen] for each in rank_ranges(trace, met)))
    took = met.transfer_ns[seen]
    on_bus = met.bytes[seen] * bus_factors(trace.operators["comm_type"][met.first[seen]], met.ranks[seen])
    moved = (on_bus > 0) & (took > 0)
    known = moved & (tier >= 0)
    key, tier, on_bus, took = key[known], tier[known], on_bus[known], took[known]
    peaks = np.array([each.bandwidth for each in profile.tiers])
    ideal = np.bincount(key, on_bus / peaks[tier]) if len(key) else np.zeros(0)
    bytes, seconds = np.bincount(key, on_bus), np.bincount(key, took) / 1e9
    found = {}
    for each in np.unique(key).tolist():
        spanned = np.unique(tier[key == each]).tolist()
        peak = peaks[spanned[0]] if len(spanned) == 1 else bytes[each] / ideal[each]
        names = ", ".join(profile.tiers[one].name for one in spanned)
        found[each] = Reached(names, float(peak), float(ideal[each] / seconds[each]))
    beyond = int(np.count_nonzero(moved)) - len(key)
    told = f"{beyond:,} collectives and messages span more devices than the {profile.ranks:,} of {profile.name}"
    return Compared(found, (told,) if beyond else ())
