"""Hypothesis profiles, and what a machine makes of the one that is loaded.

``ci`` repeats the same examples in every run, ``dev`` draws new ones, ``nightly`` draws many. A
profile that exists is left alone: Hypothesis has a ``ci`` of its own (fixed examples, no
database, no deadline), which loads itself where a CI variable is set, and a project may have
registered all three.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import InvalidArgument

PROFILES: dict[str, dict[str, Any]] = {
    "ci": {"derandomize": True, "database": None, "deadline": None, "print_blob": True},
    "dev": {"deadline": None},
    "nightly": {"max_examples": 10_000, "deadline": None},
}

SHARE = 4
"""A machine runs one example for so many of the profile's: each of its examples is a scenario
that runs under dozens of schedules."""


def register() -> None:
    """Register those of our profiles that nobody has registered yet."""
    for name, values in PROFILES.items():
        try:
            settings.get_profile(name)
        except InvalidArgument:
            settings.register_profile(name, **values)


def for_machine(operations: int) -> settings:
    """The settings of a machine under the profile that is loaded now.

    Without Hypothesis's shrinking: the counterexample that is shown is shrunk already, and every
    smaller example that Hypothesis tried would run under all its schedules again.
    """
    loaded = settings()
    return settings(
        loaded,
        max_examples=max(1, loaded.max_examples // SHARE),
        stateful_step_count=operations,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
