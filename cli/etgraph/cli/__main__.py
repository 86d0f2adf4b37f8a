"""`python -m etgraph.cli` is `etgraph`."""

from __future__ import annotations

from etgraph.cli.main import main

if __name__ == "__main__":
    main(prog_name="etgraph")
