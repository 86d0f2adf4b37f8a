"""The namespace package stays whole: layout, import rules, names, docstrings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from house import guards

ROOT = Path(__file__).resolve().parents[2]


def plant(root: Path, files: dict[str, str]) -> Path:
    """A repository of the given files below root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


MODEL = {"model/etgraph/model/__init__.py": '"""The model."""\n', "model/etgraph/model/py.typed": ""}

GUARDS: list[Callable[[Path], list[str]]] = [
    guards.namespace_violations,
    guards.layout_violations,
    guards.import_violations,
    guards.docstring_violations,
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_the_repository_keeps_the_rule(guard: Callable[[Path], list[str]]) -> None:
    assert guard(ROOT) == []


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_a_tidy_tree_is_no_violation(guard: Callable[[Path], list[str]], tmp_path: Path) -> None:
    assert guard(plant(tmp_path, MODEL)) == []


def test_the_guards_see_the_packages() -> None:
    assert guards.source_roots(ROOT)
    assert {guards.package_of(folder) for folder in guards.source_roots(ROOT)} <= set(guards.MAY_IMPORT)
    assert len(list(guards.modules(ROOT))) > len(guards.source_roots(ROOT))


@pytest.mark.parametrize("place", ["model", "model/etgraph"])
def test_an_init_file_in_the_namespace_is_found(place: str, tmp_path: Path) -> None:
    plant(tmp_path, MODEL | {f"{place}/__init__.py": ""})
    assert guards.namespace_violations(tmp_path) == [f"{place}/__init__.py must not exist"]


def test_an_untyped_package_is_found(tmp_path: Path) -> None:
    plant(tmp_path, {"model/etgraph/model/__init__.py": ""})
    assert guards.layout_violations(tmp_path) == ["model/etgraph/model/py.typed is missing"]


def test_a_package_in_a_foreign_root_is_found(tmp_path: Path) -> None:
    plant(tmp_path, MODEL | {"model/etgraph/store/__init__.py": ""})
    assert guards.layout_violations(tmp_path) == ["model/etgraph/store does not belong to package etgraph.model"]


def test_a_folder_of_tests_named_graphql_is_found(tmp_path: Path) -> None:
    plant(tmp_path, {"tests/graphql/test_schema.py": ""})
    (violation,) = guards.layout_violations(tmp_path)
    assert "tests/graphql" in violation


@pytest.mark.parametrize(
    "text",
    [
        "import etgraph.store",
        "import etgraph.model, etgraph.store.local as local",
        "from etgraph.store import connect",
        "from etgraph import store",
        "from ..store import connect",
        "from .. import store",
        "def lazy():\n    from etgraph.store.local import LocalStore",
        "import importlib\nimportlib.import_module('etgraph.store')",
    ],
)
def test_an_upward_import_is_found(text: str, tmp_path: Path) -> None:
    plant(tmp_path, MODEL | {"model/etgraph/model/trace.py": text})
    (violation,) = guards.import_violations(tmp_path)
    assert violation.startswith("model/etgraph/model/trace.py:")
    assert violation.endswith("imports etgraph.store")


@pytest.mark.parametrize(
    "text",
    [
        "import etgraph",
        "from etgraph.model import Trace",
        "from .errors import EtgraphError",
        "from . import errors",
        "import store",
    ],
)
def test_an_import_of_the_own_package_is_allowed(text: str, tmp_path: Path) -> None:
    assert guards.import_violations(plant(tmp_path, MODEL | {"model/etgraph/model/trace.py": text})) == []


def test_an_unknown_package_is_found(tmp_path: Path) -> None:
    plant(tmp_path, {"extra/etgraph/extra/__init__.py": ""})
    assert guards.import_violations(tmp_path) == ["extra/ holds etgraph.extra, which has no row in MAY_IMPORT"]


def test_the_rows_only_point_downward() -> None:
    for package, row in guards.MAY_IMPORT.items():
        assert package not in row
        for below in row:
            assert package not in guards.MAY_IMPORT[below], f"{package} and {below} import each other"


def test_a_module_without_docstring_is_found(tmp_path: Path) -> None:
    plant(tmp_path, MODEL | {"model/etgraph/model/trace.py": "x = 1\n", "model/etgraph/model/_private.py": "x = 1\n"})
    assert guards.docstring_violations(tmp_path) == ["model/etgraph/model/trace.py has no docstring"]


def test_graphql_is_none_of_our_folders() -> None:
    assert guards.graphql_violations(ROOT, sys.path) == []
    assert guards.graphql_violations(ROOT, [str(ROOT), *sys.path]) == []


@pytest.mark.parametrize("file", ["graphql/__init__.py", "graphql/etgraph/api/__init__.py"])
def test_a_shadowed_graphql_is_found(file: str, tmp_path: Path) -> None:
    plant(tmp_path, {file: ""})
    (violation,) = guards.graphql_violations(tmp_path, [str(tmp_path)])
    assert violation.startswith("graphql resolves to ")
