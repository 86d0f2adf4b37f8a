"""Which records of the host's and the device's file are of one operator: by recorded ids, else by alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.identifiers import rows_of, sorting
from etgraph.ingest.linking.alignment import align, methods
from etgraph.ingest.linking.candidates import candidates
from etgraph.ingest.linking.records import Names, Records
from etgraph.model.columns import Array
from etgraph.model.schema import LinkMethod

SAME_NAMES = 0.9
"""Share of the records with equal recorded ids that must have equal names, for these ids to be of one recording."""
_LONGER = 64
"""A sequence that is longer by so many tokens, and by a twentieth, may hold several iterations of the other."""


@dataclass(slots=True)
class Matches:
    """Pairs of records. `partner` and `method` have one value a record of the host, -1 without a partner.

    `choice` says how one of `iterations` alike was chosen, empty where none could be; `unaligned` counts records of
    threads that have no like, `unmatched_communication` those whose numbers disagree. `window` and `part` are the
    times of the device's and the numbers of the host's records in which the iteration lies, once it was chosen.
    """

    partner: Array
    method: Array
    iterations: int = 1
    choice: str = ""
    unaligned: int = 0
    unmatched_communication: int = 0
    window: tuple[int, int] | None = None
    part: tuple[int, int] | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether several iterations are alike and nothing tells which one it is."""
        return self.iterations > 1 and not self.choice


def match(host: Records, device: Records, names: Names) -> Matches:
    """Pair the records of two files of one program.

    Where the files share ids, records of the device's file that have none, such as annotations of some versions, are
    still paired by alignment.
    """
    matches = by_recorded_ids(host, device)
    if matches is None:
        return by_alignment(host, device, names)
    left, nameless = matches.partner < 0, device.record_function == NULL
    if left.any() and nameless.any():
        aligned = by_alignment(host, device, names)
        more = left & (aligned.partner >= 0) & nameless[aligned.partner]
        matches.partner[more], matches.method[more] = aligned.partner[more], aligned.method[more]
    return matches


def by_recorded_ids(host: Records, device: Records) -> Matches | None:
    """Pairs by the id that PyTorch gives each call; None where the two files do not share them.

    Two recordings may number their calls alike by chance, so nearly all names must agree.
    """
    known = np.flatnonzero((host.record_function != NULL) & (host.record_function > 0))
    found = rows_of(host.record_function[known], device.record_function, sorting(device.record_function))
    known, found = known[found >= 0], found[found >= 0]
    alike = host.token[known] == device.token[found]
    few = 2 * len(known) < min(len(host), int((device.record_function != NULL).sum()))
    if not len(known) or few or alike.sum() < SAME_NAMES * len(known):
        return None
    matches = _nothing(host)
    matches.partner[known[alike]] = found[alike]
    matches.method[known[alike]] = int(LinkMethod.RECORDED_ID)
    return matches


def by_alignment(host: Records, device: Records, names: Names) -> Matches:
    """Pairs by the sequences of names on each thread, and communication by its order.

    Communication runs on threads of its library, which the host's file does not tell: it is taken out, and the k-th of
    each name is the k-th of the other file.
    """
    matches = _nothing(host)
    ours, theirs = ~names.communicates[host.token], ~names.communicates[device.token]
    matches.unaligned = int(ours.sum())
    for number, (host_lane, device_lane) in enumerate(_threads(host, device, ours, theirs, len(names.communicates))):
        a = np.flatnonzero(ours & (host.lane == host_lane))
        b = np.flatnonzero(theirs & (device.lane == device_lane))
        if matches.window and matches.part:
            b = b[(device.start[b] >= matches.window[0]) & (device.start[b] <= matches.window[1])]
            a = a[(a >= matches.part[0]) & (a <= matches.part[1])]
        whole_a, whole_b = a, b
        a, b = _one_iteration(host, device, names, a, b, matches)
        if matches.ambiguous:
            return matches
        partner = align(host.token[a], device.token[b])
        if partner is None:
            continue
        matches.unaligned -= int((ours & (host.lane == host_lane)).sum())
        good = np.flatnonzero(partner >= 0)
        matches.partner[a[good]] = b[partner[good]]
        matches.method[a[good]] = methods(partner, len(b))[good]
        cut = len(a) + len(b) < len(whole_a) + len(whole_b)
        if not number and cut and len(good):
            linked = b[partner[good]]
            matches.window = int(device.start[linked].min()), int(device.end[linked].max())
            matches.part = _part_of_host(host, whole_a, a[good])
    _match_communication(host, device, names, matches)
    return matches


def _part_of_host(host: Records, thread: Array, linked: Array) -> tuple[int, int]:
    """Numbers of the records from the first linked one to before the next that its thread has; all begin in order."""
    after = np.searchsorted(thread, linked[-1], side="right")
    first = 0 if linked[0] == thread[0] else int(linked[0])
    return first, int(thread[after]) if after < len(thread) else len(host)


