"""ASTRA-sim's analytical backends on a trace, to the nanosecond, from its own configuration files."""
