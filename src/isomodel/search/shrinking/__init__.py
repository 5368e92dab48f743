"""Shrinking: from the counterexample that was found to the least that fails alike."""
