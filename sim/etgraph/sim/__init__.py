"""Simulation: predicted timings for hardware profiles, by operator; an event engine, replay, cost models and sweeps."""
