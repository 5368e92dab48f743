"""Judging: what oracles make of an execution, and how far they doubt themselves."""
