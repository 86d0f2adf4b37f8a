"""Checks of traces by rules, and the history of a metric, as fields of the root."""

from __future__ import annotations

from typing import Any

import graphene

from etgraph.alerts.findings import CheckResult
from etgraph.alerts.history import LAST, MOST, History
from etgraph.api.fetch import alerts
from etgraph.api.generating.types import object_type
from etgraph.api.schema.inputs import REFERENCE


def check_field() -> graphene.Field:
    """What rules find, a field of the root."""
    return graphene.Field(
        object_type(CheckResult),
        description="What rules find in runs, as `etgraph check` does. Several traces are runs of the same: budgets "
        "are checked on each, and all together are compared with the baseline.",
        args={
            "references": graphene.Argument(
                graphene.NonNull(_texts()), description=f"What is checked. {REFERENCE} `#0,2-4` behind it are steps."
            ),
            "rules": graphene.Argument(
                _texts(),
                description="Texts of files of rules, or `default` for those that come with etgraph, which apply alone "
                "where nothing is given.",
            ),
            "baseline": graphene.Argument(
                _texts(),
                description="What is compared with: references, `branch:NAME` for the newest trace of a branch, "
                f"`last:N` or `last:N:BRANCH` for earlier ones. A check opens {alerts.MOST_RUNS} traces at most.",
            ),
            "workload": graphene.Argument(
                graphene.String, description="Where `branch:` and `last:` look, if not in that of what is checked."
            ),
        },
        resolver=lambda root, info, **asked: alerts.check(info.context, **asked),
    )


def history_field() -> graphene.Field:
    """A metric over runs, a field of the root."""
    return graphene.Field(
        object_type(History),
        description="A metric over the runs of a workload, and since which of them it is another one.",
        args={
            "workload": graphene.Argument(graphene.NonNull(graphene.String), description="Name of the workload."),
            "metric": graphene.Argument(
                graphene.NonNull(graphene.String),
                description="What rules measure, such as `iterations.durationNs`; of a run's steps the median.",
            ),
            "last": graphene.Argument(
                graphene.NonNull(graphene.Int),
                default_value=LAST,
                description=f"Only the newest so many runs; {MOST:,} at most.",
            ),
            "branch": graphene.Argument(graphene.String, description="Only runs of this branch."),
        },
        resolver=lambda root, info, **asked: alerts.history(info.context, **asked),
    )


def _texts() -> Any:
    return graphene.List(graphene.NonNull(graphene.String))


__all__ = ["check_field", "history_field"]
