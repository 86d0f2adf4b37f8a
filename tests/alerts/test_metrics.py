"""The language of metrics: what it reads, what it refuses and says about it, and the numbers that it gives."""

from __future__ import annotations

import dataclasses

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etgraph.alerts.language.amounts import NotAnAmount, amount, amount_of, readable
from etgraph.alerts.language.expressions import ExpressionError, Path, parse
from etgraph.alerts.language.meaning import LONGEST, metric
from etgraph.alerts.language.narrowing import narrowed
from etgraph.alerts.language.vocabulary import QUESTIONS, STRUCTURAL, Number, Rows, option_of
from etgraph.alerts.rules.rule import Aggregate, Where
from etgraph.alerts.runs import Run, measure
from etgraph.cli.main import main
from etgraph.model.results import camel_case
from etgraph.queries import breakdown, hotspots, iterations, whatif
from etgraph.queries.questions import OF_SEVERAL, question
from etgraph.queries.questions import QUESTIONS as ALL_QUESTIONS
from etgraph.queries.whatif import Remove, Scale
from support.build import build

STEPS = """
    rank 0 | thread 1 | iteration ProfilerStep#0  0..100
    rank 0 | thread 1 | aten::mm                  0..60
    rank 0 | thread 1 | gloo:all_reduce 4MB      60..90
    rank 0 | thread 1 | iteration ProfilerStep#1  100..300
    rank 0 | thread 1 | aten::mm                100..200
    rank 0 | thread 1 | gloo:all_gather 8MB     200..280
    rank 1 | thread 1 | iteration ProfilerStep#0  0..100
    rank 1 | thread 1 | aten::relu                0..80
    rank 1 | thread 1 | gloo:all_reduce 4MB      80..90
    rank 1 | thread 1 | iteration ProfilerStep#1  100..300
    rank 1 | thread 1 | gloo:all_gather 8MB     260..280
"""


def numbers(text: str, where: Where | None = None, **aggregate: str) -> tuple[float, ...]:
    """What a metric gives on the steps of the trace above."""
    found = measure(Run("a", build(STEPS)), metric(text), where or Where(), Aggregate(**aggregate))  # type: ignore[arg-type]
    return found.steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("iterations.durationNs", (100, 200)),
        ("iterations.durationNs / 2", (50, 100)),
        ("-iterations.durationNs + 1us", (900, 800)),
        ("(iterations.durationNs - 50ns) * 2", (100, 300)),
        ("iterations.durationNs - 50ns * 2", (0, 100)),
        ("100 - 10 - sum(structure.operators.count)", (86, 87)),  # from the left
        ("sum(structure.operators.count)", (4, 3)),
        ("count(structure.operators)", (4, 3)),
        ('sum(structure.operators[name~"aten::*"].count)', (2, 1)),
        ('sum(structure.operators[name!~"aten::*", rank=1].count)', (1, 1)),
        ('sum(structure.collectives[type="ALL_reduce"].bytes)', (2 * (4 << 20), 0)),
        ("max(structure.collectives.bytes)", (4 << 20, 8 << 20)),
        ("max(0, sum(structure.collectives.count) - 2)", (0, 0)),
        ("min(breakdown.exposedCommunicationNs)", (10, 20)),
        ("sum(breakdown.exposedCommunicationNs / (breakdown.endNs - breakdown.startNs))", (0.4, 0.5)),
        ("sum(stragglers.byRank[rank<1].waitNs)", (20, 60)),
        ("sum(hotspots.waitNs)", (20, 60)),
        ('hotspots[key="all_reduce"].waitNs', (20,)),  # no row, no number: the second step has none
        ("median(operators.count) * 0", (0, 0)),
    ],
)
def test_a_metric_gives_a_number_a_step(text: str, steps: tuple[float, ...]) -> None:
    assert numbers(text) == pytest.approx(steps)


