"""Traces as files that a database is made of while it is offline."""
