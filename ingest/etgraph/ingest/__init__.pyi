from .discovery import trace_files
from .kept import KeptRanks
from .pipeline import read, read_each
from .source import Limits

__all__ = ["KeptRanks", "Limits", "read", "read_each", "trace_files"]
