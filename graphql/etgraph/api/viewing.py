"""What a viewer may do, and see of jobs."""

from __future__ import annotations

from etgraph.api.context import Viewer
from etgraph.api.errors import Forbidden
from etgraph.api.jobs.job import Job


def require(viewer: Viewer, scope: str) -> Viewer:
    """The viewer, who has the scope. Raises Forbidden."""
    if scope not in viewer.scopes:
        raise Forbidden(f"this needs the scope {scope}; {viewer.name} has {', '.join(sorted(viewer.scopes)) or 'none'}")
    return viewer


def team_of_jobs(viewer: Viewer) -> str | None:
    """The team whose jobs a viewer sees, as `Queue.page` takes it: None for those of all."""
    return None if "admin" in viewer.scopes else viewer.team or ""


def sees(viewer: Viewer, job: Job) -> bool:
    """Whether a viewer sees a job: one of its team, or any with the scope admin."""
    return team_of_jobs(viewer) in (None, job.team or "")


__all__ = ["require", "sees", "team_of_jobs"]
