"""What is wrong with a profile is told by line: what was found, what was expected, and what comes near."""

from __future__ import annotations

import pytest

from etgraph.sim.profiles import Problem, ProfileError, load, loads
from etgraph.sim.profiles.library import builtin_text

WHOLE = """\
[device]
name = "D"
vendor = "V"
kind = "gpu"
memory_bandwidth = "1 TB/s"
memory = "10 GB"
units = 10
launch_latency = "4 us"
[device.matrix_flops]
bf16 = "10 TFLOP/s"
[device.vector_flops]
fp32 = "1 TFLOP/s"
[[tiers]]
name = "link"
topology = "ring"
size = 4
bandwidth = "10 GB/s"
latency = "1 us"
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ProfileError) as caught:
        loads(text, file="p.toml")
    return caught.value.problems


def test_the_whole_is_in_order() -> None:
    assert loads(WHOLE).ranks == 4


@pytest.mark.parametrize(
    ("old", "new", "line", "found", "expected", "hint"),
    [
        ('"1 TB/s"', '"-1 TB/s"', 5, '"-1 TB/s"', "0 B/s or more", None),
        ('"1 TB/s"', '"0 TB/s"', 5, '"0 TB/s"', 'a bandwidth such as "3.35 TB/s", more than 0', None),
        ('"1 TB/s"', '"1 TBs"', 5, '"1 TBs"', 'a bandwidth such as "3.35 TB/s"', "did you mean 'TB/s'?"),
        ('"1 TB/s"', "1e12", 5, "1000000000000.0", 'a bandwidth such as "3.35 TB/s"', "with its unit, in quotes"),
        ('"1 TB/s"', "[1]", 5, "an array", 'a bandwidth such as "3.35 TB/s"', None),
        ('"1 TB/s"', "true", 5, "true", 'a bandwidth such as "3.35 TB/s"', None),
        ('"10 GB"', '"10.5 B"', 6, '"10.5 B"', "a whole number of bytes", None),
        ('"10 GB"', '"0 B"', 6, '"0 B"', "1 B or more", None),
        ('"10 GB"', '"1000000 PB"', 6, '"1000000 PB"', "at most 9,007,199,254,740,992", None),
        ("units = 10", "units = 0", 7, "0", "1 or more", None),
        ("units = 10", "units = 10.0", 7, "10.0", "a whole number, 1 or more", None),
        ("units = 10", 'units = "10"', 7, '"10"', "a whole number, 1 or more", None),
        ("units = 10", "units = { value = 10, source = 3 }", 7, "3", "a text", None),
        ('kind = "gpu"', 'kind = "gqu"', 4, '"gqu"', "one of gpu, tpu, cpu", "did you mean 'gpu'?"),
        ('kind = "gpu"', "kind = 1", 4, "1", "one of gpu, tpu, cpu", None),
        ('name = "D"', "name = 1979-05-27", 2, "datetime.date(1979, 5, 27)", "a text", None),
        ("bf16 =", "bf61 =", 10, "an unknown key", "one of fp64, fp32, tf32", "did you mean 'bf16'?"),
        ('units = 10', 'unit = 10', 7, "an unknown key", "one of units, cache", "did you mean 'units'?"),
        ("size = 4", "size = 0", 16, "0", "1 or more", None),
        ('"ring"', '"torus"', 15, '"torus"', "one of ring, switch, fully-connected", None),
        ("[[tiers]]", "[tiers]", 13, "a table", "rows, each [[tiers]]", None),
        ("[device.matrix_flops]", "[device.matrix_flop]", 9, "an unknown key", "one of matrix_flops", "did you mean"),
        ("latency = \"1 us\"", 'latency = "1 us"\nlinks = -1', 19, "-1", "1 or more", None),
    ],
)  # fmt: skip
def test_one_problem(old: str, new: str, line: int, found: str, expected: str, hint: str | None) -> None:
    (problem,) = problems(WHOLE.replace(old, new, 1))
    assert (problem.file, problem.line, problem.found) == ("p.toml", line, found)
    assert problem.expected.startswith(expected)
    assert (problem.hint or "").startswith(hint or "")


def test_what_is_missing_is_told_where_it_belongs() -> None:
    (problem,) = problems(WHOLE.replace('memory = "10 GB"\n', ""))
    assert (problem.line, problem.path, problem.found) == (1, "device.memory", "nothing")
    (problem,) = problems('name = "x"')
    assert (problem.line, problem.path, problem.expected) == (None, "device", "a table, [device]")


def test_a_tier_that_stands_twice() -> None:
    (problem,) = problems(WHOLE + WHOLE[WHOLE.index("[[tiers]]") :])
    assert (problem.line, problem.path, problem.found) == (20, "tiers.link", "a name that is there already")
    (problem,) = problems('extends = "dgx-h100"\n' + '[[tiers]]\nname = "nvlink"\n' * 2 + "size = 4\n")
    assert (problem.line, problem.path) == (5, "tiers.nvlink")


def test_tiers_join_as_many_devices_as_the_file_says() -> None:
    (problem,) = problems("ranks = 8\n" + WHOLE)
    assert str(problem) == "line 1, ranks: found 8, expected 4, as the tiers join (4)"


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a = 1\nb = \nc = 3\n", 2, "what is no TOML (invalid value"),
        ("a = 1\na = 2\nb = 1", 2, "a key or table that is there already"),
        ("[a]\n[b]\n[a]\n", 3, "a key or table that is there already"),
        ('a = "x\n', 1, "what is no TOML (illegal character"),
        ("\n[a\n\n", 2, "what is no TOML (expected ']'"),
        ("a = 1\nb = [1,\n\n", 2, "what is no TOML (invalid value"),
        ("a = " + "[" * 2000, None, ""),
        ("a = " + "1" * 5000, None, ""),
    ],
)
def test_a_text_that_is_no_toml(text: str, line: int | None, found: str) -> None:
    (problem,) = problems(text)
    assert problem.found.startswith(found)
    assert problem.line == line or line is None


@pytest.mark.parametrize("text", ["b = {max = 5%}", "b = 10 GB/s", "b = [1]\nc = 2.5ms"])
def test_an_amount_that_is_no_text_is_told(text: str) -> None:
    (problem,) = problems(text)
    amount = text.rpartition("= ")[2].removesuffix("}")
    assert problem.hint == f'an amount with a unit is a text: "{amount}"'


def test_references_are_texts() -> None:
    (problem,) = problems("\n[references]\na = 1\n" + WHOLE)
    assert (problem.line, problem.path) == (2, "references")


def test_all_problems_are_told_together_in_order() -> None:
    bad = WHOLE.replace('"1 TB/s"', '"1 TBs"').replace("size = 4", "size = 0").replace("units", "unitz")
    with pytest.raises(ProfileError) as caught:
        loads(bad, file="p.toml")
    message = str(caught.value).splitlines()
    assert message[0] == "p.toml: 3 problems"
    assert [line.split(":")[0] for line in message[1:]] == [
        "  line 5, device.memory_bandwidth", "  line 7, device.unitz", "  line 16, tiers.link.size"
    ]  # fmt: skip
    assert (caught.value.exit_code, caught.value.code) == (3, "BAD_PROFILE")


def test_any_line_that_is_spoilt_is_the_line_that_is_told() -> None:
    """Each figure of a built-in file in turn is given a unit that does not exist."""
    lines = builtin_text("mi300x").splitlines()
    spoilt = [number for number, line in enumerate(lines) if "value = " in line]
    assert len(spoilt) > 20
    for number in spoilt:
        changed = [*lines[:number], lines[number].replace("value = ", "value = [], other = "), *lines[number + 1 :]]
        (problem,) = problems("\n".join(changed))
        assert problem.line == number + 1
    assert load("mi300x")
