"""Traces into the graph and out of it: batches, loads that survive their loader, deletion."""
