"""No leaked secret: what one user was given to keep never shows in what another one sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import name_of, texts
from isomodel.values.execution import Execution
from isomodel.values.verdict import Finding

_AROUND = 40


@lru_cache(maxsize=64)
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all markers, longest first: one may begin like another."""
    return re.compile("|".join(re.escape(m) for m in sorted(markers, key=lambda m: (-len(m), m))))


def _seen(execution: Execution, user: str) -> Iterator[tuple[str, Any]]:
    """What this user saw, by label: the observations, and the results in the history."""
    for label, _, value in execution.observations.get(user, ()):
        yield label, value
    for event in execution.history:
        if event.user == user and event.kind != "invoke" and event.value is not None:
            yield event.label, event.value


def _source(execution: Execution, marker: str) -> str:
    """The label of the operation that was given this marker as an argument."""
    for operation in execution.scenario.operations:
        if any(marker in text for text in texts(operation.args)):
            return operation.label
    return ""


def _excerpt(text: str, match: re.Match[str]) -> str:
    start, end = max(0, match.start() - _AROUND), match.end() + _AROUND
    return "..." * (start > 0) + text[start:end] + "..." * (end < len(text))


def _finding(execution: Execution, user: str, label: str, marker: str, excerpt: str) -> Finding:
    owner, source = execution.secrets[marker], _source(execution, marker)
    name = name_of(execution, label)
    given = f", given to {source}" if source else ""
    return Finding(
        property="no leaked secret",
        message=f"{user} saw {owner}'s secret {marker!r}{given}, in {label} ({name}): {excerpt!r}",
        user=owner,
        operation=name,
        label=label,
        evidence={
            "secret": marker,
            "owner": owner,
            "from": source,
            "seen_by": user,
            "saw": excerpt,
        },
    )


def check(execution: Execution) -> list[Finding]:
    """A finding for each secret of a stranger, at each operation of a user that shows it."""
    if not execution.secrets:
        return []
    markers = tuple(marker for marker in execution.secrets if marker)
    pattern = _pattern(markers)
    found: dict[tuple[str, str, str], Finding] = {}
    users = dict.fromkeys((*execution.observations, *(e.user for e in execution.history)))
    for user in users:
        known = execution.scenario.group_of(user)
        for label, value in _seen(execution, user):
            for text in texts(value):
                for match in pattern.finditer(text):
                    key = (user, label, match.group())
                    if execution.secrets[key[2]] not in known and key not in found:
                        found[key] = _finding(execution, *key, _excerpt(text, match))
    return list(found.values())


NO_LEAKED_SECRET = Invariant(
    "no leaked secret",
    "Every Secret argument is an unforgeable marker of its owner. It fires where a marker shows "
    "anywhere in what a user outside the owner's group saw: a result, an error, an event, a row, "
    "at any depth. A secret that reaches others in another form (hashed, encoded, cut short) "
    "or that nobody observes stays unseen; a message that the owner meant for another user is "
    "reported unless the two are declared as a group.",
    check,
)