def test_rows_that_are_left_are_one_a_rank_and_become_one_number() -> None:
    text = "breakdown.exposedCommunicationNs"
    assert numbers(text) == (30, 80)
    assert numbers(text, ranks="mean") == (20, 50)
    assert numbers(text, ranks="sum", iterations="together") == (140,)
    assert numbers(text, Where(rank=1)) == (10, 20)
    assert numbers(text, Where(iterations=(1,))) == (80,)


def test_a_metric_is_what_the_queries_say() -> None:
    trace = build(STEPS)
    rows = {row.key: row for row in hotspots(trace).rows}
    (found,) = numbers('hotspots[key="ALL_GATHER"].busBandwidth', iterations="together")
    assert found == rows["ALL_GATHER"].bus_bandwidth
    assert numbers("iterations.medianNs")[0] == iterations(trace).median_ns
    shares = [1 - each.computation_ns / (each.end_ns - each.start_ns) for each in breakdown(trace, each=True).windows]
    assert max(numbers("1 - breakdown.computationNs / (breakdown.endNs - breakdown.startNs)")) == max(shares)


def test_what_is_not_recorded_is_missing_and_what_divides_by_nothing_too() -> None:
    run = Run("a", build(STEPS))
    for text, why in (
        ("memory.peakBytes", "no memory events"),
        ("deviceUse.busyShare", "operators on a device"),
        ("sum(hotspots.waitNs) / (sum(hotspots.waitNs) - sum(hotspots.waitNs))", "does not occur"),
        ('min(hotspots[key="broadcast"].busBandwidth)', "does not occur"),
    ):
        found = measure(run, metric(text), Where(), Aggregate())
        assert (found.value, found.steps) == (None, ())
        assert why in str(found.missing)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("breakdown.idleNs", "ns"),
        ("breakdown.idleNs / breakdown.computationNs", "share"),
        ("sum(hotspots.bytes) * 2", "bytes"),
        ("hotspots.busBandwidth", "bytes/s"),
        ("operators.flopsPerS", "flop/s"),
        ("sum(hotspots.bytes) / sum(hotspots.transferNs)", "count"),
        ("count(findings)", "count"),
        ("findings.gainShare + 1", "share"),
        ("max(0, sum(hotspots.waitNs))", "ns"),
        ("0 - sum(hotspots.waitNs)", "ns"),
        ("compare.differenceNs / compare.baseNs", "share"),
        ("sum(changes.added)", "count"),
        ('waterfall.steps[name="host"].ns', "ns"),
        ("whole", None),
    ],
)
def test_units_come_from_names(text: str, unit: str | None) -> None:
    if unit is None:
        with pytest.raises(ExpressionError):
            metric(text)
    else:
        assert metric(text).unit == unit


