"""Mutants of the factory layer that are no defects: what they change cannot make a difference."""

from __future__ import annotations

from collections.abc import Mapping

EQUIVALENT: Mapping[str, str] = {}
"""By the name of the mutant, why it is none."""
