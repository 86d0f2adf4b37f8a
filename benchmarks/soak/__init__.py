"""Minutes of good, bad and hostile requests and mutations to the API: nothing breaks, leaks, or answers otherwise."""

from __future__ import annotations


def main() -> None:
    """The run of ten minutes."""
    from benchmarks.soak.run import main as run

    run()
