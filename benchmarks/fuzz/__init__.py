"""Damaged inputs by the million: each gives an error of ours or a valid trace.

Run with `python -m benchmarks.fuzz [--inputs N] [--seed S] [--seconds T]`. Most are Chakra messages in memory,
judged beside the protobuf library (`judge`); the rest are files, archives and whole runs that are read as a user reads
them (`inputs`, `readings`).
"""


def main() -> int:
    """The run of a million inputs; 1 where something failed."""
    from benchmarks.fuzz.run import main as run

    return run([])
