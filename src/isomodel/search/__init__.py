"""Execution, exploration, shrinking: what turns a target and a budget into a verdict."""
