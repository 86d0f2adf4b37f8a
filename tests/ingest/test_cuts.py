"""Cut and edited recordings without numbers: links lie where they truly are, or it is said that it is unclear."""

from __future__ import annotations

from collections import Counter

import pytest

from etgraph.ingest import samples
from etgraph.model import LINK_CONFIDENCE, LinkMethod
from support.cuts import Pair, cut, hidden, outcome, random_case
from support.pairs import read_draft

CASES = 50


@pytest.fixture(scope="module", params=[False, True], ids=["no names of steps", "names of steps"])
def recordings(request: pytest.FixtureRequest) -> list[Pair]:
    files = [samples.path(run) / f"et_rank{rank}.json.gz"
             for run, rank in (("gpt_ddp", 0), ("gpt_tp2_pp2", 2), ("dlrm_alltoall", 3))]  # fmt: skip
    return [
        hidden(read_draft(f), read_draft(f.with_name(f.name.replace("et_", "kineto_"))), steps=request.param)
        for f in files
    ]


def test_no_random_cut_is_linked_to_a_wrong_place_unsaid(recordings: list[Pair]) -> None:
    verdicts: Counter[str] = Counter()
    linked: Counter[int] = Counter()
    wrong: Counter[int] = Counter()
    for seed in range(CASES):
        found = outcome(random_case(recordings, seed))
        verdicts[found.verdict] += 1
        linked.update(found.method.tolist())
        wrong.update(found.method[found.is_wrong].tolist())
    assert not verdicts["wrong"], verdicts
    assert verdicts["right"] > CASES // 5
    sure = int(LinkMethod.ALIGNED_16)
    assert wrong[sure] <= 5 * (1 - LINK_CONFIDENCE[LinkMethod.ALIGNED_16]) * linked[sure]
    assert sum(wrong.values()) <= 0.005 * sum(linked.values())


@pytest.mark.parametrize(("first", "length"), [(0, 400), (300, 400), (1800, 400)])
def test_a_cut_without_edits_that_is_unlike_the_rest_links_whole(first: int, length: int) -> None:
    folder = samples.path("gpt_ddp")
    pair = hidden(read_draft(folder / "et_rank0.json.gz"), read_draft(folder / "kineto_rank0.json.gz"))
    part = cut(pair, slice(first, first + length), slice(0, None))
    found = outcome(part)
    assert (found.candidates, found.linked, found.wrong) == (1, length, 0)
