"""Types of the driver, for annotations."""

from __future__ import annotations

from neo4j import ManagedTransaction as Transaction

__all__ = ["Transaction"]
