"""The cost model of communication: which source it takes, and how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read
from etgraph.model import CommType
from etgraph.model.arrivals import NULL
from etgraph.sim.communication import CommunicationCost, CommunicationModel, check, fit, measured
from etgraph.sim.communication.algorithms import MESSAGE
from etgraph.sim.profiles import CollectiveFit, Tier
from support.communication import NVLINK, profile, timed, transfers

FIT = CollectiveFit("all_reduce", 2, 1_000, 2.0, 0.1, 50, 1_000, 100_000, library="gloo")


def sources(model: CommunicationCost, *rows: tuple[int, int, tuple[int, ...]], library: str = "gloo") -> list[str]:
    said = model.predict(transfers(rows, library))
    return [said.sources[source] for source in said.source]


def test_a_fit_of_the_same_type_and_size_comes_first() -> None:
    model = CommunicationModel(profile(NVLINK, fits=[FIT]))
    said = model.predict(transfers([(CommType.ALL_REDUCE, 10_000, (0, 1)), (CommType.ALL_REDUCE, 10**7, (0, 1))]))
    assert said.duration_ns.tolist() == [21_000, 20_001_000]
    assert said.sources == ("fitted on 50 of all_reduce over 2 ranks",)
    assert said.extrapolated.tolist() == [False, True]
    assert said.known.all()
    assert said.low_ns[0] == pytest.approx(21_000 * np.exp(-1.645 * 0.1), abs=1)
    assert said.high_ns[0] == pytest.approx(21_000 * np.exp(1.645 * 0.1), abs=1)


def test_another_collective_costs_its_own_steps_and_bytes() -> None:
    model = CommunicationModel(profile(fits=[FIT]))
    said = model.predict(
        transfers([(CommType.ALL_GATHER, 8_000, (0, 1)), (CommType.BARRIER, 0, (0, 1)), (MESSAGE, 500, (1, 0))])
    )
    # An all-reduce of two ranks has two steps and moves its size; an all-gather one step and half of the gathered size.
    assert said.duration_ns.tolist() == [500 + 8_000, 500, 500 + 1_000]
    assert said.sources == ("by the algorithm's steps and bytes from 50 of all_reduce over 2 ranks",)
    assert said.extrapolated.all()
    own = model.predict(transfers([(CommType.ALL_REDUCE, 8_000, (0, 1))]))
    assert said.high_ns[0] / said.duration_ns[0] > own.high_ns[0] / own.duration_ns[0]


def test_a_larger_group_takes_more_steps_of_the_same_kind() -> None:
    model = CommunicationModel(profile(fits=[FIT]))
    said = model.predict(transfers([(CommType.ALL_REDUCE, 0, range(4)), (CommType.ALL_REDUCE, 4_000, range(4))]))
    assert said.duration_ns.tolist() == [3_000, 3_000 + 2 * 6_000]


def test_without_fits_the_tiers_tell_and_name_the_way() -> None:
    tiers = [NVLINK, Tier("ib", "switch", 2, 25e9, 2_000)]
    model = CommunicationModel(profile(*tiers, name="dgx"))
    rows = [(CommType.ALL_REDUCE, 1 << 30, range(8)), (CommType.ALL_REDUCE, 8, range(16))]
    said = model.predict(transfers(rows, "nccl"))
    assert [said.sources[source] for source in said.source] == [
        "tiers of dgx (nvlink): ring, Simple", "tiers of dgx (nvlink, ib): tree, LL",
    ]  # fmt: skip
    assert said.known.all()
    assert said.extrapolated.all()
    assert (said.low_ns < said.duration_ns).all()
    assert (said.high_ns > said.duration_ns).all()


def test_a_placement_moves_a_group_to_another_tier() -> None:
    tiers = (NVLINK, Tier("ib", "switch", 2, 25e9, 2_000))
    row = transfers([(CommType.ALL_REDUCE, 1 << 20, (0, 1))], "nccl")
    near, far = (CommunicationModel(profile(*tiers), placement) for placement in (None, (0, 8)))
    assert far.predict(row).duration_ns[0] > near.predict(row).duration_ns[0]


def test_a_fit_is_not_taken_for_another_tier_or_library() -> None:
    fits = [CollectiveFit("all_reduce", 2, 1_000, 2.0, tier="nvlink", library="nccl", samples=9)]
    model = CommunicationModel(profile(NVLINK, Tier("ib", "switch", 2, 25e9, 2_000), fits=fits))
    assert sources(model, (0, 100, (0, 1)), library="nccl") == ["fitted on 9 of all_reduce over 2 ranks"]
    assert sources(model, (0, 100, (0, 8)), library="nccl")[0].startswith("tiers of test (ib)")
    assert sources(model, (0, 100, (0, 1)), library="gloo")[0].startswith("tiers of test (nvlink)")


def test_barriers_tell_nothing_of_what_has_bytes() -> None:
    barrier = CollectiveFit("barrier", 2, 5_000, 0.0, samples=99, library="gloo")
    model = CommunicationModel(profile(fits=[barrier]))
    assert sources(model, (CommType.BARRIER, 0, (0, 1))) == ["fitted on 99 of barrier over 2 ranks"]
    assert sources(model, (CommType.ALL_GATHER, 10**9, (0, 1))) == [
        "all_gather over 2 ranks: no fit and no tiers, taken as nothing"
    ]


def test_what_nothing_is_known_of_is_said_to_be_an_assumption() -> None:
    said = CommunicationModel(profile()).predict(transfers([(CommType.ALL_REDUCE, 100, (0, 1))]))
    assert (said.duration_ns.tolist(), said.known.tolist()) == ([0], [False])
    assert said.sources == ("all_reduce over 2 ranks: no fit and no tiers, taken as nothing",)
    unsized = CommunicationModel(profile(fits=[FIT])).predict(transfers([(CommType.ALL_REDUCE, NULL, (0, 1))]))
    assert (unsized.duration_ns.tolist(), unsized.known.tolist()) == ([1_000], [False])
    assert unsized.sources[unsized.source[0]] == "size not recorded: taken as empty"
    alone = CommunicationModel(profile()).predict(transfers([(CommType.ALL_REDUCE, 100, (3,))]))
    assert (alone.duration_ns.tolist(), alone.known.tolist()) == ([0], [True])


def test_no_transfers_give_no_predictions() -> None:
    assert CommunicationModel(profile(NVLINK)).predict(transfers([])).duration_ns.tolist() == []


def test_half_of_a_recorded_nccl_run_tells_the_other_half(collection_dir: Path) -> None:
    found = measured(read(collection_dir / "param" / "dlrm_kineto"))
    assert (len(found.usable), found.resolution_ns) == (8, 1000)
    result = check(found, profile(NVLINK))
    assert (result.fitted, result.checked, result.near, result.covered) == (5, 3, 1.0, 1.0)
    assert result.error is not None
    assert result.error < 0.02


def test_of_noisy_runs_the_check_says_how_alike_equal_transfers_are() -> None:
    rows = [(CommType.ALL_REDUCE, 1000, (0, 1), ns) for ns in (100, 100, 100, 150, 600, 100)]
    result = check(timed(rows), profile())
    assert (result.fitted, result.checked, result.repeated) == (3, 3, 6)
    assert (result.repeat_near, result.repeat_error) == (pytest.approx(4 / 6), 0.0)


def test_inserted_all_gathers_of_gloo_lie_in_the_interval(collection_dir: Path) -> None:
    trace = read(collection_dir / "recorded" / "whatif" / "extra_all_gather_1")
    base, variant = (measured(trace.select_iterations(steps)) for steps in ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)))
    new = variant.take(np.flatnonzero(variant.transfers.type == CommType.ALL_GATHER))
    said = CommunicationModel(profile(fits=fit(base))).predict(new.transfers)
    assert len(new) == 30
    assert ((said.low_ns <= new.transfer_ns) & (new.transfer_ns <= said.high_ns)).mean() >= 0.9
    assert 0.5 < np.median(said.duration_ns / new.transfer_ns) < 2
