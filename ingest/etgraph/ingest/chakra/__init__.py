"""Chakra execution traces, protobuf and JSON, into drafts."""

from etgraph.ingest.chakra.files import FEEDER, FeederReader, is_chakra, read_chakra
from etgraph.ingest.chakra.normalise import normalise
from etgraph.ingest.chakra.relate import relate

__all__ = ["FEEDER", "FeederReader", "is_chakra", "normalise", "read_chakra", "relate"]
