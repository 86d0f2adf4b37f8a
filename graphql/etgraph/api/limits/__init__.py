"""What a request may ask for: bounds on documents, costs, answers and time, each counted before it can hurt."""

from etgraph.api.limits.documents import Documents, Validated
from etgraph.api.limits.limits import Limit, Limits, described

__all__ = ["Documents", "Limit", "Limits", "Validated", "described"]
