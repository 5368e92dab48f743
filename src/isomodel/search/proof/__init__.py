"""Proof: every interleaving of a bounded scenario, each class of equivalent ones once."""
