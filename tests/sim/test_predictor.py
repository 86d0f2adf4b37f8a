"""A predictor gives for every profile what predicting anew gives, whatever it was asked before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from etgraph.ingest import read, samples
from etgraph.model import Category, CommType, Trace
from etgraph.model.errors import UsageError
from etgraph.sim.communication import CommunicationModel, Means
from etgraph.sim.communication.algorithms import MESSAGE
from etgraph.sim.costs import costed
from etgraph.sim.predict import Predictor, predict, with_costs
from etgraph.sim.profiles import Profile, load, with_overrides
from etgraph.sim.replay import measured_plan
from etgraph.sim.replay.plan import program_of, wiring_of
from support.build import build
from support.communication import NVLINK, profile, transfers

PROFILES = ("dgx-h100", "epyc-9654-gloo-8", "dgx-a100")


@pytest.fixture(scope="module")
def timed() -> Trace:
    return read(samples.path("dlrm_alltoall"))


@pytest.fixture(scope="module")
def untimed(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """The execution traces of a run alone: what was called, without when."""
    folder = tmp_path_factory.mktemp("et")
    for file in samples.path("gpt_ddp").glob("et_*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return read(folder)


@pytest.mark.parametrize("kind", ["timed", "untimed"])
def test_one_predictor_for_many_profiles(kind: str, request: pytest.FixtureRequest) -> None:
    trace: Trace = request.getfixturevalue(kind)
    predictor = Predictor(trace)
    for name in (*PROFILES, *PROFILES[:1]):
        found, anew = predictor.predict(name), predict(trace, name)
        assert found.nodes.equals(anew.nodes)
        assert (found.makespan_ns, found.windows, found.trust) == (anew.makespan_ns, anew.windows, anew.trust)
        assert predictor.run(name).makespan_ns == anew.makespan_ns


@pytest.mark.parametrize("sample", ["dlrm_alltoall", "gpt_tp2_pp2"])
def test_wiring_gives_the_program_of_a_plan_with_other_times(sample: str) -> None:
    trace = read(samples.path(sample))
    plan = measured_plan(trace)
    target = load("dgx-h100")
    other = with_costs(plan, plan.latency_ns + 1_000, costed(trace).on(target))
    assert not np.array_equal(other.transfer_ns, plan.transfer_ns)
    found, expected = wiring_of(plan).program_of(other), program_of(other)
    for name in ("offsets", "targets", "lag_ns", "floor_ns", "waking", "after_ns"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    for name in ("operator", "device", "lane", "duration_ns", "tail_ns"):
        assert np.array_equal(getattr(found.places, name), getattr(expected.places, name)), name


def test_wiring_of_a_trace_with_devices(collection_dir: Path) -> None:
    trace = read(collection_dir / "param" / "dlrm_kineto")
    plan = measured_plan(trace)
    other = with_costs(plan, plan.latency_ns + 1_000, costed(trace).on(load("dgx-h100"), load("v100")))
    found, expected = wiring_of(plan).program_of(other), program_of(other)
    assert np.array_equal(found.lag_ns, expected.lag_ns)
    assert np.array_equal(found.places.tail_ns, expected.places.tail_ns)
    assert np.count_nonzero(found.lag_ns != program_of(plan).lag_ns) > 1_000


def test_launches_take_a_profiles_latency_or_as_measured_on_the_same_device() -> None:
    text = """
        rank 0 | thread 1 | call   0..10   -> k
        rank 0 | stream 7 | k  {start}..90000
        rank 0 | thread 1 | cudaDeviceSynchronize  20..90010
    """

    def start_on(profile: Profile) -> int:
        trace = build(text.format(start=7_010))  # 7 µs after its call
        trace = replace(trace, metadata=replace(trace.metadata, device_model="Tesla V100-SXM2-32GB"))
        starts = Predictor(trace).run(profile).timeline.start_ns
        return int(starts[np.flatnonzero(trace.operators["category"] >= int(Category.KERNEL))[0]])

    v100, h100 = load("v100"), load("h100-sxm")
    measured = start_on(v100)
    assert start_on(h100) == 10 + h100.device.launch_latency_ns
    assert start_on(with_overrides(v100, {"device.launch_latency": "x3"})) - 10 == 3 * (measured - 10)


# Libraries and algorithms


def durations(means: Means, target: Profile, type: int = CommType.ALL_REDUCE, size: int = 1 << 20) -> list[int]:
    rows = transfers([(type, size, range(8 if type != MESSAGE else 2))], "gloo")
    found: list[int] = CommunicationModel(target, means=means).predict(rows).duration_ns.tolist()
    return found


def test_an_algorithm_can_be_asked_for() -> None:
    target = profile(NVLINK)
    by = {name: durations(Means("any", algorithms={CommType.ALL_REDUCE: name}), target) for name in ("ring", "direct")}
    assert by["ring"] != by["direct"]
    # Left to choose, a library takes the cheaper of all that it has.
    assert durations(Means("any"), target) <= min(by.values())
    assert durations(Means(), target) == durations(Means("gloo"), target) == by["ring"]


def test_an_algorithm_for_all_is_for_those_that_it_can_do() -> None:
    target = profile(NVLINK)
    means = Means("any", algorithm="ring")
    assert durations(means, target) == durations(Means("any", algorithms={CommType.ALL_REDUCE: "ring"}), target)
    assert durations(means, target, MESSAGE) == durations(Means("any"), target, MESSAGE)
    assert means.parameters() == {"library": "any", "algorithm": "ring"}


def test_an_algorithm_that_cannot_do_it_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"'binomial' cannot do all_reduce over 8 ranks \(nvlink\)") as caught:
        durations(Means(algorithms={CommType.ALL_REDUCE: "binomial"}), profile(NVLINK))
    assert caught.value.hint == "there: ring, tree, direct"
    with pytest.raises(UsageError, match="has no tiers"):
        durations(Means(algorithm="ring"), profile())


def test_a_prediction_says_which_algorithms_were_chosen(timed: Trace) -> None:
    means = Means("nccl", algorithms={CommType.ALL_TO_ALL: "ring"})
    target = with_overrides(load("dgx-h100"), {"tiers.nvlink.bandwidth": "100 MB/s"})
    found, usual = predict(timed, target, means=means), predict(timed, target)
    assert found.parameters["algorithms"] == {"all_to_all": "ring"}
    assert found.makespan_ns > usual.makespan_ns
    assert "algorithms" not in usual.parameters
