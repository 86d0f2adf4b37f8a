"""Minutes of good, bad and hostile requests and mutations to the API: nothing breaks, leaks, or answers otherwise."""

from __future__ import annotations

from benchmarks.soak.run import main

__all__ = ["main"]
