"""The connection to a server: opened when first asked, of a version that serves, its transactions retried."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeVar

from etgraph.model.errors import StoreError
from etgraph.store.neo4j.address import Address
from etgraph.store.neo4j.failures import explained, is_out_of_memory, is_worth_another, of_server

if TYPE_CHECKING:
    from neo4j import Driver, Session

    from etgraph.store.neo4j.types import Transaction

T = TypeVar("T")

OLDEST: Final = (5, 26)
"""The oldest release that serves: the first with all of the Cypher that is used here."""
CONNECT_SECONDS: Final = 15.0
RETRY_SECONDS: Final = 60.0
"""How long a transaction is tried again where the server says that this may help, as after a restart."""
LONGEST_SECONDS: Final = 120.0
"""How long a transaction may take: a client that hangs in one keeps others from what it has locked."""
ATTEMPTS: Final = 3
"""How often a transaction is run that was ended for its time, or of which no answer tells whether it was committed."""

_UNHEARD: Final = logging.NullHandler()
"""Keeps Python from printing the driver's log where a program has set up none: errors are raised, remarks returned."""


class Connection:
    """A driver for one database. Opened again after a fork: a socket must not have two users."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._driver: Driver | None = None
        self._bookmarks: Any = None
        self._process = 0
        self._mutex = threading.Lock()
        self.server = ""

    @property
    def url(self) -> str:
        """The database, without credentials."""
        return self.address.url

    @property
    def bookmarks(self) -> Any:
        """What makes a session see the others' changes; None before the driver is open."""
        return self._bookmarks

    def close(self) -> None:
        """Close all sockets of this process."""
        with self._mutex:
            if self._driver is not None and self._process == os.getpid():
                self._driver.close()
            self._driver = None

    def read(self, work: Callable[[Transaction], T]) -> T:
        """The result of a reading transaction, repeated where the driver says that this may help."""
        with explained(self.url), self.session(read_only=True) as session:
            return session.execute_read(work)

    def write(self, work: Callable[[Transaction], T], seconds: float | None = None, *, divisible: bool = False) -> T:
        """The result of a writing transaction. It may run more than once, also after it was committed unheard.

        One that is `divisible` is not tried again as it is where the server's memory is too small for it: StoreFull.
        """
        import neo4j

        work = self._undivided(work) if divisible else work
        limited = neo4j.unit_of_work(timeout=LONGEST_SECONDS if seconds is None else seconds)(work)
        attempt = 1
        while True:
            try:
                with explained(self.url), self.session() as session:
                    return session.execute_write(limited)
            except StoreError as error:
                if attempt == ATTEMPTS or not is_worth_another(error.__cause__):
                    raise
            attempt += 1

    def _undivided(self, work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        """The work; what the driver would try again for want of memory is an error of the store, which it does not."""
        from neo4j.exceptions import Neo4jError

        def run(tx: Transaction) -> T:
            try:
                return work(tx)
            except Neo4jError as error:
                if is_out_of_memory(error):
                    raise of_server(error, self.url) from error
                raise

        return run

    def write_once(self, text: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a writing query that is not tried again."""
        import neo4j

        with explained(self.url), self.session() as session:
            session.run(neo4j.Query(text, timeout=LONGEST_SECONDS), dict(parameters or {})).consume()

    def rows(self, text: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of one reading query."""
        return self.read(lambda tx: rows_of(tx, text, parameters))

    def alter(self, text: str) -> None:
        """Run a statement about the database itself, which takes no part in a transaction with others."""
        # An index on what is there already may take any time: no limit.
        self.write(lambda tx: tx.run(text).consume(), 0)

    def session(self, *, read_only: bool = False, **config: Any) -> Session:
        """A session that sees what others of this connection wrote. For use within `explained`."""
        import neo4j

        driver = self.driver()
        return driver.session(
            database=self.address.database,
            default_access_mode=neo4j.READ_ACCESS if read_only else neo4j.WRITE_ACCESS,
            bookmark_manager=self._bookmarks,
            **config,
        )

    def driver(self) -> Driver:
        """The driver, to a server that answered and serves. For use within `explained`."""
        with self._mutex:
            if self._driver is None or self._process != os.getpid():
                self._driver = self._open()
                self._process = os.getpid()
            return self._driver

    def _open(self) -> Driver:
        import neo4j

        logging.getLogger("neo4j").addHandler(_UNHEARD)
        driver = neo4j.GraphDatabase.driver(
            self.address.uri,
            auth=(self.address.user, self.address.password),
            connection_timeout=CONNECT_SECONDS,
            max_transaction_retry_time=RETRY_SECONDS,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
            user_agent=f"etgraph/{version('etgraph')}",
        )
        try:
            info = driver.get_server_info()
            self.server = info.agent
            _refuse_older(info.agent, self.url)
        except BaseException:
            driver.close()
            raise
        self._bookmarks = neo4j.GraphDatabase.bookmark_manager()
        return driver


def rows_of(tx: Transaction, text: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """The rows of a query in a transaction."""
    return [tuple(record.values()) for record in tx.run(text, dict(parameters or {}))]


def _refuse_older(agent: str, url: str) -> None:
    """Raise StoreError for a Neo4j that is too old; `agent` is its `Neo4j/5.26.1`, or what a compatible one says."""
    product, _, release = agent.partition("/")
    numbers = release.split(".")
    if product == "Neo4j" and all(part.isdigit() for part in numbers[:2]):
        found = tuple(int(part) for part in numbers[:2])
        if found < OLDEST:
            raise StoreError(
                f"store {url}: found Neo4j {release}, expected {'.'.join(map(str, OLDEST))} or newer",
                hint="upgrade the server, or run one with 'etgraph neo4j start'",
            )
