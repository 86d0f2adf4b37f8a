"""Closed forms of collectives against the algorithms' messages, and against what no algorithm can beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model import CommType
from etgraph.sim.communication.algorithms import ALGORITHMS, MESSAGE, direct, doubling, ring, tree
from etgraph.sim.communication.levels import Span, flat_span, span_of
from etgraph.sim.profiles import Tier
from support import collective_steps as steps

ALPHA, BETA = 700.0, 0.25
TYPES = [*map(int, CommType), MESSAGE]


def network(ranks: int) -> Span:
    """One switch, over which a message takes ALPHA and BETA a byte."""
    return span_of([Tier("switch", "switch", ranks, 1e9 / BETA, 350)], range(ranks))


def closed(name: str, type: int, ranks: int, size: float) -> float:
    plan = ALGORITHMS[name](type, network(ranks))
    assert plan is not None
    return float(plan.duration_ns(np.array([size]))[0])


def by_messages(ranks: int, program: steps.Program, piece: float) -> float:
    return steps.duration(ranks, program, piece, lambda _s, _t: ALPHA, lambda _s, _t: BETA)


@pytest.mark.parametrize("n", range(2, 14))
@pytest.mark.parametrize("size", [0.0, 840.0, 3e6])
def test_scattering_and_gathering_take_what_their_messages_take(n: int, size: float) -> None:
    everyone = range(n)
    for name, scatter, gather in (
        ("ring", steps.ring_reduce_scatter(everyone), steps.ring_all_gather(everyone)),
        ("doubling", steps.halving_reduce_scatter(n), steps.doubling_all_gather(n)),
    ):
        scattered = by_messages(n, scatter, size / n)
        gathered = by_messages(n, gather, size / n)
        both = by_messages(n, [*scatter, *gather], size / n)
        assert closed(name, CommType.REDUCE_SCATTER, n, size) == pytest.approx(scattered)
        assert closed(name, CommType.ALL_GATHER, n, size) == pytest.approx(gathered)
        assert closed(name, CommType.ALL_REDUCE, n, size) == pytest.approx(both)


@pytest.mark.parametrize("n", range(2, 14))
@pytest.mark.parametrize("size", [0.0, 840.0, 3e6])
def test_other_collectives_take_what_their_messages_take(n: int, size: float) -> None:
    for name, type, program, piece in (
        ("ring", CommType.ALL_TO_ALL, steps.ring_all_to_all(n), size / n),
        ("doubling", CommType.ALL_TO_ALL, steps.doubling_all_to_all(n), size / n),
        ("direct", CommType.ALL_TO_ALL, steps.direct(n), size / n),
        ("direct", CommType.REDUCE_SCATTER, steps.direct(n), size / n),
        ("direct", CommType.ALL_REDUCE, steps.direct(n) * 2, size / n),
        ("direct", CommType.BROADCAST, [[(0, i, ["all"]) for i in range(1, n)]], size),
        ("direct", CommType.GATHER, [[(i, 0, [i]) for i in range(1, n)]], size / n),
        ("binomial", CommType.BROADCAST, steps.binomial_broadcast(n), size),
        ("binomial", CommType.SCATTER, steps.binomial_scatter(n), size / n),
        ("doubling", CommType.BARRIER, steps.dissemination(n), 0.0),
    ):
        assert closed(name, type, n, size) == pytest.approx(by_messages(n, program, piece)), (name, type)


@pytest.mark.parametrize("n", range(2, 14))
def test_the_messages_do_what_the_collective_is_for(n: int) -> None:
    everyone = frozenset(range(n))
    for scatter, gather in (
        (steps.ring_reduce_scatter(range(n)), steps.ring_all_gather(range(n))),
        (steps.halving_reduce_scatter(n), steps.doubling_all_gather(n)),
    ):
        held = steps.run(steps.own(n), scatter, reduces=True)
        assert all(held[i][i] == everyone for i in range(n))
        held = steps.run([{i: held[i][i]} for i in range(n)], gather, reduces=False)
        assert all(held[i] == dict.fromkeys(range(n), everyone) for i in range(n))
    for exchange in (steps.ring_all_to_all(n), steps.doubling_all_to_all(n), steps.direct(n)):
        mine = [{(i, j): frozenset([i]) for j in range(n)} for i in range(n)]
        held = steps.run(mine, exchange, reduces=False)
        assert all((i, j) in held[j] for i in range(n) for j in range(n))
    told = steps.run([{"all": frozenset()}, *({} for _ in range(n - 1))], steps.binomial_broadcast(n), reduces=False)
    assert all("all" in have for have in told)
    shares = [{i: frozenset([i]) for i in range(n)}, *({} for _ in range(n - 1))]
    assert all(i in have for i, have in enumerate(steps.run(shares, steps.binomial_scatter(n), reduces=False)))
    knows = [{"news": frozenset([i])} for i in range(n)]
    for messages in steps.dissemination(n):
        before = [have["news"] for have in knows]
        for source, target, _ in messages:
            knows[target]["news"] = before[target] | before[source]
    assert all(have["news"] == everyone for have in knows)


def test_what_streams_through_a_chain_takes_the_closed_form_when_it_is_cut_fine() -> None:
    n, size = 6, 4e6
    for chunks, within in ((10, 0.45), (1_000, 0.005)):
        # In round k, rank i passes on chunk k − i.
        program = [[(i, i + 1, [k - i]) for i in range(n - 1) if 0 <= k - i < chunks] for k in range(chunks + n - 2)]
        streamed = steps.duration(n, program, size / chunks, lambda _s, _t: 0.0, lambda _s, _t: BETA)
        expected = closed("ring", CommType.BROADCAST, n, size)
        assert expected <= streamed + (n - 1) * ALPHA <= expected * (1 + within)


def double_tree(n: int) -> list[list[int]]:
    """Parents in both of NCCL's trees (−1: the root): by the lowest bit of a rank, and the same mirrored or shifted."""
    first = [-1] * n
    for rank in range(1, n):
        bit = rank & -rank
        first[rank] = (rank ^ bit) | bit << 1
        if first[rank] >= n:
            first[rank] = rank ^ bit
    place = [(n - 1 - r) if n % 2 == 0 else (r + 1) % n for r in range(n)]
    second = [-1] * n
    for rank, parent in enumerate(first):
        second[place[rank]] = place[parent] if parent >= 0 else -1
    return [first, second]


