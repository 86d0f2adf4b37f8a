"""Serve a store with the tests' schema, as a process of its own: `python serve_api.py STORE`."""

from __future__ import annotations

import os
import sys
from functools import partial

from etgraph.api.http import logs
from etgraph.api.running.serving import serve
from etgraph.api.settings import PREFIX, load, with_address
from etgraph.store import connect
from support.api_schema import schema

if __name__ == "__main__":
    settings = with_address(load(None, {f"{PREFIX}JOBS_WORKERS": "0", **os.environ}), None, 0)
    with connect(sys.argv[1]) as store, logs.to_stderr():
        serve(store, settings, schema=schema(), ready=partial(print, flush=True))
