"""Figures of a server for Prometheus: requests, latency, errors by code, kept answers, requests in flight."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One server's figures, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "etgraph_http_requests", "Requests that were answered", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "etgraph_http_request_seconds", "From a request's last byte to its answer", ["path"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.errors = Counter("etgraph_graphql_errors", "Errors in answers, by code", ["code"], registry=self.registry)
        self.answers = Counter(
            "etgraph_answers", "Answers by where they come from: kept bytes, or executed", ["source"],
            registry=self.registry,
        )  # fmt: skip
        self.in_flight = Gauge("etgraph_http_requests_in_flight", "Requests being answered", registry=self.registry)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        found: bytes = generate_latest(self.registry)
        return found


__all__ = ["Metrics"]
