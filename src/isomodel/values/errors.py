"""The exceptions isomodel raises to its users, each with one line that says what to do."""

from __future__ import annotations


class IsomodelError(Exception):
    """Base of every exception that isomodel raises on purpose."""


class BadInput(IsomodelError):
    """A target, a file or an argument cannot be used: says what, where, and what to do."""


class Violated(IsomodelError, AssertionError):
    """A property does not hold; the message is the explained counterexample."""
