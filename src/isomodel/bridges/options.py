"""What a pytest run was asked for; read by the machines and stories that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Options:
    """``cases`` is where case files go; ``arm`` the defect that every kept story shall have."""

    cases: Path = Path(".isomodel/cases")
    arm: str = ""


OPTIONS = Options()
"""Filled in by the pytest plugin; these defaults hold where it is not loaded."""
