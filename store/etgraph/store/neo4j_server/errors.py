"""What can go wrong with a Neo4j server of one's own."""

from __future__ import annotations

from etgraph.model.errors import StoreError


class ServerError(StoreError):
    """The Neo4j server cannot be started, stopped or asked."""

    code = "NEO4J_SERVER"


class NoJava(ServerError):
    """No Java runtime of this machine runs the release."""

    code = "NO_JAVA"


class NoArtifacts(ServerError):
    """The jars of the release are not here and cannot be fetched."""

    code = "NO_ARTIFACTS"
