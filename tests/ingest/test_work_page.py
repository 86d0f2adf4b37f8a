"""The page about the work of operators follows from the formulas."""

from __future__ import annotations

from pathlib import Path

import pytest

from etgraph.ingest import read
from etgraph.ingest.work.documentation import families_markdown, work_page
from etgraph.ingest.work.families import FAMILIES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "work.md"


def test_the_page_is_what_the_formulas_say() -> None:
    expected = work_page()
    assert PAGE.read_text("utf-8") == expected, "run: python -m etgraph.ingest.work.documentation > docs/work.md"


def test_every_family_and_operator_is_on_it() -> None:
    page = families_markdown()
    for family in FAMILIES:
        assert f"### {family.name}\n" in page
        for name in family.formulas:
            assert f"`{name.removeprefix('aten::').removesuffix('_')}" in page, name


def test_its_example_is_what_the_trace_gives(collection_dir: Path) -> None:
    trace = read(collection_dir / "kineto_tb/resnet50_num_workers_0/worker0.1623143089861.pt.trace.json.gz")
    o = trace.operators
    first = next(row for row in range(len(o)) if o.value("name", row) == "aten::cudnn_convolution")
    flops, size = o.value("flops", first), o.value("bytes", first)
    assert flops == 2 * 32 * 112 * 112 * 64 * 3 * 7 * 7
    assert size == 4 * (4_816_896 + 9_408 + 25_690_112)
    text = PAGE.read_text("utf-8")
    assert f"{flops / 1e9:.2f} GFLOP" in text
    assert f"= {size / 1e6:.0f} MB" in text
    assert size / 1e6 == pytest.approx(122, abs=0.5)
