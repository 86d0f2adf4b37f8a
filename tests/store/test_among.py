"""A store's catalogue narrowed to what somebody sees: as if it held no other entries, on both stores alike."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.model import Trace
from etgraph.model.errors import NotFound, UsageError
from etgraph.store import Store, TraceInfo
from etgraph.store.visible import Shared, Visible

MakeTrace = Callable[..., Trace]
TEAMS = (None, "ads", "nlp", "a")
WORKLOADS = (None, "gpt", "x", "ns")
A, B, C = (sha256(name.encode()).hexdigest() for name in "abc")


@pytest.fixture
def filled(store: Store, make_trace: MakeTrace) -> Store:
    """Two teams and nobody, with a trace that both have, tags, and one of a team without a workload."""
    store.publish(make_trace("a"), workload="gpt", team="nlp", labels={"k": "v"}, commit="abcd01")
    store.publish(make_trace("b"), workload="gpt", team="nlp")
    store.publish(make_trace("a"), workload="x", team="ads", commit="abcd02")
    store.publish(make_trace("c"), workload="ns")
    store.among(Visible("ads")).publish(make_trace("c"), team="ads")
    store.tag("gpt@k=v", "base")
    store.tag("x", "base")
    return store


def entries(infos: list[TraceInfo]) -> list[tuple[str, str | None, str | None]]:
    return [(info.id, info.workload, info.team) for info in infos]


VISIBLE = st.builds(
    Visible,
    st.sampled_from(TEAMS),
    st.frozensets(
        st.builds(
            Shared, st.sampled_from(TEAMS), st.sampled_from(WORKLOADS), st.none() | st.sampled_from([A, B, C])
        ),
        max_size=3,
    ),
)  # fmt: skip


def test_lists_hold_what_is_visible_and_references_mean_that_alone(filled: Store) -> None:
    everything = filled.traces()
    names = [*(w for w in WORKLOADS if w), *(f"{w}@base" for w in WORKLOADS if w), "gpt@k=v", "gpt@abcd", "x@abcd",
             A, B, C, A[:8], C[:8], "nothing"]  # fmt: skip

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(VISIBLE)
    def check(visible: Visible) -> None:
        seen = filled.among(visible)
        expected = [info for info in everything if visible.admits(info.team, info.workload, info.id)]
        assert seen.traces() == expected
        for team in ("nlp", "ads"):
            assert seen.traces(team=team) == [info for info in expected if info.team == team]
        for workload in seen.workloads():
            of_it = [info for info in expected if info.workload == workload.name]
            assert workload.traces == len(of_it)
            assert workload.teams == tuple(sorted({info.team for info in of_it if info.team}))
            assert workload.tags == tuple(sorted(tag for info in of_it for tag in info.tags))
        assert {w.name for w in seen.workloads()} == {info.workload for info in expected} - {None}
        for name in names:
            found, message = asked(seen, name)
            for info in everything:
                if info not in expected:
                    assert f"{info.id[:12]} ({info.workload or 'no workload'}" not in message
            assert found is None or found in expected
            assert found == meant(name, expected)

    check()


def asked(store: Store, name: str) -> tuple[TraceInfo | None, str]:
    """What a store finds, and what its error says."""
    try:
        return store.find(name), ""
    except (NotFound, UsageError) as error:
        return None, str(error)


def meant(name: str, entries: list[TraceInfo]) -> TraceInfo | None:
    """What a reference means among entries, newest first, by the rules of `etgraph.store.references`."""
    workload, at, point = name.partition("@")
    if at:
        of_it = [info for info in entries if info.workload == workload]
        points = (lambda i: point in i.tags, lambda i: dict([point.split("=")]).items() <= i.labels.items()
                  if "=" in point else False, lambda i: (i.commit or "").startswith(point))  # fmt: skip
        return next((info for fits in points for info in of_it if fits(info)), None)
    named = [info for info in entries if info.workload == name]
    return next(iter(named or [info for info in entries if len(name) >= 6 and info.id.startswith(name)]), None)


@pytest.mark.parametrize("share", list(product(TEAMS, WORKLOADS, (None, A, C))))
def test_a_share_is_of_one_entry_or_of_a_workload(share: tuple[str | None, str | None, str | None]) -> None:
    visible = Visible(None, frozenset({Shared(*share)}))
    for team, workload, trace in product(TEAMS, WORKLOADS, (A, B, C)):
        admitted = (team, workload) == share[:2] and share[2] in (None, trace)
        assert visible.admits(team, workload, trace) == admitted


def test_what_is_removed_are_the_visible_entries_and_the_trace_with_the_last(
    filled: Store, make_trace: MakeTrace
) -> None:
    ads, nlp = filled.among(Visible("ads")), filled.among(Visible("nlp"))
    ads.remove(A)
    assert [entry for entry in entries(filled.traces()) if entry[0] == A] == [(A, "gpt", "nlp")]
    assert filled.find("gpt@base").id == A
    assert len(filled.load(A)) == len(make_trace("a"))
    with pytest.raises(NotFound):
        ads.remove(A)
    nlp.remove("gpt@base")
    with pytest.raises(NotFound):
        filled.find(A)
    assert filled.find("gpt").id == B
    filled.remove(C)
    assert entries(filled.traces()) == [(B, "gpt", "nlp")]


def test_names_change_on_visible_entries_alone(filled: Store) -> None:
    ads = filled.among(Visible("ads"))
    ads.label(A, "seen", "yes")
    assert {info.workload: info.labels.get("seen") for info in filled.traces() if info.id == A} == {
        "x": "yes", "gpt": None,
    }  # fmt: skip
    ads.tag(A, "mine")
    assert filled.find("x@mine").id == A
    for change in (lambda: ads.untag("gpt", "base"), lambda: ads.tag("gpt", "t"), lambda: ads.label("gpt", "k", "w")):
        with pytest.raises(NotFound):
            change()
    ads.untag("x", "base")
    assert filled.find("gpt").labels == {}
    assert filled.find("gpt@base").tags == ("base",)


def test_publishing_touches_no_entry_out_of_sight(store: Store, make_trace: MakeTrace) -> None:
    trace = make_trace("a")
    nlp, ads = (store.among(Visible(team)) for team in ("nlp", "ads"))
    nlp.publish(trace, team="nlp", labels={"k": "nlp"})
    ads.publish(trace, team="ads", labels={"k": "ads"})
    assert sorted((info.workload, info.team, info.labels["k"]) for info in store.traces()) == [
        (None, "ads", "ads"), (None, "nlp", "nlp"),
    ]  # fmt: skip
    ads.publish(trace, workload="x", team="ads")
    assert sorted((str(info.workload), info.team) for info in store.traces()) == [("None", "nlp"), ("x", "ads")]
    nlp.publish(trace, team="nlp", commit="abcd01")
    assert [info.commit for info in store.traces() if info.team == "ads"] == [None]
    with pytest.raises(UsageError, match="names this trace already"):
        nlp.publish(trace, workload="x", team="nlp")


def test_a_view_of_everything_is_the_store(filled: Store) -> None:
    narrow = filled.among(Visible("ads"))
    assert narrow.among(None).traces() == filled.traces()
