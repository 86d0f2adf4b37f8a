"""A worker process for tests: says when it is inside a job and waits there, with `wait`; else it does what waits.

`python held_worker.py STORE SPOOL (wait|deaf|once) LEASE_SECONDS`
"""

from __future__ import annotations

import sys
import threading
import time

from etgraph.api.jobs import process, worker
from etgraph.api.jobs.queue import Outcome
from etgraph.api.jobs.rules import Rules
from etgraph.api.jobs.work import DOES, Task
from etgraph.api.settings import Settings
from etgraph.model import cancelling
from etgraph.store import connect


def held(task: Task) -> Outcome:
    """Publish as ever, and then wait inside the job for as long as nobody stops it."""
    found = DOES[task.job.kind](task)
    print("inside", flush=True)
    while how == "deaf" or threading.Event().wait(0.02) is not None:
        if how != "deaf":
            cancelling.check()
        time.sleep(0.02)
    return found


if __name__ == "__main__":
    store_url, spool, how, lease = sys.argv[1:]
    if how != "once":
        worker.DOES = {"ingest": held}
    worker.STOP_SECONDS = 0.5
    settings = Settings(jobs=Rules(spool=spool, lease_ns=int(float(lease) * 1e9)))
    with connect(store_url) as store:
        process.work(store, settings, once=how == "once")
