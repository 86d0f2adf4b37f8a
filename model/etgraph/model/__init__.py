"""The model: traces as columns, their schema, graphs over them, and the errors that etgraph raises.

Names are imported when they are first asked for, so that `etgraph.model.errors` costs nothing in a training process
that records itself. They stand in `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
