"""Settings in TOML by what dataclasses declare: profiles, changes, grids, rules, and what a server is told.

A file becomes a tree of values that know their line (`document`), the tree a dataclass (`reading`) by what its fields
are annotated with (`declaration`), and all that is wrong about it is told at once (`problems`). Figures have units
(`units`); editors get a JSON Schema (`schema`).
"""
