"""`python -m benchmarks.soak --seconds 600 --store neo4j://…`."""

from __future__ import annotations

import sys

from benchmarks.soak.run import main

if __name__ == "__main__":
    main(sys.argv[1:])
