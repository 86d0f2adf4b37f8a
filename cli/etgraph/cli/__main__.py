"""The process of `etgraph`, which is also `python -m etgraph.cli`."""

from __future__ import annotations

import sys

from etgraph.cli.main import main


class WithoutPandas:
    """An import system in which pandas is not installed.

    No command makes a data frame; but pyarrow imports pandas, in 0.4 s, to see whether what it is given is one.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Raises ModuleNotFoundError for pandas, and leaves every other module to the next finder."""
        if name == "pandas":
            raise ModuleNotFoundError(f"etgraph's commands do without {name}", name=name)


def run() -> None:
    """Run the command line in a process that is its own."""
    sys.meta_path.insert(0, WithoutPandas)
    main(prog_name="etgraph")


if __name__ == "__main__":
    run()
