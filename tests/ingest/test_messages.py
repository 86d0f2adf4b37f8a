"""Sends and receives: paired by ranks, tag, size and order, never against the times."""

from __future__ import annotations

import numpy as np

from etgraph.model import DependencyKind, Trace
from support.meetings import matched


def pairs(trace: Trace) -> list[tuple[str, str]]:
    """The COMM dependencies as (rank and name of the source, of the target)."""
    o, d = trace.operators, trace.dependencies

    def words(row: int) -> str:
        return f"{o['rank'][row]} {o.value('name', row)}@{o['start_ns'][row]}"

    rows = np.flatnonzero(d["kind"] == int(DependencyKind.COMM))
    return [(words(a), words(b)) for a, b in zip(d["src"][rows].tolist(), d["dst"][rows].tolist(), strict=True)]


def test_the_kth_send_meets_the_kth_receive_of_its_tag() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | send>1#5 8B  10..20
        rank 0 | stream 7 | send>1#6 8B  30..40
        rank 0 | stream 7 | send>1#5 8B  50..60
        rank 1 | stream 7 | recv<0#6 8B   5..45
        rank 1 | stream 7 | recv<0#5 8B  46..47
        rank 1 | stream 7 | recv<0#5 8B  48..70
        """
    )
    assert pairs(trace) == [
        ("0 send>1#5@10", "1 recv<0#5@46"),
        ("0 send>1#5@50", "1 recv<0#5@48"),
        ("0 send>1#6@30", "1 recv<0#6@5"),
    ]
    dependency = trace.dependencies.row(int(np.flatnonzero(trace.dependencies["kind"] == 11)[0]))
    assert (dependency["inferred"], dependency["method"]) == (True, "pair, tag and order")
    trace.validate()


def test_what_goes_the_other_way_is_another_pair() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | send>1 8B  10..20
        rank 0 | stream 7 | recv<1 8B  30..40
        rank 1 | stream 7 | recv<0 8B  10..22
        rank 1 | stream 7 | send>0 8B  25..35
        """
    )
    assert pairs(trace) == [("0 send>1@10", "1 recv<0@10"), ("1 send>0@25", "0 recv<1@30")]


def test_sizes_are_told_apart_where_all_are_known() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | send>1 8B   10..20
        rank 0 | stream 7 | send>1 16B  10..20
        rank 1 | stream 7 | recv<0 16B  30..40
        rank 1 | stream 7 | recv<0 8B   30..40
        """
    )
    assert pairs(trace) == [("0 send>1@10", "1 recv<0@30")] * 2
    d = trace.dependencies
    assert (trace.operators["comm_bytes"][d["src"]] == trace.operators["comm_bytes"][d["dst"]])[d["kind"] == 11].all()


def test_a_receive_never_ends_before_its_send_starts() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | send>1 8B  30000..40000
        rank 1 | stream 7 | recv<0 8B  10000..20000
        """
    )
    assert not pairs(trace)
    assert trace.metadata.report.counts["messagesUnmatched"] == 2


def test_a_send_lost_at_the_beginning_shifts_nothing() -> None:
    """Only one place of the shorter list fits the times."""
    trace = matched(
        """
        rank 0 | stream 7 | send>1 8B  30000..40000
        rank 1 | stream 7 | recv<0 8B  10000..20000
        rank 1 | stream 7 | recv<0 8B  25000..41000
        """
    )
    assert pairs(trace) == [("0 send>1@30000", "1 recv<0@25000")]
    assert trace.metadata.report.counts["messagesUnmatched"] == 1


def test_a_receive_lost_at_the_beginning_leaves_all_open() -> None:
    """A receive may get what was sent long ago, so that both places fit."""
    trace = matched(
        """
        rank 0 | stream 7 | send>1 8B  10..20
        rank 0 | stream 7 | send>1 8B  30..40
        rank 1 | stream 7 | recv<0 8B  25..50
        """
    )
    assert not pairs(trace)
    assert trace.metadata.report.counts["messagesUnmatched"] == 3


def test_the_other_end_may_be_unknown_or_missing() -> None:
    trace = matched(
        """
        rank 0 | stream 7 | send 8B    10..20
        rank 0 | stream 7 | send>3 8B  30..40
        rank 1 | stream 7 | recv<0 8B  25..50
        """
    )
    counts = trace.metadata.report.counts
    assert (counts["messagesWithoutPeer"], counts["messagesToMissingRanks"], counts["messagesUnmatched"]) == (1, 1, 1)


def test_a_send_of_gloo_begins_with_the_call_around_it() -> None:
    """gloo's own operator starts when the data are out already; PyTorch's is what the receive depends on."""
    trace = matched(
        """
        rank 0 | thread 1 | c10d::send        10000..50000
        rank 0 | thread 1 | gloo:send>1#0 8B  45000..49000
        rank 1 | thread 1 | gloo:recv<0#0 8B  20000..30000
        """.replace("gloo:send", "send").replace("gloo:recv", "recv")
    )
    assert pairs(trace) == [("0 c10d::send@10000", "1 recv<0#0@20000")]
