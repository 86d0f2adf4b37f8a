"""Damaged Chakra files by the million: each gives an error of ours or a valid trace, and says what protobuf says.

Run with `python -m benchmarks.fuzz [--inputs N] [--seed S] [--seconds T]`. Most inputs are messages in memory, judged
beside the protobuf library; a share is written to files and read as a user would.
"""


def main() -> int:
    """The run of a million inputs; 1 where something failed."""
    from benchmarks.fuzz.run import main as run

    return run([])
