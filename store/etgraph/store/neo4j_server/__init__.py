"""A real Neo4j Community server on this machine, without Docker: fetched once, started, stopped, looked at.

The parts: `releases` (which ones there are), `java` (a runtime for them), `artifacts` (their jars), `configuration`,
`process`, `state` (what is noted of a server) and `server`, which has what a caller needs.
"""
