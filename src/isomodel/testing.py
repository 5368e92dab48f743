"""For tests: a Hypothesis machine for a target, and the words that kept stories are written in."""

from isomodel.bridges.failure import Unknown
from isomodel.bridges.machine import machine
from isomodel.bridges.story import (
    Story,
    StoryWarning,
    beside,
    cancel,
    do,
    fail,
    jump,
    made,
    partition,
    refuse,
    reset,
    scope,
    slow,
    split,
    stale,
    switch,
    timeout,
)

__all__ = [
    "Story",
    "StoryWarning",
    "Unknown",
    "beside",
    "cancel",
    "do",
    "fail",
    "jump",
    "machine",
    "made",
    "partition",
    "refuse",
    "reset",
    "scope",
    "slow",
    "split",
    "stale",
    "switch",
    "timeout",
]
