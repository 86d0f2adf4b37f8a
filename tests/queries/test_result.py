"""Answers as data frames and as tables of a notebook: their columns, also where there are no rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pytest

from etgraph.model import Trust
from etgraph.model.results import Result, _columns
from etgraph.queries import Hotspots, hotspots
from etgraph.queries.hotspots import Hotspot
from etgraph.queries.questions import QUESTIONS
from etgraph.queries.saving import type_of_answers
from support.build import build


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    lasts_ns: int


@dataclass(frozen=True, slots=True)
class Other:
    share: float


@dataclass(frozen=True, slots=True)
class Toy(Result):
    parts: tuple[Part, ...]
    others: tuple[Other, ...]
    trust: Trust

    FRAME: ClassVar[str] = "parts"
    TABLE: ClassVar[str] = "shown"

    @property
    def shown(self) -> tuple[Part, ...] | tuple[Other, ...]:
        return self.parts or self.others


@pytest.mark.parametrize("parts", [(), (Part("a<b", 2_000_000),)], ids=["empty", "one"])
def test_columns_are_those_of_the_rows_whether_there_are_any(parts: tuple[Part, ...]) -> None:
    toy = Toy(parts, (), Trust())
    assert list(toy.to_pandas().columns) == ["name", "lasts_ns"]
    assert toy.to_pandas().values.tolist() == [["a<b", 2_000_000]] * len(parts)
    html = toy._repr_html_()
    assert "<th>name</th><th>lasts</th>" in html
    assert html.count("<td>") == 2 * len(parts)
    assert ("<td>a&lt;b</td><td>2.000 ms</td>" in html) == bool(parts)


def test_rows_of_a_property_show_the_columns_that_they_have() -> None:
    assert "<th>share</th>" in Toy((), (Other(0.5),), Trust())._repr_html_()


def test_an_answer_without_communication_has_its_columns() -> None:
    found = hotspots(build("rank 0 | thread 1 | aten::a  0..10"))
    assert found == Hotspots((), found.trust)
    assert list(found.to_pandas().columns) == [field.name for field in fields(Hotspot)]
    assert found.to_pandas().empty


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_type_of_an_answer_says_which_columns_its_rows_have(name: str) -> None:
    answers: Any = type_of_answers(name)
    own = {field.name: field.type for field in fields(answers)}
    for field in {answers.FRAME, answers.TABLE} & own.keys():
        if "pa.Table" not in own[field]:  # tables have columns of their own, see `row_of`
            assert len(_columns(answers, field, ())) > 1
