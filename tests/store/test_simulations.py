"""Simulations beside their traces: equal from both stores, kept once, and scored when what they predicted arrives."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from etgraph.ingest import read, samples
from etgraph.model import Trace, simulation_tables
from etgraph.model.accuracy import Score
from etgraph.model.errors import CorruptStore, EtgraphError, NotFound, UsageError
from etgraph.queries import load_simulation, save_simulation, saved_simulations, simulations
from etgraph.sim.profiles import load
from etgraph.sim.simulation import Simulation
from etgraph.store import Store
from etgraph.store.neo4j.artefacts import simulations as artefact_simulations
from etgraph.store.scoring import ScoringWarning, compare, same_device, score
from support.build import build
from support.predictions import predicted

MakeTrace = Callable[..., Trace]
Revised = Callable[[Trace, int], Trace]

KIND = simulation_tables.KIND
STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#1    0..100
    rank 0 | thread 1 | iteration ProfilerStep#2  100..200
    rank 0 | thread 1 | aten::mm                    0..60
    rank 0 | thread 1 | aten::relu                 60..100
    rank 0 | thread 1 | aten::mm                  100..160
    rank 0 | thread 1 | aten::relu                160..200
"""
SLOWER = """
    rank 0 | thread 1 | iteration ProfilerStep#1    0..200
    rank 0 | thread 1 | iteration ProfilerStep#2  200..400
    rank 0 | thread 1 | aten::mm                    0..124
    rank 0 | thread 1 | aten::relu                124..200
    rank 0 | thread 1 | aten::mm                  200..324
    rank 0 | thread 1 | aten::softmax             324..400
"""


def trace_of(text: str, name: str, device: str | None) -> Trace:
    """The trace of a text, with an id, recorded on a device."""
    trace = build(text)
    return replace(trace, trace_id=name * 64, metadata=replace(trace.metadata, device_model=device))


def assert_same(one: Simulation, other: Simulation) -> None:
    """All fields are equal; the times are those of the same table."""
    assert one.nodes.schema.equals(other.nodes.schema)
    assert one.nodes.to_pydict() == other.nodes.to_pydict()
    assert replace(one, nodes=None) == replace(other, nodes=None)


# Kept


