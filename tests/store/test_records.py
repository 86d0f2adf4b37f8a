"""Records: documents with versions, on both stores alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etgraph.model.errors import UsageError
from etgraph.store import Store
from etgraph.store.records import LARGEST, Conflict, every

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
DOCUMENTS = st.dictionaries(
    st.text("abAB_", min_size=1, max_size=4).filter(lambda field: field[0] != "_"),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT | st.lists(TEXT, max_size=2),
    max_size=4,
)


def names(store: Store, *arguments: Any, **choices: Any) -> list[str]:
    return [record.name for record in store.records.find(*arguments, **choices)]


def test_a_record_comes_back_as_it_was_put(store: Store) -> None:
    assert store.records.get("job", "a") is None
    assert store.records.find("job") == []
    put = store.records.put("job", "a", {"state": "queued", "tries": 0, "paths": ["x"], "error": None})
    assert (put.version, put.created) == (1, put.changed)
    assert store.records.get("job", "a") == put
    assert store.records.find("job") == [put]
    again = store.records.put("job", "a", {"state": "running"})
    assert (again.version, again.document, again.created) == (2, {"state": "running"}, put.created)
    assert store.records.get("job", "a") == again


def test_a_record_changes_from_the_version_that_was_read(store: Store) -> None:
    store.records.put("job", "a", {"state": "queued"}, 0)
    with pytest.raises(Conflict, match="'a': found version 1, expected none"):
        store.records.put("job", "a", {"state": "queued"}, 0)
    store.records.put("job", "a", {"state": "running"}, 1)
    with pytest.raises(Conflict, match="found version 2, expected version 1"):
        store.records.put("job", "a", {"state": "lost"}, 1)
    with pytest.raises(Conflict, match="found none, expected version 3"):
        store.records.put("job", "b", {"state": "lost"}, 3)
    with pytest.raises(Conflict):
        store.records.remove("job", "a", 1)
    kept = store.records.get("job", "a")
    assert kept is not None
    assert (kept.version, kept.document) == (2, {"state": "running"})
    assert names(store, "job") == ["a"]


def test_removed_records_are_gone(store: Store) -> None:
    assert not store.records.remove("job", "a")
    store.records.put("job", "a", {})
    assert store.records.remove("job", "a", 1)
    assert store.records.get("job", "a") is None
    assert store.records.put("job", "a", {}, 0).version == 1


def test_records_are_found_by_the_texts_of_their_documents(store: Store) -> None:
    for name, state, team in (("1", "queued", "a"), ("2", "done", "a"), ("3", "queued", "b"), ("4", "queued", "a")):
        store.records.put("job", name, {"state": state, "team": team, "number": int(name)})
    store.records.put("token", "5", {"state": "queued"})
    assert names(store, "job") == ["1", "2", "3", "4"]
    assert names(store, "job", {"state": "queued"}) == ["1", "3", "4"]
    assert names(store, "job", {"state": "queued", "team": "a"}) == ["1", "4"]
    assert names(store, "job", {"state": "queued", "team": "a"}, newest=True) == ["4", "1"]
    assert names(store, "job", {"state": "queued"}, first=2) == ["1", "3"]
    assert names(store, "job", after="2", first=1) == ["3"]
    assert names(store, "job", after="3", newest=True) == ["2", "1"]
    assert names(store, "nothing") == []
    store.records.put("job", "1", {"team": "a"})
    assert names(store, "job", {"state": "queued"}) == ["3", "4"]


def test_all_records_are_found_however_many_are_looked_up_together(store: Store) -> None:
    for name in "abcdefg":
        store.records.put("letter", name, {"vowel": "yes" if name in "ae" else "no"})
    for together in (1, 2, 5, 7, 8):
        names = [each.name for each in every(store.records, "letter", {"vowel": "no"}, together=together)]
        assert names == ["b", "c", "d", "f", "g"]
        behind = every(store.records, "letter", after="d", together=together, newest=True)
        assert [each.name for each in behind] == ["c", "b", "a"]
    assert list(every(store.records, "digit")) == []


@pytest.mark.parametrize(
    ("kind", "name", "document", "told"),
    [
        ("Job", "a", {}, "kind of a record: found 'Job'"),
        ("job", "", {}, "found 0 characters"),
        ("job", "a" * 501, {}, "found 501 characters"),
        ("job", "a", {"a.b": 1}, "found field 'a.b', expected a word"),
        ("job", "a", {"text": "x" * LARGEST}, "expected 1,048,576 or fewer"),
    ],
)
def test_what_cannot_be_kept_is_refused(store: Store, kind: str, name: str, document: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        store.records.put(kind, name, document)


def test_of_many_that_change_a_record_at_once_one_does(new_store: Callable[[], Store]) -> None:
    count = 6
    wins: list[int] = []
    begin = threading.Barrier(count)

    def change(number: int) -> None:
        with new_store() as own:
            begin.wait()
            for version in range(5):
                try:
                    own.records.put("job", "a", {"by": str(number)}, version)
                    wins.append(version)
                except Conflict:
                    pass

    threads = [threading.Thread(target=change, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with new_store() as store:
        kept = store.records.get("job", "a")
    assert kept is not None
    assert sorted(wins) == list(range(kept.version))


@given(documents=st.dictionaries(TEXT.filter(bool), DOCUMENTS, max_size=5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_document_comes_back(store: Store, documents: dict[str, dict[str, Any]]) -> None:
    for record in store.records.find("any"):
        store.records.remove("any", record.name)
    for name, document in documents.items():
        store.records.put("any", name, document)
    found = {record.name: record.document for record in store.records.find("any")}
    assert found == documents
    for name, document in documents.items():
        texts = {field: value for field, value in document.items() if isinstance(value, str)}
        assert name in names(store, "any", texts)