@pytest.mark.parametrize("n", [*range(2, 34), 64, 100])
def test_two_trees_are_as_deep_and_as_loaded_as_the_closed_form_says(n: int) -> None:
    out, deepest = [0.0] * n, 0
    for parents in double_tree(n):
        for rank in range(n):
            if parents[rank] >= 0:  # half the size up and half down, by both of them
                out[rank] += 0.5
                out[parents[rank]] += 0.5
            depth, at = 0, rank
            while parents[at] >= 0:
                depth, at = depth + 1, parents[at]
            deepest = max(deepest, depth)
    plan = tree(CommType.ALL_REDUCE, flat_span(n))
    assert plan is not None
    assert (plan.steps, plan.loads) == ((2.0 * deepest,), (max(out),))


@pytest.mark.parametrize("shape", [(3, 2), (4, 2), (4, 3), (3, 2, 2)])
def test_a_ring_over_nodes_takes_the_steps_of_the_piece_that_meets_most_outer_links(shape: tuple[int, ...]) -> None:
    tiers = [Tier(str(t), "fully-connected", n, 1e9, 10 * 20**t) for t, n in enumerate(shape)]
    span = span_of(tiers, range(int(np.prod(shape))))

    def alpha(source: int, target: int) -> float:
        for t in reversed(range(len(shape))):
            below = int(np.prod(shape[:t]))
            if source // below != target // below and source // (below * shape[t]) == target // (below * shape[t]):
                return float(tiers[t].latency_ns)
        raise AssertionError

    n = span.ranks
    for type, program in (
        (CommType.ALL_GATHER, steps.ring_all_gather(range(n))),
        (CommType.ALL_REDUCE, [*steps.ring_reduce_scatter(range(n)), *steps.ring_all_gather(range(n))]),
    ):
        plan = ring(type, span)
        assert plan is not None
        assert plan.latency_ns == steps.duration(n, program, 0.0, alpha, lambda _s, _t: 0.0, eager=True)


INSIDE, ACROSS = 4, 3
NODES = [[node * INSIDE + i for i in range(INSIDE)] for node in range(ACROSS)]
RAILS = [[node * INSIDE + i for node in range(ACROSS)] for i in range(INSIDE)]


def together(programs: Sequence[steps.Program]) -> steps.Program:
    return [[message for program in programs for message in program[k]] for k in range(len(programs[0]))]


