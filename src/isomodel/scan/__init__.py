"""Anti-patterns of multi-user async code, found in its source; nothing is imported or run."""
