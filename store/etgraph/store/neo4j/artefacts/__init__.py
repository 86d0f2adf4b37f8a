"""Results kept beside a trace: each a node of its own, in the form that suits its kind."""
