"""Cypher from outside: checked before it runs, bounded, and answered in columns."""
