"""Benchmarks: speed and memory beside peers in one run, as ratios. `make bench` runs them all."""
