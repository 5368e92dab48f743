"""Facts that a target can report to the invariants: ``isomodel.note(Sent(...))``."""

from isomodel.values.facts import (
    Accepted,
    Began,
    Connected,
    Counted,
    Delivered,
    Disconnected,
    Dropped,
    Ended,
    Fact,
    Identified,
    Issued,
    Owned,
    Sent,
    Total,
    Used,
    Wrote,
)

__all__ = [
    "Accepted",
    "Began",
    "Connected",
    "Counted",
    "Delivered",
    "Disconnected",
    "Dropped",
    "Ended",
    "Fact",
    "Identified",
    "Issued",
    "Owned",
    "Sent",
    "Total",
    "Used",
    "Wrote",
]
