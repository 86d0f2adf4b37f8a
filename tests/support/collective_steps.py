"""Collectives message by message: who sends which pieces to whom in which round, who holds what, how long it takes.

Slow and literal, to check closed forms against. A program is a list of rounds, a round a list of messages (source,
target, pieces). Rounds move sets of contributions, so that a program that forgets one or adds one twice is found out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

Message = tuple[int, int, list[Hashable]]
Program = list[list[Message]]
Held = list[dict[Hashable, frozenset[int]]]


def duration(
    ranks: int,
    program: Program,
    piece: float,
    alpha: Callable[[int, int], float],
    beta: Callable[[int, int], float],
    *,
    eager: bool = False,
) -> float:
    """Time until the last rank has all messages: a message takes α, and its bytes wait for both ranks' ports.

    In the next round a rank sends when what it was sent has come, and what it sent has arrived; when `eager`, already
    when that is on its way.
    """
    clock = [0.0] * ranks
    for messages in program:
        out: defaultdict[int, float] = defaultdict(float)
        into: defaultdict[int, float] = defaultdict(float)
        for source, target, pieces in messages:
            out[source] += len(pieces) * piece * beta(source, target)
            into[target] += len(pieces) * piece * beta(source, target)
        after = list(clock)
        for source, target, _ in messages:
            sent = clock[source] + max(out[source], into[target])
            arrived = sent + alpha(source, target)
            after[source] = max(after[source], sent if eager else arrived)
            after[target] = max(after[target], arrived)
        clock = after
    return max(clock)


def run(held: Held, program: Program, *, reduces: bool) -> Held:
    """What everyone holds afterwards; what is sent is what was held before the round."""
    for messages in program:
        sent = [(target, piece, held[source][piece]) for source, target, pieces in messages for piece in pieces]
        for target, piece, parts in sent:
            had = held[target].get(piece, frozenset())
            if reduces and had & parts:
                raise AssertionError(f"rank {target} adds {sorted(had & parts)} to piece {piece} twice")
            held[target][piece] = had | parts if reduces else parts
    return held


def own(ranks: int) -> Held:
    """Everyone has a contribution of its own to each of as many pieces as there are ranks."""
    return [{piece: frozenset([rank]) for piece in range(ranks)} for rank in range(ranks)]


def ring_reduce_scatter(members: Sequence[int]) -> Program:
    """Rank i of the ring ends with piece i."""
    n = len(members)
    return [[(members[i], members[(i + 1) % n], [(i - k - 1) % n]) for i in range(n)] for k in range(n - 1)]


def ring_all_gather(members: Sequence[int]) -> Program:
    """From rank i with piece i to everyone with everything."""
    n = len(members)
    return [[(members[i], members[(i + 1) % n], [(i - k) % n]) for i in range(n)] for k in range(n - 1)]


def ring_all_to_all(n: int) -> Program:
    """Pieces (from, to) go round until they are where they belong."""
    return [
        [(i, (i + 1) % n, [((i - k) % n, (i + far) % n) for far in range(1, n - k)]) for i in range(n)]
        for k in range(n - 1)
    ]


def doubling_all_gather(n: int) -> Program:
    """Bruck: each rank passes on what it holds, up to what is missing, to ranks at distances 1, 2, 4, …."""
    rounds, distance = [], 1
    while distance < n:
        pieces = range(min(distance, n - distance))
        rounds.append([(i, (i - distance) % n, [(i + p) % n for p in pieces]) for i in range(n)])
        distance *= 2
    return rounds


def halving_reduce_scatter(n: int) -> Program:
    """Bruck's all-gather in reverse."""
    return [[(target, source, pieces) for source, target, pieces in r] for r in reversed(doubling_all_gather(n))]


def doubling_all_to_all(n: int) -> Program:
    """Bruck: in round k, what has bit k in its distance goes on by 2^k."""
    rounds, at = [], {(s, d): s for s in range(n) for d in range(n)}
    for k in range((n - 1).bit_length()):
        moving = [pair for pair in at if (pair[1] - pair[0]) % n >> k & 1]
        by_rank = defaultdict(list)
        for pair in moving:
            by_rank[at[pair]].append(pair)
            at[pair] = (at[pair] + 2**k) % n
        rounds.append([(i, (i + 2**k) % n, pieces) for i, pieces in by_rank.items()])
    return rounds


def dissemination(n: int) -> Program:
    """In round k everyone tells the rank 2^k further on all that it knows."""
    return [[(i, (i + 2**k) % n, ["news"]) for i in range(n)] for k in range((n - 1).bit_length())]


def binomial_broadcast(n: int) -> Program:
    """Who has it sends it on, to twice as many each round."""
    rounds, k = [], (n - 1).bit_length()
    for bit in reversed(range(k)):
        rounds.append([(i, i + 2**bit, ["all"]) for i in range(0, n, 2 ** (bit + 1)) if i + 2**bit < n])
    return rounds


def binomial_scatter(n: int) -> Program:
    """From rank 0, the pieces of each half of the ranks to its first."""
    return [[(i, j, list(range(j, min(2 * j - i, n)))) for i, j, _ in messages] for messages in binomial_broadcast(n)]


def direct(n: int) -> Program:
    """Everyone sends everyone else's piece to it."""
    return [[(i, j, [(i, j)]) for i in range(n) for j in range(n) if i != j]]