@pytest.mark.parametrize(
    ("text", "at", "found", "hint"),
    [
        ("", 1, "the end", None),
        ("1 + 2", 1, "numbers only", None),
        ("breakdwn.idleNs", 1, "no question 'breakdwn'", "did you mean 'breakdown'?"),
        ("breakdown.exposedComunicationNs", 11, "no field", "did you mean 'exposedCommunicationNs'?"),
        ("breakdown.idle_ns", 11, "no field", "did you mean 'idleNs'?"),
        ("sum(hotspots[kye='a'].bytes)", 14, "no field 'kye'", "did you mean 'key'?"),
        ("sum(hotspots[key=3].bytes)", 14, "key = 3", None),
        ("sum(hotspots[bytes='a'].bytes)", 14, "bytes = 'a'", None),
        ("sum(hotspots[key<'a'].bytes)", 14, "< with a text", None),
        ("sum(hotspots(by='typ').bytes)", 5, "by='typ'", "did you mean 'type'?"),
        ("sum(breakdown(by='family').bytes)", 28, "no field 'bytes'", None),
        ("hotspots.key", 10, "key, a text", None),
        ("trust", 1, "no question 'trust'", None),
        ("hotspots", 1, "rows", "name a field of them, or count(…) them"),
        ("sum(hotspots)", 5, "rows", "name a field of them"),
        ("sum(memory.peakBytes)", 1, "sum of one number", None),
        ("mean(1, 2)", 1, "2 arguments of mean", None),
        ("breakdown.idleNs + hotspots.bytes", 18, "rows of", None),
        ("sum(breakdown.idleNs) + sum(hotspots.bytes)", 23, "ns + bytes", None),
        ("iterations.medianNs[rank=0]", 21, "a condition on medianNs", None),
        ("iterations.medianNs.ns", 21, "a field 'ns' of medianNs", None),
        ("breakdown.idleNs )", 18, "')'", None),
        ("breakdown.", 11, "the end", None),
        ("hotspots[key='a].bytes", 14, '"\'"', None),
        ("breakdown.idleNs ; 1", 18, "';'", None),
        ("5 parsecs", 3, "'parsecs'", None),
        ("(" * 60 + "1" + ")" * 60, 51, "more than 50", None),
        ("1+" * LONGEST, LONGEST + 1, "2,000 characters", None),
        ("__import__('os')", 12, "\"'os'\"", None),
    ],
)
def test_what_means_nothing_is_refused_at_its_place(text: str, at: int, found: str, hint: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        metric(text)
    told = caught.value
    assert (told.at + 1, told.hint if hint else None) == (at, hint)
    assert found in told.found


@given(st.text(alphabet="breakdown.idleNs hotspots[key='a~=!<>]()+-*/,0123456789%msKiB\"", max_size=60))
def test_any_text_is_a_metric_or_refused(text: str) -> None:
    told: ExpressionError | None = None
    try:
        metric(text)
    except ExpressionError as error:
        told = error
    assert told is None or 0 <= told.at <= len(text)


NUMBERS = st.integers(0, 1000).map(str)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(inner, st.sampled_from("+-*"), inner).map(" ".join),
        inner.map(lambda part: f"-{part}"),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_arithmetic_is_that_of_python(text: str) -> None:
    from etgraph.alerts.language.evaluating import evaluate

    def no_answers(path: Path) -> None:
        raise AssertionError

    assert evaluate(parse(text), no_answers).numbers == (pytest.approx(eval(text)),)  # type: ignore[arg-type]


def test_every_question_about_one_trace_can_be_asked() -> None:
    """And what about several: metrics have every question that there is, and those that only they ask."""
    asked = {camel_case(name.replace("-", "_")) for name in (*ALL_QUESTIONS, *OF_SEVERAL)}
    assert set(QUESTIONS) == asked | {*STRUCTURAL, "times"}
    assert {name for name, each in QUESTIONS.items() if each.of == "pair"} == {*OF_SEVERAL, "changes"}
    for name, each in QUESTIONS.items():
        command = main.get_command(click.Context(main), each.command.split()[0])
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert {f"--{option_of(change)}" for change in each.changes} <= options, name
        assert "--by" in options or not each.groupings, name
    for name, each in QUESTIONS.items():
        assert isinstance(each.table, Rows), name
        assert any(isinstance(field.kind, Number) for field in each.table.of.fields.values()), name
        assert all(isinstance(choice, str) for choice in each.groupings)


def test_the_answers_are_of_the_classes_that_metrics_are_checked_by() -> None:
    trace = build(STEPS)
    for name in (
        "breakdown", "hotspots", "commMatrix", "stragglers", "operators", "iterations", "findings", "waterfall",
        "whatif",
    ):  # fmt: skip
        assert type(question(QUESTIONS[name].command)(trace)) is QUESTIONS[name].answer
        assert dataclasses.is_dataclass(QUESTIONS[name].answer)


def test_who_sends_how_much_to_whom() -> None:
    """Of an all-reduce of 4 MB each of two ranks sends the other 4 MB: a half of it, twice."""
    assert numbers("commMatrix.bytes") == (4 << 20, 4 << 20)
    assert numbers("sum(commMatrix.pairs[rank=0, peer=1].transferNs)") == (10, 20)
    assert numbers("commMatrix.unattributedBytes") == (0, 0)
    assert metric("commMatrix.bytes").unit == "bytes"


def test_a_run_that_is_changed() -> None:
    trace = build(STEPS)
    run = Run("a", trace)

    def first(text: str) -> float | None:
        return measure(run, metric(text), Where(), Aggregate()).value

    changes = (Remove("aten::relu"), Scale("aten::mm", 0.5))
    expected = whatif(trace, changes)
    asked = 'whatif(remove="aten::relu", scale="aten::mm=0.5")'
    assert first(f"{asked}.predictedNs") == expected.predicted_ns < expected.measured_ns
    assert first(f"1 - {asked}.predictedNs / {asked}.measuredNs") == pytest.approx(-expected.change)
    assert first('sum(whatif(by="category").criticalNs)') == sum(
        one.critical_ns for one in whatif(trace, by="category").sensitivities
    )
    assert first("max(whatif.operators.ownNs)") == 200 - 100
    missing = measure(run, metric('whatif(remove="aten::conv").predictedNs'), Where(), Aggregate()).missing
    assert missing is not None
    assert "names no operator" in missing


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('whatif(remov="a").predictedNs', "found 'remov', expected .*remove"),
        ('whatif(scale="a").predictedNs', "found scale='a', expected PATTERN=FACTOR"),
        ('whatif(scale="a=fast").predictedNs', "found scale='a=fast', expected a number"),
        ('whatif(launch_latency="2").predictedNs', "expected a time or a factor"),
        ('whatif(remove="a" scale="b=2").predictedNs', r"found 'scale', expected '\)'"),
        ('whatif(by="name", by="name").predictedNs', "found by twice"),
        ('hotspots(remove="a").waitNs', "hotspots knows nothing else"),
        ('commMatrix(by="rank").bytes', "commMatrix has none"),
        ("commMatrix.ranks", "no number"),
    ],
)
def test_changes_are_read_when_the_metric_is(text: str, told: str) -> None:
    with pytest.raises(ExpressionError, match=told):
        metric(text)


