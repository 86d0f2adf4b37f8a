"""Answers as a reader sees them: one module for each kind of answer, tables of the house around it."""
