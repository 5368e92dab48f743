"""Targets: how a system is declared, and the reference factory layer with its defects."""
