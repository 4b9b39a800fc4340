"""Pictures for people: skeletons on crops, charts."""

from semipose.visualize.charts import line_chart, save_chart
from semipose.visualize.draw import draw_heatmaps, enlarge, tile
from semipose.visualize.overlay import draw_instances, draw_skeleton

__all__ = ["draw_heatmaps", "draw_instances", "draw_skeleton", "enlarge", "line_chart", "save_chart", "tile"]
