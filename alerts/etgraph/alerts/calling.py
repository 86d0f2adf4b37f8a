"""`etgraph check` in a process of its own, for programs that have better things in their memory than its tables."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from etgraph.model.errors import EtgraphError


class CheckError(EtgraphError):
    """A check could not be made; the message is what `etgraph check` said, `exit_code` its exit code."""

    code = "CHECK"
    http_status = 422


def called(
    traces: Sequence[str],
    *,
    baseline: Sequence[str] = (),
    rules: Sequence[str] = (),
    workload: str | None = None,
    fail_on_undecided: bool = False,
    store: str | None = None,
) -> str | None:
    """The report where a check finds something broken or nothing to compare with; None where all is well.

    Raises CheckError where there is no report, with the exit code of the command line.
    """
    options = [*(word for each in baseline for word in ("--baseline", each))]
    options += [word for each in rules for word in ("--rules", each)]
    options += ["--workload", workload] if workload else []
    options += ["--fail-on", "undecided"] if fail_on_undecided else []
    options += ["--store", store] if store else []
    with tempfile.TemporaryDirectory(prefix="etgraph-check-") as folder:
        report = Path(folder) / "report.txt"
        command = [sys.executable, "-m", "etgraph.cli", "--quiet", "check", *options, f"--output=text={report}"]
        done = subprocess.run(
            [*command, "--", *traces],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode == 0:
            return None
        if report.exists():
            return report.read_text("utf-8")
    said = (done.stderr or done.stdout).strip() or f"etgraph check ended with {done.returncode}"
    error = CheckError(said)
    error.exit_code = done.returncode
    raise error


__all__ = ["CheckError", "called"]
