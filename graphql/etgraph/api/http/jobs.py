"""Jobs over HTTP: what they are at, and an end before theirs."""

from __future__ import annotations

import flask

from etgraph.api.access import Audit
from etgraph.api.fetch.jobs import cancelled_job, seen_job
from etgraph.api.http.answers import encoded
from etgraph.api.http.viewers import ViewerOf
from etgraph.api.http.writes import noted
from etgraph.api.jobs.job import Job
from etgraph.api.jobs.queue import Queue
from etgraph.model.results import to_json


def job_view(queue: Queue, viewer_of: ViewerOf, audit: Audit, job_id: str) -> flask.Response:
    """Answers `GET` and `DELETE` of a job: as it is, or as it is once it was told to stop."""
    viewer = viewer_of(flask.request)
    flask.g.fields |= {"viewer": viewer.name, "token": viewer.token}
    if flask.request.method == "DELETE":
        with noted(audit, viewer, "DELETE /api/v1/jobs", {"id": job_id}):
            job = cancelled_job(queue, viewer, job_id)
        return job_response(job, 200 if job.has_ended else 202)
    return job_response(seen_job(queue, viewer, job_id))


def job_response(job: Job, status: int = 200) -> flask.Response:
    """A job as JSON, with its address."""
    url = f"/api/v1/jobs/{job.id}"
    response = flask.Response(encoded({"job": to_json(job) | {"url": url}}), status, mimetype="application/json")
    response.headers["Location"] = url
    response.headers["Cache-Control"] = "no-store"
    return response


__all__ = ["job_response", "job_view"]
