"""Failures of the server and of the driver, told as errors of the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etgraph.model.errors import StoreError, UsageError
from etgraph.store.errors import ReadOnlyStore, StoreFull, StoreUnavailable
from etgraph.store.references import no_unicode

if TYPE_CHECKING:
    from neo4j.exceptions import Neo4jError

_MEMORY = ("OutOfMemory", "MemoryPoolOutOfMemory", "TransactionOutOfMemory")
_READ_ONLY = (
    "Neo.ClientError.Cluster.NotALeader",
    "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
    "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase",
    "Neo.ClientError.Database.DatabaseUnavailable",
    "Neo.ClientError.Security.Forbidden",
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a transaction was larger than the server's memory for transactions."""
    code = getattr(error, "code", None) or ""
    return any(word in code for word in _MEMORY)


def is_out_of_time(error: BaseException | None) -> bool:
    """Whether a transaction took longer than it may, be it in waiting for others."""
    code = getattr(error, "code", None) or ""
    return "TransactionTimedOut" in code or code.endswith("LockClientStopped")


def is_worth_another(error: BaseException | None) -> bool:
    """Whether a transaction may be run again, although the driver does not: it cannot know that this is safe."""
    from neo4j.exceptions import IncompleteCommit

    return isinstance(error, IncompleteCommit) or is_out_of_time(error)


def is_in_the_way(error: BaseException | None) -> bool:
    """Whether an index could not be made because there is one, finished or half made by another client."""
    code = getattr(error, "code", None) or ""
    return code.endswith(("EquivalentSchemaRuleAlreadyExists", "IndexWithNameAlreadyExists", "IndexAlreadyExists"))


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn the driver's errors into StoreError. `url` names the store, without credentials."""
    import neo4j.exceptions as failures

    try:
        yield
    except UnicodeEncodeError as error:
        raise no_unicode(error) from error
    except failures.AuthError as error:
        raise _refused(error, url) from error
    except failures.Neo4jError as error:
        raise of_server(error, url) from error
    except failures.ConfigurationError as error:
        raise UsageError(f"store {url}: {error}") from error
    except (TimeoutError, failures.DriverError, OSError) as error:
        raise _unreachable(error, url) from error


def _refused(error: Neo4jError, url: str) -> StoreError:
    if (error.code or "").endswith("AuthenticationRateLimit"):
        return StoreError(
            f"store {url}: the server refuses logins for a while after several wrong passwords", hint="try again later"
        )
    return StoreError(
        f"store {url}: the server refused the user or the password",
        hint="set ETGRAPH_NEO4J_USER and ETGRAPH_NEO4J_PASSWORD",
    )


def _unreachable(error: BaseException, url: str) -> StoreError:
    cause: BaseException | None = error
    while cause is not None:
        if "certificate" in str(cause).lower():
            return StoreUnavailable(
                f"store {url}: the server's certificate is not trusted ({_first_line(cause)})",
                hint="install the certificate authority, or accept any certificate with +ssc in place of +s",
            )
        cause = cause.__cause__ or cause.__context__
    return StoreUnavailable(
        f"store {url}: no answer ({_first_line(error)})",
        hint="is the server running, and this its Bolt port? 'etgraph neo4j start' runs one on this machine",
    )


def of_server(error: Neo4jError, url: str) -> StoreError:
    """The store's error for one that the server reported."""
    code, detail = error.code or "", _first_line(error.message or error)
    if is_out_of_memory(error):
        return StoreFull(
            f"store {url}: the server's memory for transactions is exhausted ({detail})",
            hint="raise dbms.memory.transaction.total.max, or its container's memory",
        )
    if code.endswith("DatabaseNotFound"):
        return StoreError(f"store {url}: {detail}", hint="the database's name follows the port: neo4j://host:7687/name")
    if code in _READ_ONLY:
        return ReadOnlyStore(
            f"store {url}: it can be read, but not written ({detail})",
            hint="log in as a user who may write, and use neo4j:// so that a cluster's leader is found",
        )
    if "Deadlock" in code or "LockClient" in code or "LockAcquisition" in code:
        return StoreError(f"store {url}: others kept what had to be locked ({detail})", hint="try again")
    if error.is_retryable() or is_out_of_time(error):
        return StoreUnavailable(f"store {url}: the server gave up for now ({detail})", hint="try again")
    if "disk" in detail.lower() or "No space" in detail:
        return StoreFull(f"store {url}: {detail}; nothing was kept", hint="make room on the server's disk")
    return StoreError(f"store {url}: the server reports {detail} ({code})")


def _first_line(text: object) -> str:
    return (str(text).strip().splitlines() or [type(text).__name__])[0]
