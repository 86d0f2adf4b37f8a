"""The grammar of references and the rules by which they mean a trace, without a store."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.model.errors import EtgraphError, NotFound, UsageError
from etgraph.store import connect, split_iterations
from etgraph.store.references import Candidate, resolve


class Entries:
    """A catalogue in memory: candidates newest first, no tags or labels."""

    def __init__(self, candidates: list[Candidate]) -> None:
        self._candidates = candidates

    def by_id(self, prefix: str) -> list[Candidate]:
        return [c for c in self._candidates if c.trace_id.startswith(prefix)]

    def in_workload(self, workload: str) -> list[Candidate]:
        return [c for c in self._candidates if c.workload == workload]

    def tagged(self, workload: str, name: str) -> str | None:
        return None

    def labelled(self, workload: str, key: str, value: str) -> list[Candidate]:
        return []

    def tags_of(self, workload: str) -> list[str]:
        return []

    def all(self) -> list[Candidate]:
        return self._candidates


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("w", ("w", None)), ("w#0", ("w", (0,))), ("w@t#0,2,4", ("w@t", (0, 2, 4))), ("w#3-7", ("w", (3, 4, 5, 6, 7))),
     ("w#4,0,4", ("w", (0, 4))), ("w# 1 , 2-3 ", ("w", (1, 2, 3))), ("runs#1/trace.json", ("runs#1/trace.json", None)),
     ("runs#1/t.json#2", ("runs#1/t.json", (2,))), ("w#abc", ("w#abc", None)), ("", ("", None))],
)  # fmt: skip
def test_iterations_are_split_off(reference: str, expected: tuple[str, tuple[int, ...] | None]) -> None:
    assert split_iterations(reference) == expected


@pytest.mark.parametrize("suffix", ["", "1,", ",", "-", "3-", "-3", "7-3", "1--2", "1-2-3", "0-99999999", "9" * 30])
def test_malformed_iterations_are_refused(suffix: str) -> None:
    with pytest.raises(UsageError, match="expected indices"):
        split_iterations(f"w#{suffix}")


@given(st.text(min_size=1).filter(lambda t: "#" not in t), st.sets(st.integers(0, 10_000), min_size=1))
def test_iterations_come_back_as_they_were_written(name: str, indices: set[int]) -> None:
    assert split_iterations(f"{name}#{','.join(map(str, indices))}") == (name, tuple(sorted(indices)))


hexadecimal = st.text("01ab", min_size=64, max_size=64)
candidates = st.lists(
    st.builds(
        Candidate,
        trace_id=hexadecimal,
        workload=st.none() | st.sampled_from(["w", "abab", "ababab", "v"]),
        created=st.just("2026-01-01T00:00:00Z"),
        commit=st.none() | st.text("ab", min_size=3, max_size=6),
    ),
    max_size=6,
)


@given(candidates, st.data())
def test_a_resolved_reference_has_the_right_to_its_trace(entries: list[Candidate], data: st.DataObject) -> None:
    prefixes = [c.trace_id[: data.draw(st.integers(1, 64))] for c in entries]
    points = [f"{c.workload}@{c.commit}" for c in entries]
    reference = data.draw(st.sampled_from([*prefixes, *points, "w", "ababab", "w@abab", "w@k=v", "x"]))
    try:
        match = resolve(reference, Entries(entries))
    except (NotFound, UsageError):
        return
    if match.workload is None:
        assert match.trace_id.startswith(reference)
        assert len(reference) >= 6
        assert {c.trace_id for c in entries if c.trace_id.startswith(reference)} == {match.trace_id}
    else:
        workload, _, commit = reference.partition("@")
        found = [c for c in entries if c.workload == workload and (c.commit or "").startswith(commit)]
        assert match.trace_id == found[0].trace_id


def test_the_error_lists_few_of_many() -> None:
    entries = [Candidate(f"{n:064x}", f"run{n}", "2026-01-01T00:00:00Z") for n in range(50)]
    with pytest.raises(NotFound, match="and 45 more") as raised:
        resolve("quite different", Entries(entries))
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    "url",
    ["neo4j://", "bolt://localhost:99999", "neo4j+x://x", "https://x", "s3://bucket", "file://host/x", ""],
)
def test_urls_that_lead_nowhere_are_refused(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        connect(url)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("scheme", ["file://", "file://localhost", "FILE://"])
def test_a_file_url_is_a_folder(tmp_path: Path, scheme: str) -> None:
    with connect(f"{scheme}{tmp_path.as_posix()}/with%20space") as store:
        assert store.url == (tmp_path / "with space").as_uri()


def test_every_error_is_of_the_family() -> None:
    from etgraph.store import errors

    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, EtgraphError)]
    assert len({kind.code for kind in kinds}) == len(kinds) >= 5
    assert {kind.exit_code for kind in kinds} == {4}
