"""What a check found, as text for people and as files for the tools of a build; one module a format."""

from etgraph.alerts.reports.formats import FORMATS, Format
from etgraph.alerts.reports.writing import Output, parse_output, parse_outputs, render, spared, write, write_all

__all__ = ["FORMATS", "Format", "Output", "parse_output", "parse_outputs", "render", "spared", "write", "write_all"]
