"""The Neo4j store: traces as operator and dependency graphs in a graph database."""
