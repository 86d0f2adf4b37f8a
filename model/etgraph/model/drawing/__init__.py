"""Charts as plain data, and what draws them: pictures by matplotlib, pages and notebooks by plotly.

Drawing lies below everything that has something to show, because simulations draw as well as queries.
"""

from etgraph.model.drawing.charts import Axis, Bars, Chart, HeatMap, Links, Moments, Panel, Points
from etgraph.model.drawing.files import check_file, draw

__all__ = ["Axis", "Bars", "Chart", "HeatMap", "Links", "Moments", "Panel", "Points", "check_file", "draw"]
