"""The one family of errors that etgraph raises on purpose."""

from __future__ import annotations


class EtgraphError(Exception):
    """Root of every error that is meant for the user.

    `code` names the kind for programs, `hint` says what to do next, `exit_code` is the command line's exit status
    (2 usage, 3 data, 4 store or server) and `http_status` the status of a response that carries the error.
    """

    code = "ERROR"
    exit_code = 3
    http_status = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.__dict__.copy(), self.args)

    def __str__(self) -> str:
        return self.message


def _restore(kind: type[EtgraphError], state: dict[str, object], args: tuple[object, ...]) -> EtgraphError:
    """Rebuild an error that crossed a process boundary, whatever its constructor looks like."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class UsageError(EtgraphError):
    """The question itself is wrong: an unknown option, a malformed reference."""

    code = "BAD_USER_INPUT"
    exit_code = 2
    http_status = 400


class InputError(EtgraphError):
    """A file is not what it should be. The message names the file, the place, what was found and what was expected."""

    code = "BAD_INPUT"
    http_status = 422

    def __init__(
        self, file: str, *, found: str, expected: str, place: str | None = None, hint: str | None = None
    ) -> None:
        where = f"{file}: {place}" if place else file
        super().__init__(f"{where}: found {found}, expected {expected}", hint=hint)
        self.file = file
        self.place = place
        self.found = found
        self.expected = expected


class CycleError(EtgraphError):
    """The dependencies of a trace form a cycle; `members` names the operators on it, in order."""

    code = "CYCLE"
    http_status = 422

    def __init__(self, message: str, members: list[str]) -> None:
        super().__init__(message, hint="a trace's dependencies must be acyclic: look at the source of these operators")
        self.members = members


class MissingData(EtgraphError):
    """The trace does not record what the question needs."""

    code = "MISSING_DATA"
    http_status = 422


class RecordingError(EtgraphError):
    """A run cannot be recorded: PyTorch is missing or too old, another profiler is running, files are in the way."""

    code = "RECORDING"
    http_status = 422


class NotFound(EtgraphError):
    """No trace, tag, artefact or file answers to that name."""

    code = "NOT_FOUND"
    http_status = 404


class Cancelled(EtgraphError):
    """Somebody had the work stopped. The statuses of this and of a deadline are those of google.rpc.Code."""

    code = "CANCELLED"
    http_status = 499


class DeadlineExceeded(Cancelled):
    """The work took longer than it was given."""

    code = "TIMEOUT"
    http_status = 504


class StoreError(EtgraphError):
    """The store cannot do what was asked of it: full, read-only, unreachable, too new."""

    code = "STORE"
    exit_code = 4
    http_status = 503


class CorruptStore(StoreError):
    """A file of the store is damaged: its checksum or its format is wrong."""

    code = "CORRUPT"
    exit_code = 3