def test_what_is_saved_comes_back_equal(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    simulation = predicted(trace, profile="dgx-h100", never=[2])
    identity = save_simulation(store, "w", simulation)
    assert identity == simulation.id
    assert_same(load_simulation(store, "w", identity), simulation)
    assert load_simulation(store, "w", identity).id == identity
    (summary,) = saved_simulations(store, "w")
    assert (summary.id, summary.simulator, summary.profile) == (identity, "test", "dgx-h100")
    assert (summary.makespan_ns, summary.error) == (simulation.makespan_ns, simulation.error)
    assert (summary.predicted, summary.extrapolated) == (9, 4)
    assert (summary.duration_error, summary.interval_share) == (1.0, 0.0)
    assert summary.parameters == {"factor": 2.0}
    assert set(summary.versions) == {"etgraph", "test"}
    assert summary.hardware["device"] == load("dgx-h100").device.name
    assert store.verify() == []


def test_a_recorded_trace_comes_back_equal(store: Store) -> None:
    trace = read(samples.path("dlrm_alltoall") / "kineto_rank0.json.gz")
    store.publish(trace)
    simulation = predicted(trace, 1.5)
    save_simulation(store, trace.trace_id, simulation)
    assert_same(load_simulation(store, trace.trace_id, simulation.id), simulation)


def test_the_same_again_changes_nothing(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    simulation = predicted(trace)
    save_simulation(store, "w", simulation)
    before = store.artefacts(trace.trace_id)
    time.sleep(0.002)
    assert save_simulation(store, "w", replace(simulation, versions={"test": "2"}), trace=trace) == simulation.id
    assert store.artefacts(trace.trace_id) == before
    other = save_simulation(store, "w", predicted(trace, 3.0))
    assert [each.id for each in saved_simulations(store, "w")] == [simulation.id, other]


def test_a_simulation_is_named_by_the_beginning_of_its_id(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    with pytest.raises(NotFound) as nothing:
        load_simulation(store, "w", "abcdef")
    assert "none is kept" in (nothing.value.hint or "")
    simulation = predicted(trace)
    save_simulation(store, "w", simulation)
    assert load_simulation(store, "w", simulation.id[:6].upper()).id == simulation.id
    for short in (simulation.id[:5], "", "zzzzzz"):
        with pytest.raises(NotFound) as unknown:
            load_simulation(store, "w", short)
        assert simulation.id in (unknown.value.hint or "")


def test_a_beginning_of_several_ids_lists_them(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    for identity in ("abcdef0123456789", "abcdef9876543210"):
        store.put_artefact(trace.trace_id, KIND, identity, predicted(trace).nodes)
    with pytest.raises(UsageError, match="beginning of 2 simulations: abcdef0123456789, abcdef9876543210"):
        load_simulation(store, "w", "abcdef")


def test_a_simulation_of_another_trace_is_refused(store: Store, make_trace: MakeTrace) -> None:
    store.publish(make_trace(), workload="w")
    with pytest.raises(UsageError, match="of another trace, expected the 12"):
        save_simulation(store, "w", predicted(make_trace("b", ranks=3)))
    assert saved_simulations(store, "w") == ()


def test_simulations_go_with_their_trace_and_its_revision(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace(revision=1)
    store.publish(trace, workload="w")
    save_simulation(store, "w", predicted(trace))
    store.publish(make_trace(revision=2), workload="w")
    assert saved_simulations(store, "w") == ()
    save_simulation(store, "w", predicted(make_trace(revision=2)))
    store.remove("w")
    store.publish(trace, workload="w")
    assert saved_simulations(store, "w") == ()
    assert store.simulations_of("w") == []


def test_a_table_says_what_it_is_without_its_rows(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    with pytest.raises(NotFound):
        store.artefact_schema(trace.trace_id, KIND, "x")
    store.publish(trace)
    assert store.artefact_schema(trace.trace_id, KIND, "x") is None
    identity = save_simulation(store, trace.trace_id, predicted(trace))
    schema = store.artefact_schema(trace.trace_id, KIND, identity)
    assert schema is not None
    assert simulation_tables.facts_of(schema)["id"] == identity


def test_side_by_side(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace()
    store.publish(trace, workload="w")
    one, two = (save_simulation(store, "w", predicted(trace, factor, never=[1])) for factor in (2.0, 3.0))
    table = simulations(store, "w", operators=True).operators
    assert table is not None
    assert table.column_names[:7] == ["rank", "index", "name", "start_ns", "duration_ns", f"{one}.start_ns",
                                      f"{one}.duration_ns"]  # fmt: skip
    first, second, *_ = table.to_pylist()
    assert (first["name"], first["start_ns"], first[f"{one}.start_ns"], first[f"{two}.start_ns"]) == ("mm", 7, 14, 21)
    assert first[f"{two}.duration_ns"] == 3 * first["duration_ns"]
    assert second[f"{one}.duration_ns"] is None
    assert simulations(store, "w").operators is None


# In Neo4j


@pytest.mark.neo4j
def test_the_graph_of_a_simulation(new_neo4j_store: Callable[[], Store], make_trace: MakeTrace) -> None:
    one, other = make_trace("a"), make_trace("b")
    with new_neo4j_store() as store:
        for trace in (one, other):
            store.publish(trace, workload="w")
        kept = [save_simulation(store, t.trace_id, predicted(t, f, profile="dgx-h100"))
                for t, f in ((one, 2.0), (one, 3.0), (other, 2.0))]  # fmt: skip
        rows = store.cypher(
            "MATCH (:Trace {id: $id})<-[:OF]-(s:Simulation {id: $kept})-[p:PREDICTS]->(o:Operator {rank: 1, index: 2}) "
            "MATCH (s)-[:ON]->(h:HardwareProfile) RETURN p.startNs, p.durationNs = 2 * o.durationNs, p.source, h.name",
            id=one.trace_id, kept=kept[0],
        ).rows()  # fmt: skip
        assert list(rows) == [[414, True, "measured", "dgx-h100"]]
        counts = "MATCH (h:HardwareProfile) RETURN count(h), sum(COUNT { (h)<-[:ON]-(:Simulation) })"
        assert list(store.cypher(counts).rows()) == [[1, 3]]
        store.remove(one.trace_id)
        assert list(store.cypher(counts).rows()) == [[1, 1]]
        store.remove(other.trace_id)
        assert list(store.cypher("MATCH (n) WHERE NOT n:Store RETURN count(n)").rows()) == [[0]]


@pytest.mark.neo4j
def test_a_simulation_that_was_begun_is_swept(
    new_neo4j_store: Callable[[], Store], make_trace: MakeTrace, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = make_trace(ranks=2, each=3_000, attributes=False)
    with new_neo4j_store() as store:
        store.publish(trace, workload="w")
        monkeypatch.setattr(
            artefact_simulations, "WRITE", f"{artefact_simulations.WRITE} WITH s WHERE 1 / ($begin - 5000) > 0 RETURN s"
        )
        with pytest.raises(EtgraphError):
            save_simulation(store, "w", predicted(trace, profile="dgx-h100"))
        assert saved_simulations(store, "w") == ()
        assert list(store.cypher("MATCH ()-[p:PREDICTS]->() RETURN count(p)").rows()) == [[5_000]]
        monkeypatch.undo()
        assert len(store.sweep()) == 1
        left = "MATCH (n) WHERE n:Artefact OR n:HardwareProfile RETURN count(n)"
        assert list(store.cypher(left).rows()) == [[0]]
        identity = save_simulation(store, "w", predicted(trace, profile="dgx-h100"))
        assert_same(load_simulation(store, "w", identity), predicted(trace, profile="dgx-h100"))


@pytest.mark.neo4j
def test_an_operator_that_is_gone_is_named(new_neo4j_store: Callable[[], Store], make_trace: MakeTrace) -> None:
    trace = make_trace()
    with new_neo4j_store() as store:
        store.publish(trace, workload="w")
        simulation = predicted(trace)
        save_simulation(store, "w", simulation)
        store.cypher("MATCH (o:Operator {rank: 0, index: 5}) DETACH DELETE o", write=True)
        with pytest.raises(CorruptStore, match="found 11 operators, expected 12"):
            load_simulation(store, "w", simulation.id)
        with pytest.raises(UsageError, match="found 12 rows, expected one for each of the 11 operators"):
            store.put_artefact(trace.trace_id, KIND, "x", simulation.nodes)


# Scored


def predict(store: Store, base: Trace, profile: str = "h100-sxm") -> str:
    """A published trace with a simulation on hardware on which everything takes twice as long."""
    store.publish(base, workload="w")
    return save_simulation(store, base.trace_id, predicted(base, profile=profile))


def test_a_trace_that_was_predicted_is_scored_when_it_arrives(store: Store) -> None:
    base = trace_of(STEPS, "a", "NVIDIA A100-SXM4-40GB")
    identity = predict(store, base)
    later = trace_of(SLOWER, "b", "NVIDIA H100 80GB HBM3")
    store.publish(later, workload="w")
    (met,) = store.validations(base.trace_id)
    assert (met.simulation, met.base, met.trace) == (identity, base.trace_id, later.trace_id)
    assert store.validations(later.trace_id) == [met]
    # Steps of 200 ns were predicted right, three operators met: 120 ns for 124 twice, and 80 for 76.
    assert met.score == Score("step", 200, 200, 0.0, 3, pytest.approx(1 / 31), 1.0, 1, 1)
    assert simulations(store, base.trace_id).validations == (met,)
    store.publish(later, workload="w")
    assert store.validations(base.trace_id) == [met]
    store.remove(later.trace_id)
    assert store.validations(base.trace_id) == []


@pytest.mark.parametrize(
    ("workload", "device", "profile"),
    [
        ("other", "NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("w", "NVIDIA A100-SXM4-40GB", "h100-sxm"),
        ("w", None, "h100-sxm"),
        (None, "NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("w", "NVIDIA H100 80GB HBM3", "of my own"),
    ],
    ids=["workload", "device", "no device", "no workload", "no profile"],
)
def test_what_was_not_predicted_is_not_scored(
    store: Store, workload: str | None, device: str | None, profile: str
) -> None:
    base = trace_of(STEPS, "a", "NVIDIA A100-SXM4-40GB")
    predict(store, base, profile)
    store.publish(trace_of(SLOWER, "b", device), workload=workload)
    assert store.validations(base.trace_id) == []


def test_scoring_later(store: Store) -> None:
    base, later = (trace_of(STEPS, "a", "A100"), trace_of(SLOWER, "b", "NVIDIA H100 80GB HBM3"))
    store.publish(later, workload="w")
    identity = predict(store, base)
    assert store.validations(base.trace_id) == []
    (met,) = score(store, later.trace_id)
    assert (met.simulation, met.trace, met.score.operators) == (identity, later.trace_id, 3)
    assert store.validations(base.trace_id) == [met]
    store.remove(base.trace_id)
    assert score(store, later.trace_id) == []


def test_scoring_needs_a_device_and_a_workload(store: Store) -> None:
    store.publish(trace_of(STEPS, "a", "A100"))
    store.publish(trace_of(SLOWER, "b", None), workload="w")
    for trace, lacks in (("a", "workload"), ("b", "name of its device")):
        with pytest.raises(UsageError, match=f"found no {lacks}"):
            score(store, trace * 64)


def test_a_validation_needs_both(store: Store) -> None:
    base = trace_of(STEPS, "a", "A100")
    nothing = Score(None, None, None, None, 0, None, None, 4, 4)
    with pytest.raises(NotFound):
        store.put_validation("a" * 64, "0" * 16, "b" * 64, nothing)
    identity = predict(store, base)
    with pytest.raises(NotFound, match="bbbb"):
        store.put_validation(base.trace_id, identity, "b" * 64, nothing)
    store.publish(trace_of(SLOWER, "b", None), workload="w")
    with pytest.raises(NotFound, match="no simulation 0000"):
        store.put_validation(base.trace_id, "0" * 16, "b" * 64, nothing)
    store.put_validation(base.trace_id, identity, "b" * 64, nothing)
    (met,) = store.validations(base.trace_id)
    assert met.score == nothing


def test_validations_go_with_the_measured_trace_s_revision(store: Store, revised: Revised) -> None:
    base, later = trace_of(STEPS, "a", "A100"), trace_of(SLOWER, "b", "NVIDIA H100 80GB HBM3")
    predict(store, base)
    store.publish(later, workload="w")
    (before,) = store.validations(base.trace_id)
    store.publish(revised(later, later.revision + 1), workload="w")
    (after,) = store.validations(base.trace_id)
    assert after.created > before.created


def test_a_trace_is_stored_even_if_it_cannot_be_scored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    base, later = trace_of(STEPS, "a", "A100"), trace_of(SLOWER, "b", "NVIDIA H100 80GB HBM3")
    predict(store, base)

    def fail(*_: object) -> None:
        raise NotFound("gone")

    monkeypatch.setattr(store, "get_artefact", fail)
    with pytest.warns(ScoringWarning, match="stored, but not scored: gone"):
        store.publish(later, workload="w")
    assert store.find("w").id == later.trace_id


# Comparing


def test_traces_without_steps_are_compared_by_their_spans() -> None:
    base, other = build("rank 0 | stream 7 | gemm 0..10"), build("rank 0 | stream 7 | gemm 5..30")
    met = compare(base, predicted(base).nodes, other)
    assert (met.basis, met.predicted_ns, met.measured_ns, met.error) == ("span", 20, 25, pytest.approx(-0.2))
    assert (met.operators, met.duration_error, met.interval_share) == (1, pytest.approx(0.2), 0.0)


def test_steps_are_not_compared_with_spans() -> None:
    base, other = build(STEPS), build("rank 0 | thread 1 | aten::mm 5..30")
    met = compare(base, predicted(base).nodes, other)
    assert (met.basis, met.predicted_ns, met.measured_ns, met.error) == (None, None, None, None)
    assert (met.operators, met.only_predicted, met.only_measured) == (0, 4, 1)


def test_operators_that_never_ran_meet_nothing() -> None:
    base = build(STEPS)
    met = compare(base, predicted(base, never=[0]).nodes, base)
    assert (met.operators, met.only_predicted, met.only_measured) == (3, 0, 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3", True),
        ("AMD Instinct MI300X", "AMD Instinct MI300X OAM", True),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", False),
        ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", False),
        ("NVIDIA H100", "nvidia h100", True),
        ("NVIDIA", "NVIDIA H100", False),
        ("NVIDIA H200", "", False),
    ],
)
def test_names_of_devices(one: str, other: str, same: bool) -> None:
    assert same_device(one, other) is same
