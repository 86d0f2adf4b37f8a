"""Replay: a measured trace run again from its dependencies alone."""
