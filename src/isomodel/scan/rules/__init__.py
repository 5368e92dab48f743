"""All rules, in the order of their ids."""

from __future__ import annotations

from collections.abc import Iterator

from isomodel.scan.module import Module
from isomodel.scan.rules import (
    cancellation,
    containers,
    context,
    keys,
    races,
    sessions,
    state,
    threads,
)
from isomodel.scan.suppress import UNUSED
from isomodel.scan.values import Hit, Rule


def _by_the_scan(module: Module) -> Iterator[Hit]:
    """Nothing: what a suppression was for is known only when all other rules have run."""
    return iter(())


RULES: tuple[Rule, ...] = (
    Rule(
        UNUSED,
        "a suppression that suppresses nothing",
        "It is left over or misspelt, and would hide the next finding in its line.",
        "remove it, or name the rule that it is for: `# isomodel: ignore[ISO301] reason`",
        _by_the_scan,
    ),
    *state.RULES,
    *context.RULES,
    *sessions.RULES,
    *races.RULES,
    *containers.RULES,
    *cancellation.RULES,
    *keys.RULES,
    *threads.RULES,
)
"""Ids are grouped by hundreds: state, sessions, races, cancellation, keys, threads."""


def chosen(select: tuple[str, ...], ignore: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules whose id begins with one of ``select`` (all, if empty) and none of ``ignore``."""
    return tuple(
        rule
        for rule in RULES
        if (not select or rule.id.startswith(select))
        and not (ignore and rule.id.startswith(ignore))
    )


def unknown(prefixes: tuple[str, ...]) -> str | None:
    """The first prefix that no rule's id begins with."""
    return next((each for each in prefixes if not any(r.id.startswith(each) for r in RULES)), None)
