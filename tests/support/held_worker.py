"""A worker process for tests: says when it is inside a job and waits there, with `wait`; else it does what waits.

With `check` it waits inside the check of a trace, behind the first alert that it kept.

`python held_worker.py STORE SPOOL (wait|deaf|check|once) LEASE_SECONDS`
"""

from __future__ import annotations

import sys
import threading
import time

from etgraph.alerts.standing import evaluating
from etgraph.alerts.standing.alert import Alert
from etgraph.api.jobs import process, worker
from etgraph.api.jobs.queue import Outcome
from etgraph.api.jobs.rules import Rules
from etgraph.api.jobs.work import DOES, Task
from etgraph.api.settings import Settings
from etgraph.model import cancelling
from etgraph.store import connect
from etgraph.store.records import Records


def held(task: Task) -> Outcome:
    """Publish as ever, and then wait inside the job for as long as nobody stops it."""
    found = DOES[task.job.kind](task)
    print("inside", flush=True)
    while how == "deaf" or threading.Event().wait(0.02) is not None:
        if how != "deaf":
            cancelling.check()
        time.sleep(0.02)
    return found


def half_checked(task: Task) -> Outcome:
    """Check a trace, and wait behind the first alert that is kept."""
    raise_alert = evaluating.raise_alert

    def raise_one(records: Records, alert: Alert) -> None:
        raise_alert(records, alert)
        print("inside", flush=True)
        threading.Event().wait()

    evaluating.raise_alert = raise_one
    return DOES["check"](task)


if __name__ == "__main__":
    store_url, spool, how, lease = sys.argv[1:]
    if how == "check":
        worker.DOES = {**DOES, "check": half_checked}
    elif how != "once":
        worker.DOES = {"ingest": held}
    worker.STOP_SECONDS = 0.5
    settings = Settings(jobs=Rules(spool=spool, lease_ns=int(float(lease) * 1e9)))
    with connect(store_url) as store:
        process.work(store, settings, once=how == "once")
