"""Tokens, shares and the log of writes."""

from __future__ import annotations

from etgraph.api.access.audit import Event
from etgraph.api.access.shares import Share as FetchedShare
from etgraph.api.access.tokens import Token as FetchedToken
from etgraph.api.generating.types import object_type
from etgraph.api.schema.connection import connection_of

Token = object_type(FetchedToken)
Share = object_type(FetchedShare)
AuditEvent = object_type(Event)
AuditEventConnection = connection_of("AuditEvent", AuditEvent, "writes", counted=False)

__all__ = ["AuditEvent", "AuditEventConnection", "Share", "Token"]