@pytest.mark.parametrize("size", [0.0, 2.4e6])
def test_hierarchical_collectives_take_their_parts(size: float) -> None:
    tiers = [Tier("node", "switch", INSIDE, 40e9, 150), Tier("net", "switch", ACROSS, 5e9, 900)]
    n = INSIDE * ACROSS

    def inside(how: Callable[[Sequence[int]], steps.Program], piece: float) -> float:
        return steps.duration(n, together([how(m) for m in NODES]), piece, lambda _s, _t: 300, lambda _s, _t: 1 / 40)

    def across(how: Callable[[Sequence[int]], steps.Program], piece: float) -> float:
        return steps.duration(n, together([how(m) for m in RAILS]), piece, lambda _s, _t: 1800, lambda _s, _t: 1 / 5)

    scatter, gather = steps.ring_reduce_scatter, steps.ring_all_gather
    expected = {
        CommType.REDUCE_SCATTER: inside(scatter, size / INSIDE) + across(scatter, size / n),
        CommType.ALL_GATHER: across(gather, size / n) + inside(gather, size / INSIDE),
    }
    expected[CommType.ALL_REDUCE] = sum(expected.values())
    for type, time in expected.items():
        plan = ALGORITHMS["hierarchical ring"](type, span_of(tiers, range(n)))
        assert plan is not None
        assert plan.duration_ns(np.array([size]))[0] == pytest.approx(time)

    # All-to-all: first to the member of the own node that is on the target's rail, then along the rail.
    plan = ALGORITHMS["hierarchical direct"](CommType.ALL_TO_ALL, span_of(tiers, range(n)))
    assert plan is not None
    exchanged = inside(lambda m: [[(i, j, ["own"] * ACROSS) for i in m for j in m if i != j]], size / n)
    exchanged += across(lambda m: [[(i, j, ["own"] * INSIDE) for i in m for j in m if i != j]], size / n)
    assert plan.duration_ns(np.array([size]))[0] == pytest.approx(exchanged)


def test_a_ring_of_links_carries_all_to_all_the_shorter_way() -> None:
    n, rate = 8, 10.0
    span = span_of([Tier("ring", "ring", n, 2 * rate * 1e9, 100)], range(n))
    plan = direct(CommType.ALL_TO_ALL, span)
    assert plan is not None
    carried = {}
    for source in range(n):
        for target in range(n):
            ahead = (target - source) % n
            # Half of what is opposite goes each way, as several rings would have it.
            for way, share in ((1, 1.0 if ahead < n / 2 else 0.5 if ahead == n / 2 else 0.0), (-1, None)):
                share = share if share is not None else 1.0 if ahead > n / 2 else 0.5 if ahead == n / 2 else 0.0
                for hop in range(ahead if way == 1 else n - ahead if ahead else 0):
                    link = ((source + way * hop) % n, way)
                    carried[link] = carried.get(link, 0.0) + share
    assert plan.per_byte == pytest.approx(max(carried.values()) / n / rate)
    assert plan.latency_ns == n // 2 * 100


tiers = st.lists(
    st.builds(
        Tier, st.just("tier"), st.sampled_from(["ring", "switch", "fully-connected"]), st.integers(2, 5),
        st.sampled_from([1e9, 50e9, 450e9]), st.sampled_from([0, 300, 5_000]),
    ),
    min_size=1, max_size=3,
)  # fmt: skip


@given(tiers, st.data())
def test_no_algorithm_is_faster_than_its_bytes_and_more_bytes_or_latency_never_help(
    tiers: list[Tier], data: st.DataObject
) -> None:
    most = int(np.prod([tier.size for tier in tiers]))
    ranks = data.draw(st.lists(st.integers(0, most - 1), min_size=2, max_size=min(most, 12), unique=True))
    slower = [Tier(t.name, t.topology, t.size, t.bandwidth, t.latency_ns + 100) for t in tiers]
    size = np.array([0.0, 1.0, 1e3, 1e6, 1e9])
    n, ports = len(ranks), sum(tier.bandwidth / 1e9 for tier in tiers)
    for type in TYPES:
        least = {CommType.BARRIER: 0.0, CommType.ALL_REDUCE: 2 * (n - 1) / n}.get(type, (n - 1) / n)
        if type in (CommType.BROADCAST, CommType.REDUCE, MESSAGE):
            least = 1.0
        for algorithm in ALGORITHMS.values():
            plan, later = algorithm(type, span_of(tiers, ranks)), algorithm(type, span_of(slower, ranks))
            if plan is None or later is None:
                continue
            time = plan.duration_ns(size)
            assert (time >= least * size / ports * (1 - 1e-9)).all()
            assert (np.diff(time) >= 0).all()
            assert (later.duration_ns(size) >= time).all()


@given(st.integers(2, 40), st.sampled_from(["ring", "doubling", "direct", "tree"]))
def test_more_ranks_never_make_an_all_reduce_faster(n: int, name: str) -> None:
    fewer, more = (ALGORITHMS[name](CommType.ALL_REDUCE, flat_span(k)) for k in (n, n + 1))
    assert fewer is not None
    assert more is not None
    assert more.latency_ns >= fewer.latency_ns
    assert more.per_byte >= fewer.per_byte


def test_partners_at_a_distance_need_links_of_their_own() -> None:
    on_a_ring = span_of([Tier("ring", "ring", 8, 1e9, 100)], range(8))
    assert doubling(CommType.ALL_REDUCE, on_a_ring) is None
    meshed = doubling(CommType.ALL_GATHER, span_of([Tier("mesh", "fully-connected", 4, 3e9, 100)], range(4)))
    assert meshed is not None
    assert meshed.per_byte == 0.75  # one of three links at a time, 1 byte/ns each
