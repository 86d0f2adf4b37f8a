"""Linking: what the files of a rank's host and device say of the same operators becomes one draft."""

from __future__ import annotations

from etgraph.ingest.linking.attributes import host_attributes
from etgraph.ingest.linking.data import add_data
from etgraph.ingest.linking.identity import Identity
from etgraph.ingest.linking.link import link

__all__ = ["Identity", "add_data", "host_attributes", "link"]
