"""Communication: what collectives and messages cost, by algorithm, tier and library, or as fitted; shared links."""

from etgraph.sim.communication.checking import Check, check
from etgraph.sim.communication.fitting import fit
from etgraph.sim.communication.levels import span_of
from etgraph.sim.communication.libraries import AS_RECORDED, Means, cheapest
from etgraph.sim.communication.links import Routes, routes
from etgraph.sim.communication.predicting import CommunicationModel
from etgraph.sim.communication.protocol import CommunicationCost
from etgraph.sim.communication.sharing import fair_rates, share
from etgraph.sim.communication.transfers import Measured, Transfers, measured

__all__ = [
    "AS_RECORDED",
    "Check",
    "CommunicationCost",
    "CommunicationModel",
    "Means",
    "Measured",
    "Routes",
    "Transfers",
    "cheapest",
    "check",
    "fair_rates",
    "fit",
    "measured",
    "routes",
    "share",
    "span_of",
]
