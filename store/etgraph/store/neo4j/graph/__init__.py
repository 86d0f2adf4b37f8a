"""The graph model: declared, drawn and documented."""
