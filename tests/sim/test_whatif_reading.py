"""Changes as options and as files: what they say, what is wrong about them, and the schema for editors."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from etgraph.model.errors import NotFound, UsageError
from etgraph.sim.what_if.declared import (
    CHANGES,
    Buckets,
    Change,
    Collective,
    LaunchLatency,
    Merge,
    Overlap,
    QueueDepth,
    Remove,
    Scale,
    Split,
    Work,
    in_words,
)
from etgraph.sim.what_if.reading import ChangesError, change, load, loads
from etgraph.sim.what_if.schema import changes_schema, schema_text

DOCS = Path(__file__).resolve().parents[2] / "docs" / "simulation"
WHOLE = """
[[changes]]
change = "scale"
pattern = "aten::mm@1"
factor = 0.5

[[changes]]
change = "work"
after = "aten::randint@1"
like = "aten::linear@1"
count = 24
place = "first"

[[changes]]
change = "collective"
after = "*copy_bucket_to_grad"
type = "all_gather"
size = "4 MiB"
count = 6
awaited = "aten::add_"

[[changes]]
change = "launch-latency"
latency = "2 us"

[[changes]]
change = "buckets"
size = "25 MB"
"""
MEANT: tuple[Change, ...] = (
    Scale("aten::mm@1", 0.5), Work("aten::randint@1", like="aten::linear@1", count=24, place="first"),
    Collective("*copy_bucket_to_grad", "all_gather", 4 << 20, count=6, awaited="aten::add_"), LaunchLatency(2_000),
    Buckets(25_000_000),
)  # fmt: skip


def test_a_file_says_changes_in_its_order(tmp_path: Path) -> None:
    assert loads(WHOLE) == MEANT
    (tmp_path / "changes.toml").write_text(WHOLE)
    assert load(tmp_path / "changes.toml") == MEANT
    with pytest.raises(NotFound, match="no such file"):
        load(tmp_path / "other.toml")


@pytest.mark.parametrize(("option", "text", "meant"), [
    ("scale", "aten::mm@1=0.5", Scale("aten::mm@1", 0.5)), ("scale", "f<a=b>=2", Scale("f<a=b>", 2.0)),
    ("remove", "*barrier*", Remove("*barrier*")), ("split", "*all_reduce*=4", Split("*all_reduce*", 4)),
    ("merge", "*all_reduce*", Merge("*all_reduce*")), ("overlap", "nccl*", Overlap("nccl*")),
    ("launch-latency", "2us", LaunchLatency(2_000)), ("launch-latency", "500 ns", LaunchLatency(500)),
    ("launch-latency", "x0.5", LaunchLatency(factor=0.5)), ("launch-latency", "x2", LaunchLatency(factor=2.0)),
    ("queue-depth", "64", QueueDepth(64)), ("buckets", "25MB", Buckets(25_000_000)),
])  # fmt: skip
def test_an_option_says_a_change(option: str, text: str, meant: Change) -> None:
    assert change(option, text) == meant


@pytest.mark.parametrize(("option", "text", "message"), [
    ("scale", "aten::mm", "--scale 'aten::mm': found no pattern and '=', expected PATTERN=FACTOR"),
    ("scale", "aten::mm=fast", "--scale 'aten::mm=fast': found \"fast\", expected a number, 0 or more"),
    ("scale", "aten::mm=-1", "--scale 'aten::mm=-1': found -1, expected 0 or more"),
    ("scale", "aten::mm=1e300", "--scale 'aten::mm=1e300': found 1e+300, expected at most 1,000,000"),
    ("launch-latency", "x1e9", "--launch-latency 'x1e9': found 1000000000.0, expected at most 1,000,000"),
    ("launch-latency", "2", "--launch-latency '2': found a bare number, expected a time or a factor"),
    ("split", "x=100001", "--split 'x=100001': found 100001, expected at most 100,000"),
    ("split", "x=0", "--split 'x=0': found 0, expected 1 or more"),
    ("split", "x=1.5", "--split 'x=1.5': found 1.5, expected a whole number, 1 or more"),
    ("launch-latency", "2 parsecs", "--launch-latency '2 parsecs': found \"2 parsecs\", expected a time such as"),
    ("queue-depth", "deep", "--queue-depth 'deep': found \"deep\", expected a whole number, 1 or more"),
    ("buckets", "25", "--buckets '25': found \"25\", expected a size such as"),
])  # fmt: skip
def test_an_option_that_says_nothing_is_told_of(option: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        change(option, text)
    assert error.value.message.startswith(message)


@pytest.mark.parametrize(("old", "new", "line", "problem"), [
    ('change = "scale"', 'change = "scales"', 3, 'found "scales", expected one of scale, remove'),
    ('change = "scale"\n', "", 2, "found nothing, expected one of scale"),
    ("factor = 0.5", 'factor = "half"', 5, 'found "half", expected a number, 0 or more'),
    ("factor = 0.5", "factr = 0.5", 5, "found an unknown key, expected factor (did you mean 'factor'?)"),
    ('place = "first"', 'place = "second"', 12, 'found "second", expected one of last, first, each'),
    ('like = "aten::linear@1"', 'like = "aten::linear@1"\ntime = "1 ms"', 7, "found both of time and like"),
    ('type = "all_gather"', 'type = "gather_all"', 17, 'found "gather_all", expected one of'),
    ("count = 24", "count = 1_000_000", 11, "found 1000000, expected at most 100,000"),
    ('size = "4 MiB"', "size = 4", 18, "found 4, expected a size such as"),
    ('[[changes]]\nchange = "buckets"', '[changed]\nchange = "buckets"', 26, "found an unknown key, expected changes"),
])  # fmt: skip
def test_a_problem_of_a_file_has_its_line(old: str, new: str, line: int, problem: str) -> None:
    assert old in WHOLE
    with pytest.raises(ChangesError) as error:
        loads(WHOLE.replace(old, new, 1))
    (found,) = error.value.problems
    assert (found.line, problem in str(found)) == (line, True), found


def test_the_two_forms_of_a_launch_latency_are_a_hint() -> None:
    with pytest.raises(UsageError) as error:
        change("launch-latency", "2")
    assert error.value.hint == "2us is a time, x2 twice what it was"


def test_a_file_without_changes() -> None:
    for text in ("", "changes = []", "changes = 3"):
        with pytest.raises(ChangesError, match=r"expected rows, each \[\[changes\]\]"):
            loads(text)


def test_every_change_can_be_told() -> None:
    assert [in_words(each) for each in MEANT] == [
        "aten::mm@1 × 0.5", "24 × work like aten::linear@1 after aten::randint@1",
        "6 × all_gather of 4 MiB after *copy_bucket_to_grad, awaited by aten::add_", "launch latency of 2 us",
        "buckets of 25 MB",
    ]  # fmt: skip
    assert {type(each) for each in MEANT} < set(CHANGES.values())


def test_the_schema_is_that_of_the_declaration() -> None:
    told = "run: python -m etgraph.sim.what_if.schema > docs/simulation/changes.schema.json"
    assert (DOCS / "changes.schema.json").read_text("utf-8") == schema_text(), told


def valid(text: str) -> bool:
    validator = jsonschema.Draft202012Validator(json.loads(json.dumps(changes_schema())))
    return not list(validator.iter_errors(tomllib.loads(text)))


def test_changes_fit_the_schema() -> None:
    assert valid(WHOLE)


@pytest.mark.parametrize(("old", "new"), [
    ('"scale"', '"scales"'), ("factor = 0.5", 'factor = "half"'), ("factor = 0.5", ""), ('"4 MiB"', "4"),
    ('"first"', '"second"'), ("all_gather", "gather_all"), ("count = 24", "count = 0"), ("awaited", "awaits"),
    ("count = 24", "count = 1_000_000"), ("factor = 0.5", "factor = 1e7"),
])  # fmt: skip
def test_the_schema_refuses_what_reading_refuses(old: str, new: str) -> None:
    text = WHOLE.replace(old, new, 1)
    assert not valid(text)
    with pytest.raises(ChangesError):
        loads(text)
