"""The API on the same trace in Neo4j: 50 requests a second from 50 clients, pages, and memory."""

from __future__ import annotations

from benchmarks.api import report
from benchmarks.neo4j import server


def main() -> None:
    """Print the tables of a Neo4j store."""
    with server() as url:
        report(url, requests=10_000)


if __name__ == "__main__":
    main()
