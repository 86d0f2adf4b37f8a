"""Where reports go: `FORMAT[=FILE]`, several at once, files put in place whole."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from etgraph.alerts.findings import CheckResult
from etgraph.alerts.reports.formats import FORMATS
from etgraph.alerts.reports.places import in_checkout
from etgraph.alerts.reports.text import text
from etgraph.model.errors import UsageError


@dataclass(frozen=True, slots=True)
class Output:
    """A format and the file that it goes to; None is stdout. `append` adds to what the file holds."""

    format: str
    file: Path | None = None
    append: bool = False


def parse_output(told: str, environment: Mapping[str, str] = os.environ) -> Output:
    """What `--output FORMAT[=FILE]` says; `-` or no file is stdout, or the file that the format's variable names.

    Raises UsageError for an unknown format.

    >>> parse_output("junit=report.xml").format
    'junit'
    """
    name, equals, file = told.partition("=")
    found = FORMATS.get(name)
    if found is None:
        raise UsageError(f"--output {told}: found format {name!r}, expected one of {', '.join(FORMATS)}")
    if equals and not file:
        raise UsageError(f"--output {told}: a file is missing after =", hint="- stands for stdout")
    if file and file != "-":
        return Output(name, Path(file))
    if not equals and found.variable and environment.get(found.variable):
        return Output(name, Path(environment[found.variable]), append=True)
    return Output(name)


def parse_outputs(told: Sequence[str], environment: Mapping[str, str] = os.environ) -> tuple[Output, ...]:
    """What all `--output` options say together; text on stdout where there is none.

    Raises UsageError where two of them have the same target.
    """
    outputs = tuple(parse_output(each, environment) for each in told) or (Output("text"),)
    seen: dict[Path | None, str] = {}
    for output in outputs:
        target = output.file and output.file.resolve()
        if target in seen:
            where = output.file or "stdout"
            raise UsageError(
                f"--output: both {seen[target]} and {output.format} would go to {where}",
                hint="name a file: FORMAT=FILE",
            )
        seen[target] = output.format
    return outputs


def spared(outputs: Iterable[Output], files: Sequence[str]) -> None:
    """Raise UsageError where a report would be written over one of the files that a check reads."""
    read = {Path(file.partition("#")[0]).resolve() for file in files if file}
    for output in outputs:
        if output.file is not None and output.file.exists() and output.file.resolve() in read:
            raise UsageError(
                f"--output {output.format}={output.file}: found a file that the check reads, expected another"
            )


def render(result: CheckResult, format: str, *, root: Path | None = None) -> str:
    """The report in a format of `FORMATS`; files are named as in the checkout at `root` (the working directory)."""
    found = FORMATS[format]
    return found.render(in_checkout(result, root or Path.cwd()) if found.beside_code else result)


def write(result: CheckResult, output: Output, stream: TextIO | None = None) -> None:
    """Write the report to its file, or to `stream` (stdout), in colour where that is a terminal.

    Raises UsageError where the file cannot be written; one that was there before is then as it was.
    """
    if output.file is None:
        stream = stream or sys.stdout
        colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        told = text(result, colour=colour) if output.format == "text" else render(result, output.format)
        encoding = stream.encoding or "utf-8"
        stream.write(told.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
        return
    told = render(result, output.format)
    try:
        if output.append or (output.file.exists() and not output.file.is_file()):
            with output.file.open("a", encoding="utf-8") as file:
                file.write(told)
        else:
            _put(output.file, told)
    except OSError as error:
        raise UsageError(f"{output.file}: cannot write the {output.format} report: {error.strerror}") from error


def write_all(result: CheckResult, outputs: Iterable[Output], stream: TextIO | None = None) -> None:
    """Write every report, also those after one that cannot be written, whose error is raised at the end."""
    failed: UsageError | None = None
    for output in outputs:
        try:
            write(result, output, stream)
        except UsageError as error:
            failed = failed or error
    if failed is not None:
        raise failed


def _put(path: Path, told: str) -> None:
    """Write a file beside its place and move it there, so that nobody reads a half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(told)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
