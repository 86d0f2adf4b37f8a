"""PyTorch execution traces."""
ARRAY="nodes"
class PyTorchReader: 
    def __init__(self,*a): raise NotImplementedError
relate=mark_steps=None
