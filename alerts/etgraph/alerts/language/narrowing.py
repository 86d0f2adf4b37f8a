"""Metrics of a part of a run: rows of one scope, operator, process group or class of size only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from etgraph.alerts.language.expressions import Call, Condition, Expression, ExpressionError, Operation, Path
from etgraph.alerts.language.meaning import Metric
from etgraph.alerts.language.vocabulary import QUESTIONS, Fields, Kind, Rows

_ROWS: Final[Mapping[str, Mapping[str, tuple[str | None, str]]]] = MappingProxyType(
    {
        "breakdown": {"scope": ("scope", "key")},
        "hotspots": {"scope": ("scope", "key"), "group": ("group", "key"), "size": ("size", "key")},
        "operators": {"scope": ("scope", "key"), "operator": (None, "key")},
        "memory": {"scope": ("scope", "key"), "operator": (None, "key")},
        "criticalPath": {"operator": (None, "name")},
        "whatif": {"scope": ("scope", "key"), "operator": (None, "key")},
        "stragglers": {"group": (None, "group")},
        "structure": {"operator": (None, "name"), "group": (None, "group")},
        "times": {"operator": (None, "name"), "group": (None, "group")},
        "changes": {"operator": (None, "key")},
        "compare": {"operator": (None, "key")},
    }
)
"""For each question what its rows can be told apart by: what it is grouped by for that, and the field."""


def narrowed(metric: Metric, **wanted: str | None) -> Metric:
    """The metric on rows that fit the one glob that is given; itself where there is none.

    Raises ExpressionError where none of its questions has such rows, or groups by something else.
    """
    for key, pattern in wanted.items():
        if pattern is not None:
            expression = _narrowed(metric.expression, key, pattern)
            if expression == metric.expression:
                able = [name for name, keys in _ROWS.items() if key in keys]
                raise ExpressionError(
                    0, f"{key} of a metric of {', '.join(metric.questions)}",
                    f"rows of {', '.join(able[:-1])} or {able[-1]}, which can be told apart by {key}",
                )  # fmt: skip
            return replace(metric, expression=expression)
    return metric


def _narrowed(expression: Expression, key: str, pattern: str) -> Expression:
    if isinstance(expression, Path):
        return _path(expression, key, pattern)
    if isinstance(expression, Call):
        return replace(expression, arguments=tuple(_narrowed(each, key, pattern) for each in expression.arguments))
    if isinstance(expression, Operation):
        return replace(
            expression,
            left=_narrowed(expression.left, key, pattern),
            right=_narrowed(expression.right, key, pattern),
        )
    return expression


def _path(path: Path, key: str, pattern: str) -> Path:
    by, field = _ROWS.get(path.question, {}).get(key, (None, ""))
    if not field:
        return path
    if path.by is not None and by is not None and path.by != by:
        raise ExpressionError(path.at, f"{path.question}(by={path.by!r}) of one {key}", f"by={by!r}, or none")
    kind: Kind = QUESTIONS[path.question].fields
    for number, step in enumerate(path.steps):
        assert isinstance(kind, (Fields, Rows))
        of = kind.of if isinstance(kind, Rows) else kind
        assert isinstance(of, Fields)
        if number == 0:
            through = step.conditions or len(path.steps) == 1 or path.steps[1].name not in of.fields
            kind = QUESTIONS[path.question].table if through else kind
        else:
            kind = of.fields[step.name].kind
        if isinstance(kind, Rows) and field in kind.of.fields:
            conditions = (*step.conditions, Condition(field, "~", pattern, step.at))
            steps = (*path.steps[:number], replace(step, conditions=conditions), *path.steps[number + 1 :])
            return replace(path, steps=steps, by=by or path.by)
        if not isinstance(kind, (Fields, Rows)):
            break
    return path


__all__ = ["narrowed"]
