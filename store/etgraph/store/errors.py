"""What can go wrong with a store, beyond the errors of the model."""

from __future__ import annotations

from etgraph.model.errors import StoreError


class StoreFull(StoreError):
    """The store has no room for what was to be written; nothing of it was kept."""

    code = "STORE_FULL"
    http_status = 507


class ReadOnlyStore(StoreError):
    """The store can be read, but not written, by this process."""

    code = "READ_ONLY"
    http_status = 403


class StoreBusy(StoreError):
    """Another process holds the store for longer than this one waits."""

    code = "STORE_BUSY"


class StoreUnavailable(StoreError):
    """The server does not answer, or not now."""

    code = "STORE_UNAVAILABLE"


class UnknownFormat(StoreError):
    """The store is of a format that this version does not read; nothing in it was touched."""

    code = "STORE_FORMAT"


class NetworkFileSystemWarning(UserWarning):
    """A local store lies on a network file system, where it is slower and locks are less dependable."""
