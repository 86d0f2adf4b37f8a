"""What runs can decide: a regression or not, over many rules at once, and where a history changed."""

from etgraph.alerts.statistics.changing import decide_change
from etgraph.alerts.statistics.deciding import Case, Decision, decide
from etgraph.alerts.statistics.levels import ChangePoint, change_points
from etgraph.alerts.statistics.many import adjusted

__all__ = ["Case", "ChangePoint", "Decision", "adjusted", "change_points", "decide", "decide_change"]
