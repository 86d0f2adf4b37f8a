"""Cut and edited pairs of recordings of which the true links are known: how linking fares where files say little.

Of a pair whose files share ids, these ids, sequence numbers and numbers of steps are hidden; one file is cut to a
stretch, and some records are deleted, inserted or renamed in either. What is linked is compared with the hidden ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from etgraph.ingest.draft import NULL, Draft
from etgraph.ingest.linking.matching import Matches, by_alignment, by_recorded_ids
from etgraph.ingest.linking.records import Names, Records, records
from etgraph.model.columns import Array

EDITS = (0.0, 0.001, 0.005, 0.02, 0.05)
"""Shares of records that are edited, one of them a case."""
WRONG = 0.25
"""A place is wrong when more than this share of the links are; of a short cut some at its ends may be."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Records of two files that tell no numbers, and for each of the host's its true partner (-1: none)."""

    host: Records
    device: Records
    names: Names
    truth: Array


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a pair: how many records have a partner in truth, were linked, and were linked wrongly."""

    possible: int
    linked: int
    wrong: int
    candidates: int
    method: Array
    is_wrong: Array

    @property
    def verdict(self) -> str:
        """In a word: right, wrong, ambiguous, or unlinked (nothing, which the report says too)."""
        if self.candidates > 1:
            return "ambiguous"
        if not self.linked:
            return "unlinked"
        return "wrong" if self.wrong > WRONG * self.linked else "right"


def hidden(host: Draft, device: Draft, *, steps: bool = False) -> Pair:
    """The pair without ids and numbers. `steps` keeps the names of steps."""
    ours, theirs, names = records(host, device)
    matches = by_recorded_ids(ours, theirs)
    assert matches is not None, "the files share no ids"
    return Pair(_bare(ours, steps), _bare(theirs, steps), _names(names, steps), matches.partner)


def twice(device: Draft, *, steps: bool = False) -> Pair:
    """A pair of one file with itself, as if it were the host's too."""
    _, theirs, names = records(device, device)
    bare = _bare(theirs, steps)
    return Pair(bare, bare, _names(names, steps), np.arange(len(theirs)))


def _bare(r: Records, steps: bool) -> Records:
    nothing = np.full(len(r), NULL)
    return replace(r, name=r.name if steps else r.token, sequence=nothing, record_function=nothing)


def _names(names: Names, steps: bool) -> Names:
    return names if steps else Names(names.names, names.communicates, np.zeros_like(names.step))


def take(r: Records, which: Array) -> Records:
    """Only some records."""
    return Records(**{f.name: getattr(r, f.name)[which] for f in fields(Records)})


def cut(pair: Pair, host: slice, device: slice) -> Pair:
    """A stretch of each."""
    truth = pair.truth[host] - (device.start or 0)
    stretch = len(pair.device.row[device])
    truth = np.where((truth >= 0) & (truth < stretch), truth, -1)
    everything = np.arange(max(len(pair.host), len(pair.device)))
    return Pair(
        take(pair.host, everything[: len(pair.host)][host]),
        take(pair.device, everything[: len(pair.device)][device]),
        pair.names,
        truth,
    )


def edited(pair: Pair, rng: np.random.Generator, share: float) -> Pair:
    """The pair with this share of the records of each file deleted, inserted or renamed."""
    names = _with_one_more(pair.names)
    (host, from_host), (device, from_device) = (_edit(r, rng, share, names) for r in (pair.host, pair.device))
    place = np.full(len(pair.device) + 1, -1, dtype=np.int64)
    place[from_device[from_device >= 0]] = np.flatnonzero(from_device >= 0)
    truth = np.where(from_host >= 0, place[np.where(from_host >= 0, pair.truth[from_host], -1)], -1)
    return Pair(host, device, names, truth)


def _with_one_more(names: Names) -> Names:
    more = np.append(names.communicates, False), np.append(names.step, False)
    return Names([*names.names, "aten::new"], *more)


def _edit(r: Records, rng: np.random.Generator, share: float, names: Names) -> tuple[Records, Array]:
    """Edited records, and of each the number that it had, -1 if it was inserted or renamed."""
    count = len(r)
    chosen = np.flatnonzero(rng.random(count) < share)
    what = rng.integers(0, 3, len(chosen))
    order = np.arange(count)
    deleted, inserted, renamed = (chosen[what == n] for n in range(3))
    token = r.token.copy()
    new = len(names.step) - 1
    token[renamed] = np.where(rng.random(len(renamed)) < 0.5, new, rng.choice(r.token, len(renamed)))
    source = order.copy()
    source[renamed] = -1
    keep = np.ones(count, dtype=bool)
    keep[deleted] = False
    at = np.sort(np.concatenate([order[keep], inserted]))
    again = np.concatenate([[False], at[1:] == at[:-1]])
    edited = take(replace(r, token=token, name=np.where(token != r.token, token, r.name)), at)
    strange = rng.choice(r.token, len(at))
    swapped = np.where(again, strange, edited.token)
    changed = replace(
        edited,
        token=swapped,
        name=np.where(again, strange, edited.name),
        shapes=np.where(again | (source[at] < 0), -1, edited.shapes),
    )
    return changed, np.where(again, -1, source[at])


def random_case(pairs: Sequence[Pair], seed: int) -> Pair:
    """A random cut of the host's or the device's records of one of the pairs, edited."""
    rng = np.random.default_rng(seed)
    pair = pairs[int(rng.integers(len(pairs)))]
    of_host = bool(rng.integers(2))
    count = len(pair.host if of_host else pair.device)
    length = int(np.exp(rng.uniform(np.log(20), np.log(count))))
    first = int(rng.integers(0, count - length + 1))
    part, whole = slice(first, first + length), slice(0, None)
    chosen = cut(pair, part, whole) if of_host else cut(pair, whole, part)
    return edited(chosen, rng, float(rng.choice(EDITS)))


def outcome(pair: Pair) -> Outcome:
    """Link the pair by alignment and compare with the truth. Shapes are not asked."""
    matches: Matches = by_alignment(pair.host, pair.device, pair.names)
    linked = matches.partner >= 0
    wrong = linked & (matches.partner != pair.truth)
    return Outcome(
        int((pair.truth >= 0).sum()), int(linked.sum()), int(wrong.sum()), matches.iterations,
        matches.method[linked], wrong[linked],
    )  # fmt: skip