def _nothing(host: Records) -> Matches:
    return Matches(np.full(len(host), -1, dtype=np.int64), np.full(len(host), -1, dtype=np.int8))


def _threads(host: Records, device: Records, ours: Array, theirs: Array, tokens: int) -> list[tuple[int, int]]:
    """Threads of the host's file with those of the device's that have most names in common, best first."""
    host_lanes, device_lanes = np.unique(host.lane[ours]), np.unique(device.lane[theirs])
    counts = [
        [np.bincount(r.token[chosen & (r.lane == lane)], minlength=tokens) for lane in lanes.tolist()]
        for r, chosen, lanes in ((host, ours, host_lanes), (device, theirs, device_lanes))
    ]
    scored = sorted(
        (-int(np.minimum(a, b).sum()), i, j) for i, a in enumerate(counts[0]) for j, b in enumerate(counts[1])
    )
    pairs: list[tuple[int, int]] = []
    for score, i, j in scored:
        pair = int(host_lanes[i]), int(device_lanes[j])
        if score < 0 and all(pair[0] != a and pair[1] != b for a, b in pairs):
            pairs.append(pair)
    return pairs


def _one_iteration(
    host: Records, device: Records, names: Names, a: Array, b: Array, matches: Matches
) -> tuple[Array, Array]:
    """Records of two threads, of the longer one only those among which the other lies, where it is much longer.

    Several parts that are alike are iterations. The one whose sequence numbers are the other's is taken, else the one
    with the nearest; where there are no such numbers, the one whose step has the same name.
    """
    if len(a) > len(b):
        low, high = _part(device, host, names, b, a, matches)
        return a[low:high], b
    low, high = _part(host, device, names, a, b, matches)
    return a, b[low:high]


def _part(
    shorter: Records, longer: Records, names: Names, short: Array, long: Array, matches: Matches
) -> tuple[int, int]:
    """Where in `long`, records of one thread, `short` lies."""
    everything = 0, len(long)
    if len(long) - len(short) <= max(_LONGER, len(short) // 20):
        return everything
    places = candidates(shorter.token[short], longer.token[long])
    if not len(places):
        return everything
    place = int(places[0])
    if len(places) > 1:
        chosen, how = _by_sequence(shorter.sequence[short], longer.sequence[long], places)
        if chosen is None:
            chosen, how = _by_step(shorter, longer, names, short, long, places)
        if matches.window is None:
            matches.iterations, matches.choice = len(places), how
        if chosen is None:
            return everything
        place = chosen
    slack = _LONGER + len(short) // 50
    return max(place - slack, 0), max(place + len(short) + slack, 0)


def _by_sequence(short: Array, long: Array, places: Array) -> tuple[int | None, str]:
    """The place where sequence numbers differ least, if it is one."""
    differences = []
    for place in places.tolist():
        low, high = max(0, -place), min(len(short), len(long) - place)
        mine, theirs = short[low:high], long[low + place : high + place]
        both = (mine != NULL) & (theirs != NULL)
        if not both.any():
            return None, ""
        values, counts = np.unique(theirs[both] - mine[both], return_counts=True)
        differences.append(abs(int(values[np.argmax(counts)])))
    least = min(differences)
    if differences.count(least) > 1:
        return None, ""
    how = "sequence numbers" if least == 0 else "nearest sequence numbers"
    return int(places[differences.index(least)]), how


def _by_step(
    shorter: Records, longer: Records, names: Names, short: Array, long: Array, places: Array
) -> tuple[int | None, str]:
    """The place where steps have the same names, if it is one."""
    steps = np.flatnonzero(names.step[shorter.token[short]])
    good = []
    for place in places.tolist():
        at = steps + place
        inside = (at >= 0) & (at < len(long))
        if inside.any() and (shorter.name[short[steps[inside]]] == longer.name[long[at[inside]]]).all():
            good.append(place)
    return (good[0], "names of steps") if len(good) == 1 else (None, "")


def _match_communication(host: Records, device: Records, names: Names, matches: Matches) -> None:
    """Pair the k-th communication of a name with the k-th, where their numbers agree, at least within the window."""
    linked = matches.partner[matches.partner >= 0]
    first, last = (int(device.start[linked].min()), int(device.end[linked].max())) if len(linked) else (0, -1)
    for token in np.flatnonzero(names.communicates).tolist():
        a = np.flatnonzero(host.token == token)
        b = np.flatnonzero(device.token == token)
        if matches.part:
            a = a[(a >= matches.part[0]) & (a <= matches.part[1])]
        if len(a) != len(b) or matches.window:
            b = b[(device.start[b] >= first) & (device.start[b] <= last)]
        if len(a) != len(b):
            matches.unmatched_communication += len(a)
            continue
        matches.partner[a] = b
        matches.method[a] = int(LinkMethod.COMMUNICATION_ORDER)