def test_one_operator_scope_group_or_size() -> None:
    run = Run("a", build(STEPS))

    def steps(text: str, **wanted: str) -> tuple[float, ...]:
        return measure(run, narrowed(metric(text), **wanted), Where(), Aggregate(ranks="sum")).steps

    assert steps("structure.operators.count", operator="AT*") == (2, 1)
    assert steps("operators.count", operator="aten::mm") == (1, 1)
    assert steps("hotspots.waitNs", size="1 to 10 MB") == (20, 60)
    assert steps("sum(hotspots.waitNs) / 2", size="10 to *") == (0, 0)
    for key, text in (
        ("scope", "iterations.durationNs"), ("group", "sum(operators.count)"), ("size", "count(findings)"),
    ):  # fmt: skip
        with pytest.raises(ExpressionError, match=f"{key} of a metric of .* can be told apart by {key}"):
            narrowed(metric(text), **{key: "a"})
    with pytest.raises(ExpressionError, match="by="):
        narrowed(metric("sum(hotspots(by='type').bytes)"), group="a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2ms", (2e6, "ns")), ("1.5 us", (1500, "ns")), ("64KiB", (65536, "bytes")), ("10 GB/s", (1e10, "bytes/s")),
     ("10%", (0.1, "share")), ("3", (3, "count")), ("-1", (-1, "count")), ("1e3", (1000, "count")),
     ("1 TFLOP/s", (1e12, "flop/s"))],
)  # fmt: skip
def test_amounts(text: str, expected: tuple[float, str]) -> None:
    assert amount(text) == expected


@pytest.mark.parametrize("text", ["", "ms", "3 parsecs", "10 %%", "nan", "1 ms 2 us"])
def test_no_amounts(text: str) -> None:
    with pytest.raises(NotAnAmount, match="an amount such as"):
        amount(text)


def test_an_amount_must_be_of_the_metrics_unit() -> None:
    assert amount_of("0.05", "share") == amount_of("5%", "share")
    assert amount_of("0", "ns") == 0
    for text, unit in (("5", "ns"), ("2ms", "bytes"), ("5%", "count"), ("1 GB", "bytes/s")):
        with pytest.raises(NotAnAmount, match=unit):
            amount_of(text, unit)  # type: ignore[arg-type]
    assert readable(None, "ns") == "–"
