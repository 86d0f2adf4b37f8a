"""Which records of the host's and the device's file are of one operator: by recorded ids, else by alignment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etgraph.ingest.draft import NULL
from etgraph.ingest.identifiers import rows_of, sorting
from etgraph.ingest.linking.anchors import align_between, anchors
from etgraph.ingest.linking.grading import methods
from etgraph.ingest.linking.records import Names, Records
from etgraph.ingest.linking.stretches import stretches
from etgraph.model.columns import Array
from etgraph.model.schema import LinkMethod
from etgraph.model.sequences import align_surely

SAME_NAMES = 0.9
"""Share of the records with equal recorded ids that must have equal names, for these ids to be of one recording."""


@dataclass(slots=True)
class Matches:
    """Pairs of records. `partner` and `method` have one value a record of the host, -1 without a partner.

    `iterations` is how many are alike where nothing tells which one it is, else 1; `unaligned` counts records of
    threads that have no like, or lie in several places of it; `unmatched_communication` those whose numbers disagree.
    `window` and `part` are the times of the device's and the numbers of the host's records in which the iteration lies,
    once it was chosen.
    """

    partner: Array
    method: Array
    iterations: int = 1
    unaligned: int = 0
    unmatched_communication: int = 0
    window: tuple[int, int] | None = None
    part: tuple[int, int] | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether several iterations are alike and nothing tells which one it is."""
        return self.iterations > 1


@dataclass(frozen=True, slots=True)
class Iteration:
    """Where the iteration lies that two threads have in common: from `low` to before `high` of the longer one.

    `difference` is by how much the device's sequence numbers are higher, 0 where none tell; `alike` says how many
    places are as good where nothing tells them apart, else it is 1.
    """

    low: int
    high: int
    difference: int = 0
    alike: int = 1


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
    difference = 0
    for number, (host_lane, device_lane) in enumerate(_threads(host, device, ours, theirs, len(names.communicates))):
        a = np.flatnonzero(ours & (host.lane == host_lane))
        b = np.flatnonzero(theirs & (device.lane == device_lane))
        if matches.window and matches.part:
            b = b[(device.start[b] >= matches.window[0]) & (device.start[b] <= matches.window[1])]
            a = a[(a >= matches.part[0]) & (a <= matches.part[1])]
        thread = _Thread(host, device, names, a, b)
        partner = thread.anchored(difference)
        if partner is None:
            iteration = thread.iteration()
            if not number:
                difference = iteration.difference
            partner = thread.anchored(difference) if difference else None
            alike = iteration.alike
            if partner is None and alike == 1:
                partner = thread.aligned(iteration)
            if alike > 1 and not number:
                # Only the first thread decides: it has most of the records, and the others follow it.
                matches.iterations = alike
                return matches
            if alike > 1:
                continue
        if partner is None:
            continue
        matches.unaligned -= int((ours & (host.lane == host_lane)).sum())
        good = np.flatnonzero(partner >= 0)
        matches.partner[a[good]] = b[partner[good]]
        matches.method[a[good]] = methods(partner, len(b))[good]
        if not number and len(good):
            matches.window = _window_of_device(device, b, partner[good])
            matches.part = _part_of_host(host, a, a[good])
    _match_communication(host, device, names, matches)
    return matches


def _window_of_device(device: Records, thread: Array, linked: Array) -> tuple[int, int]:
    """Times from the first linked record to before the next that its thread has; all that begin or end there are in."""
    everything = np.iinfo(np.int64)
    after = int(linked[-1]) + 1
    first = int(everything.min) if not linked[0] else int(device.start[thread[linked[0]]])
    return first, int(device.start[thread[after]]) - 1 if after < len(thread) else int(everything.max)


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


