"""Types of the driver, for annotations."""

from __future__ import annotations

from typing import TypeAlias

from neo4j import ManagedTransaction, Record, Result

Transaction: TypeAlias = ManagedTransaction

__all__ = ["Record", "Result", "Transaction"]
