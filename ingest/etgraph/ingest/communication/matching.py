"""Collectives and messages over all ranks: who meets whom, as rows of the trace, and a report of what met nobody."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from etgraph.ingest.communication.candidates import choose
from etgraph.ingest.communication.clocks import Clocks, compare_clocks, on_one_clock
from etgraph.ingest.communication.communicators import UNNAMED, Communicators, communicators, group_tables
from etgraph.ingest.communication.gather import ANY_TIME, NO_SET, Operators, by_number, by_order, together
from etgraph.ingest.communication.members import Members, classes, codes, members
from etgraph.ingest.communication.messages import Messages, issuers, match_messages
from etgraph.ingest.draft import NULL, Draft, dependencies
from etgraph.model import TABLES, Columns, DependencyKind, NodeType, Report, Trace
from etgraph.model.columns import Array
from etgraph.model.graph import event_graph, topological_order

ORDER_CONFIDENCE: Final = 0.95
"""Of messages paired by their order alone; the times do not contradict them."""
_NULL32: Final = -(2**31)
_WORLD_BY_CONVENTION: Final = "chakra"
"""In this format an operator without a group is one of all ranks."""


class Reason(enum.IntEnum):
    """Why a communication operator met nobody."""

    NONE = 0
    TYPE = 1
    ALONE = 2
    GROUP = 3
    SEVERAL = 4
    NUMBERS = 5
    TIMES = 6
    CYCLE = 7
    NO_PEER = 8
    NOT_RECORDED = 9
    MESSAGES = 10


WORDS: Final = {
    Reason.TYPE: ("unmatchedOfUnknownType", "the type of collective is not recorded"),
    Reason.ALONE: ("unmatchedAlone", "no other rank of the group is recorded"),
    Reason.GROUP: ("unmatchedWithoutGroup", "no group is recorded, and no cover of the ranks by groups fits the times"),
    Reason.SEVERAL: ("unmatchedOfSeveralGroups", "no group is recorded, and several covers of the ranks fit the times"),
    Reason.NUMBERS: (
        "unmatchedByNumber", "ranks recorded different numbers of them, and the times do not tell which meet"
    ),
    Reason.TIMES: (
        "unmatchedAgainstTime",
        "a member would end before the last one starts, or not with the others on their devices, or is of another type",
    ),
    Reason.CYCLE: ("unmatchedInCycles", "ranks would wait for each other in a circle"),
    Reason.NO_PEER: ("messagesWithoutPeer", "the rank at the other end is not recorded"),
    Reason.NOT_RECORDED: ("messagesToMissingRanks", "the rank at the other end is not in the trace"),
    Reason.MESSAGES: ("messagesUnmatched", "sends and receives differ in number, or contradict the times"),
}  # fmt: skip
"""Count in the report, and the reason in words."""


@dataclass(frozen=True, slots=True)
class _Found:
    """For each member the set it belongs to (-1: none), its communicator, why not, and whether its number told.

    `apart` counts the sets by number whose members on devices do not end together.
    """

    sets: Array
    group: Array
    reason: Array
    numbered: Array
    apart: int


def match(draft: Draft) -> Draft:
    """Fill collectives, the operators' `collective` and `group`, COMM dependencies and clock offsets of all ranks.

    The draft holds all ranks, rows sorted by rank, times on one zero; `ids` may hold `comm_sequence`. Nothing is
    matched against the times by more than the clocks' uncertainty. What is not matched is counted by reason.
    """
    m = members(draft)
    report = Report().with_count("callsWithoutKernel", m.calls)
    if not len(m):
        return draft.with_report(report) if m.calls else draft
    c = communicators(draft.trace)
    clocks = compare_clocks(draft.trace, m, c)
    trace = on_one_clock(draft.trace, clocks)
    end = trace.end_ns
    m = replace(m, start=trace.operators["start_ns"][m.rows], end=end[m.rows])
    tolerance = clocks.tolerance_ns if clocks.comparable else ANY_TIME
    issued = issuers(trace, m.rows)
    sends = match_messages(trace, m, trace.operators["start_ns"][issued], m.end, tolerance)
    pairs = dependencies(DependencyKind.COMM, issued[sends.sends], m.rows[sends.receives], "pair, tag and order",
                         inferred=True, confidence=ORDER_CONFIDENCE)  # fmt: skip
    draft = replace(draft, trace=trace)
    draft = draft.with_dependencies(pairs) if len(pairs) else draft
    found = _collectives(draft.trace, m, c, tolerance)
    for reason, which in ((Reason.NO_PEER, sends.no_peer), (Reason.NOT_RECORDED, sends.not_recorded),
                          (Reason.MESSAGES, sends.alone)):  # fmt: skip
        found.reason[which] = int(reason)
    matched = _without_circles(_with_rows(draft, m, c, found), m, found)
    return matched.with_report(report + _report(matched.trace, m, found, sends, clocks))


def _collectives(trace: Trace, m: Members, c: Communicators, tolerance: int) -> _Found:
    group = c.of_row[m.group]
    reason = np.zeros(len(m), dtype=np.int8)
    collective = m.kind == int(NodeType.COMM_COLL)
    reason[collective & (m.type < 0)] = int(Reason.TYPE)
    todo = collective & (m.type >= 0)
    none = np.flatnonzero(todo & (group < 0))
    if _numbered_alike(m, c, none):
        group[none] = c.add(c.world)
    elif len(none) and all(s.format.startswith(_WORLD_BY_CONVENTION) for s in trace.metadata.sources):
        group[none] = c.add(c.world, UNNAMED)
    elif len(none):
        kind = codes(classes(m, none), m.timed[none])
        choice = choose(c, _operators(m, none, kind), tolerance, lambda sets: _can_run(trace, m.rows[none], sets))
        group[none] = choice.group
        unclear = choice.ambiguous[kind]
        reason[none[choice.group < 0]] = np.where(unclear, int(Reason.SEVERAL), int(Reason.GROUP))[choice.group < 0]
    todo &= group >= 0
    where = np.flatnonzero(todo)
    present, size = _ranks_of_groups(m, c, group, where)
    alone = (present[group[where]] < 2) & (size[group[where]] != 1)
    reason[where[alone]] = int(Reason.ALONE)
    where = where[~alone]
    sets = np.full(len(m), NO_SET, dtype=np.int64)
    numbered, apart = np.zeros(len(m), dtype=bool), 0
    unnumbered = np.unique(group[where][m.sequence[where] == NULL])
    by = ~np.isin(group[where], unnumbered)
    first, rest = where[by], where[~by]
    if len(first):
        kind = classes(m, first)
        got, against = by_number(group[first], m.sequence[first], kind, _operators(m, first, kind), tolerance)
        lonely = np.bincount(got[got >= 0], minlength=len(first))[got] < np.minimum(2, size[group[first]])
        got = np.where(lonely, NO_SET, got)
        sets[first], numbered[first] = got, got >= 0
        apart = int((~together(got, _operators(m, first, kind), tolerance)).sum())
        reason[first[got < 0]] = np.where(against, int(Reason.TIMES), int(Reason.NUMBERS))[got < 0]
    if len(rest):
        key = codes(group[rest], classes(m, rest), m.timed[rest])
        wanted = np.zeros(int(key.max()) + 1, dtype=np.int64)
        wanted[key] = present[group[rest]]
        got, against = by_order(_operators(m, rest, key), wanted, tolerance)
        sets[rest] = np.where(got >= 0, got + len(m), NO_SET)
        reason[rest[got < 0]] = np.where(against, int(Reason.TIMES), int(Reason.NUMBERS))[got < 0]
    return _Found(sets, group, reason, numbered, apart)


def _numbered_alike(m: Members, c: Communicators, which: Array) -> bool:
    """Whether all ranks number these operators alike, each number once: those of the only group there is, without name.

    Asked of operators without times, where nothing else can contradict that group.
    """
    if not len(which) or c.declared or c.world != c.recorded or m.timed[which].any():
        return False
    numbers = [m.sequence[which[m.rank[which] == rank]] for rank in c.world]
    once = [len(np.unique(n)) == len(n) for n in numbers]
    alike = all(np.array_equal(np.sort(n), np.sort(numbers[0])) for n in numbers)
    return all(once) and alike and not (m.sequence[which] == NULL).any()


def _operators(m: Members, which: Array, key: Array) -> Operators:
    return Operators(key, m.rank[which], m.start[which], m.end[which], m.timed[which], m.device[which])


def _ranks_of_groups(m: Members, c: Communicators, group: Array, where: Array) -> tuple[Array, Array]:
    """For each communicator how many of its ranks are recorded, and how many there are (0: not known)."""
    pair = codes(group[where], m.rank[where])
    first = np.unique(pair, return_index=True)[1]
    using = np.bincount(group[where][first], minlength=len(c.row))
    present = [len(c.present(n)) if ranks else int(using[n]) for n, ranks in enumerate(c.ranks)]
    size = [len(ranks) or (c.size[n] or 0) for n, ranks in enumerate(c.ranks)]
    return np.array([*present, 0]), np.array([*size, 0])


def _with_rows(draft: Draft, m: Members, c: Communicators, found: _Found) -> Draft:
    """The draft with a row for each set, in order of first start (or row), and references of the operators."""
    trace, o = draft.trace, draft.trace.operators
    which = np.flatnonzero(found.sets >= 0)
    _, inverse = np.unique(found.sets[which], return_inverse=True)
    count = int(inverse.max(initial=-1)) + 1
    first = np.full(count, 2**62)
    np.minimum.at(first, inverse, np.where(m.timed[which], m.start[which], m.rows[which]))
    order = np.argsort(first, kind="stable")
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    row = place[inverse]
    some = np.zeros(count, dtype=np.int64)
    some[row] = which
    size_of = np.full(count, NULL)
    np.maximum.at(size_of, row, m.bytes[which])
    used = found.group[which]
    groups, inside, rows = group_tables(trace, c, used[m.group[which] < 0])
    sizes = np.array([*(len(r) or (c.size[n] or _NULL32) for n, r in enumerate(c.ranks)), _NULL32])
    group_row = np.where(m.group[some] >= 0, m.group[some], rows[found.group[some]])
    data = {
        "type": m.type[some],
        "group": group_row,
        "bytes": size_of,
        "size": sizes[found.group[some]],
        "sequence": np.where(found.numbered[some], m.sequence[some], NULL),
    }
    collective, group = np.full(len(o), -1, dtype=np.int32), o["group"].copy()
    collective[m.rows[which]] = row
    group[m.rows[which]] = np.where(m.group[which] >= 0, m.group[which], rows[found.group[which]])
    changed = replace(
        trace,
        operators=o.replace({"collective": collective, "group": group}),
        collectives=Columns(TABLES["collectives"], data, length=count) if count else trace.collectives,
        process_groups=groups,
        group_members=inside,
    )
    return replace(draft, trace=changed)


def _can_run(trace: Trace, rows: Array, sets: Array) -> bool:
    """Whether all ranks can run if these operators meet as these sets (-1: none)."""
    collective = np.full(len(trace), -1, dtype=np.int32)
    collective[rows] = sets
    count = int(sets.max(initial=-1)) + 1
    table = Columns(TABLES["collectives"], {"type": np.zeros(count, dtype=np.int32)}, length=count)
    events = event_graph(trace.operators.replace({"collective": collective}), trace.dependencies, table)
    return len(topological_order(events.nodes, events.sources, events.targets)[0]) == events.nodes


def _without_circles(draft: Draft, m: Members, found: _Found) -> Draft:
    """Leave out the collectives on which ranks would wait in a circle; of measured times no circle can come."""
    trace = draft.trace
    if bool(m.timed.all()) or not len(trace.collectives):
        return draft
    events = trace.events
    order, cycle = topological_order(events.nodes, events.sources, events.targets)
    if not len(cycle):
        return draft
    stuck = np.ones(events.nodes, dtype=bool)
    stuck[order] = False
    bad = stuck[2 * len(trace) :]
    kept = np.cumsum(~bad) - 1
    collective = trace.operators["collective"]
    lost = (collective >= 0) & bad[collective]
    found.reason[np.isin(m.rows, np.flatnonzero(lost))] = int(Reason.CYCLE)
    collective = np.where((collective >= 0) & ~lost, kept[collective], -1)
    changed = replace(
        trace,
        operators=trace.operators.replace({"collective": collective}),
        collectives=trace.collectives.take(np.flatnonzero(~bad)),
    )
    return replace(draft, trace=changed)


def _report(trace: Trace, m: Members, found: _Found, sends: Messages, clocks: Clocks) -> Report:
    """What was matched and what was not, in counts and in words."""
    collective = trace.operators["collective"][m.rows]
    here = np.bincount(collective[collective >= 0], minlength=len(trace.collectives))
    partial = int((here < trace.collectives["size"]).sum())
    numbered = len(np.unique(collective[found.numbered & (collective >= 0)]))
    unmatched = int((found.reason > 0).sum())
    report = Report(collectives_matched=len(trace.collectives), collectives_unmatched=unmatched)
    report = report.with_count("collectivesBySequence", numbered)
    words = f"{found.apart} collectives are matched by number although their members do not end together on the devices"
    report = report.with_count("collectivesEndingApart", found.apart, words)
    report = report.with_count("collectivesByOrder", len(trace.collectives) - numbered)
    guessed = len(np.unique(collective[(m.group < 0) & (collective >= 0) & (trace.operators["group"][m.rows] >= 0)]))
    report = report.with_count("collectivesOfFoundGroups", guessed)
    report = report.with_count("messagesMatched", len(sends.sends))
    missing = f"{partial} collectives are matched without all members: not all ranks of their groups are recorded"
    report = report.with_count("collectivesWithMissingRanks", partial, missing)
    for reason, (name, why) in WORDS.items():
        count = int((found.reason == int(reason)).sum())
        report = report.with_count(name, count, f"{count} communication operators met nobody: {why}")
    if not clocks.comparable:
        report += Report(
            warnings=("the ranks' clocks cannot be compared: collectives and messages are matched by order alone",)
        )
    for rank, added in clocks.added_ns.items():
        unsure = clocks.uncertainty_ns[rank]
        words = f"the clock of rank {rank} was {added:+,} ns off the lowest rank's, ± {unsure:,}: its times were moved"
        report = report.with_count("clockOffsets", 1, words)
    return report