@dataclass(frozen=True, slots=True)
class _Thread:
    """Records `a` of the host's and `b` of the device's file that are of one thread."""

    host: Records
    device: Records
    names: Names
    a: Array
    b: Array

    def anchored(self, difference: int) -> Array | None:
        """Partners where sequence numbers so far apart, or names of steps, tell the place; None where nothing does."""
        if not len(self.a) or not len(self.b):
            return None
        found = anchors(self.host, self.device, self.names, self.a, self.b, difference)
        if found is None:
            return None
        steps = [self.names.step[r.token[rows]] for r, rows in ((self.host, self.a), (self.device, self.b))]
        tokens = [r.token[rows] for r, rows in ((self.host, self.a), (self.device, self.b))]
        if not difference:
            full = [r.name[rows] + len(self.names.step) for r, rows in ((self.host, self.a), (self.device, self.b))]
            tokens = [np.where(step, name, token) for step, name, token in zip(steps, full, tokens, strict=True)]
        partner = align_between(tokens[0], tokens[1], steps[0], steps[1], *found)
        good = np.flatnonzero(partner >= 0)
        mine, theirs = self.host.sequence[self.a[good]], self.device.sequence[self.b[partner[good]]]
        if self._by_numbers(found, difference):
            partner[good[(mine != NULL) & (theirs != NULL) & (theirs - mine != difference)]] = -1
        return partner

    def _by_numbers(self, found: tuple[Array, Array], difference: int) -> bool:
        """Whether sequence numbers, not names of steps, are what anchors agree in."""
        mine, theirs = self.host.sequence[self.a[found[0]]], self.device.sequence[self.b[found[1]]]
        return bool(((mine != NULL) & (theirs - mine == difference)).all())

    def aligned(self, iteration: Iteration) -> Array | None:
        """Partners by the names alone, of the longer thread within the iteration; None where they differ too much."""
        return self._whole(iteration, align_surely(*self._within(iteration)))

    def _within(self, iteration: Iteration) -> tuple[Array, Array]:
        a, b = self.host.token[self.a], self.device.token[self.b]
        part = slice(iteration.low, iteration.high)
        return (a[part], b) if len(a) > len(b) else (a, b[part])

    def _whole(self, iteration: Iteration, found: Array | None) -> Array | None:
        """Partners in the whole threads from those within the iteration."""
        if found is None:
            return None
        if len(self.a) <= len(self.b):
            return np.where(found >= 0, found + iteration.low, -1)
        partner = np.full(len(self.a), -1, dtype=np.int64)
        partner[iteration.low : iteration.low + len(found)] = found
        return partner

    def iteration(self) -> Iteration:
        """The part of the longer thread in which the shorter one lies.

        Several parts that are alike are iterations. The one whose sequence numbers are nearest is taken; steps' names
        have told nothing before. Where one part is the shorter one exactly, it is no longer than that.
        """
        hosts = len(self.a) > len(self.b)
        shorter, longer = (self.device, self.host) if hosts else (self.host, self.device)
        short, long = (self.b, self.a) if hosts else (self.a, self.b)
        everything = Iteration(0, len(long))
        if not len(short):
            return everything
        found = stretches(shorter.token[short], longer.token[long])
        if not found:
            return everything
        place, difference = found[0], 0
        if len(found) > 1:
            chosen = nearest(shorter.sequence[short], longer.sequence[long], np.array([p.low for p in found]))
            if chosen is None:
                return Iteration(0, len(long), alike=len(found))
            place, difference = found[chosen[0]], chosen[1]
        return Iteration(place.low, place.high, -difference if hosts else difference)


def nearest(short: Array, long: Array, where: Array) -> tuple[int, int] | None:
    """Which place is that where sequence numbers differ least, and by how much; None if there is not exactly one."""
    differences = []
    for place in where.tolist():
        low, high = max(0, -place), min(len(short), len(long) - place)
        mine, theirs = short[low:high], long[low + place : high + place]
        both = (mine != NULL) & (theirs != NULL)
        if not both.any():
            return None
        values, counts = np.unique(theirs[both] - mine[both], return_counts=True)
        differences.append(int(values[np.argmax(counts)]))
    least = min(map(abs, differences))
    found = [at for at, difference in enumerate(differences) if abs(difference) == least]
    return (found[0], differences[found[0]]) if len(found) == 1 else None


def _match_communication(host: Records, device: Records, names: Names, matches: Matches) -> None:
    """Pair the k-th communication of a name with the k-th, where their numbers agree, at least within the window.

    Communication starts after what its thread did before it was issued; where one of a name would not, none is paired.
    """
    issued = _issued(host, device, matches)
    linked = matches.partner[matches.partner >= 0]
    first, last = (int(device.start[linked].min()), int(device.end[linked].max())) if len(linked) else (0, -1)
    for token in np.flatnonzero(names.communicates).tolist():
        a = np.flatnonzero(host.token == token)
        b = np.flatnonzero(device.token == token)
        if matches.part:
            a = a[(a >= matches.part[0]) & (a <= matches.part[1])]
        if len(a) != len(b) or matches.window:
            b = b[(device.start[b] >= first) & (device.start[b] <= last)]
        if len(a) != len(b) or (device.start[b] < issued[a]).any():
            matches.unmatched_communication += len(a)
            continue
        matches.partner[a] = b
        matches.method[a] = int(LinkMethod.COMMUNICATION_ORDER)


def _issued(host: Records, device: Records, matches: Matches) -> Array:
    """For each of the host's records when the last one before it, on its thread, began."""
    begun = np.full(len(host), np.iinfo(np.int64).min)
    linked = np.flatnonzero(matches.partner >= 0)
    begun[linked] = device.start[matches.partner[linked]]
    for lane in np.unique(host.lane).tolist():
        thread = host.lane == lane
        begun[thread] = np.maximum.accumulate(begun[thread])
    return begun
