"""What every cost model of communication does."""

from __future__ import annotations

from typing import Protocol

from etgraph.sim.communication.transfers import Transfers
from etgraph.sim.compute import Predictions


class CommunicationCost(Protocol):
    """Predicts how long transfers take once all their ranks have come, without others on the same links."""

    @property
    def name(self) -> str:
        """How reports call the model."""
        ...

    def predict(self, transfers: Transfers) -> Predictions:
        """Durations of those collectives and messages."""
        ...
