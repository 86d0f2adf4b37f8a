"""Cost models of computation: how long an operator takes on a device, how sure that is, and where it comes from."""

from etgraph.sim.compute.calibrated import Calibrated
from etgraph.sim.compute.fitting import fit
from etgraph.sim.compute.intervals import total_interval
from etgraph.sim.compute.measured import Measured
from etgraph.sim.compute.protocol import CostModel, Predictions
from etgraph.sim.compute.roofline import Roofline
from etgraph.sim.compute.scaled import Scaled
from etgraph.sim.compute.summary import PredictionSummary, Unpredicted, summary

__all__ = [
    "Calibrated",
    "CostModel",
    "Measured",
    "PredictionSummary",
    "Predictions",
    "Roofline",
    "Scaled",
    "Unpredicted",
    "fit",
    "summary",
    "total_interval",
]
