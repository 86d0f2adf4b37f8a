"""The Neo4j releases that `etgraph neo4j start` can run."""

from __future__ import annotations

from dataclasses import dataclass

from etgraph.model.errors import UsageError

ARTIFACTS = ("org.neo4j:neo4j", "org.neo4j.app:neo4j-server", "org.neo4j:neo4j-import-tool")
"""The server, its connectors with the Browser, and `neo4j-admin database import`, as Maven knows them."""

ADD_OPENS = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
"""Packages of java.base that the server reaches into."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release under the name that the user gives it, and what it asks of Java."""

    name: str
    version: str
    java: frozenset[int] | None
    """The Java versions that it runs on; None where every version from `java_from` on will do."""
    java_from: int
    modules: tuple[str, ...] = ()
    """Modules of the runtime that it needs and that not every runtime has."""

    @property
    def coordinates(self) -> tuple[str, ...]:
        """What to fetch."""
        return tuple(f"{artifact}:{self.version}" for artifact in ARTIFACTS)

    @property
    def java_words(self) -> str:
        """The Java that it needs, in words.

        >>> RELEASES["5.26"].java_words, RELEASES["2026"].java_words
        ('Java 17 or 21', 'Java 21 or later with module jdk.incubator.vector')
        """
        versions = " or ".join(map(str, sorted(self.java))) if self.java else f"{self.java_from} or later"
        return f"Java {versions}" + (f" with module {', '.join(self.modules)}" if self.modules else "")

    def runs_on(self, java: int) -> bool:
        """Whether a Java version is one of those that it needs; modules are another question."""
        return java in self.java if self.java else java >= self.java_from


RELEASES = {
    "5.26": Release("5.26", "5.26.26", frozenset({17, 21}), 17),
    "2026": Release("2026", "2026.09.0", None, 21, ("jdk.incubator.vector",)),
}
DEFAULT = "5.26"
"""The release with long-term support."""


def release_of(name: str) -> Release:
    """The release of a name. Raises UsageError for a name that has none."""
    try:
        return RELEASES[name]
    except KeyError:
        raise UsageError(f"Neo4j release: found {name!r}, expected {' or '.join(RELEASES)}") from None
