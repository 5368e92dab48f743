"""Exploring: which scenario, schedule and faults come next, learned from those before."""
