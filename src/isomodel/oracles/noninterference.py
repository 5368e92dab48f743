"""Noninterference: what a user observes does not depend on what other users do.

Each part (a user, or a declared group) is run again alone, with its own choices, clock, faults,
random numbers and justified refusals kept (the projected alone run). If what it observed
jointly differs, another user reached it. See ``docs/noninterference.md`` for when this is sound.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from isomodel.oracles.reading import name_of
from isomodel.values.execution import Execution, Refusal
from isomodel.values.verdict import Finding

NAME = "noninterference"
EXPLANATION = (
    "What a user observes does not depend on what other users do. Fires when a user's results, "
    "errors or final observations differ from those of its own part run alone with the same "
    "schedule, clock, faults and random numbers, or when a shared resource refuses although "
    "it is not in rightful use."
)

Entry = tuple[str, str, Any]
"""What a user saw of one operation or final check: its label, its outcome, its value."""


def observed(execution: Execution, part: tuple[str, ...]) -> dict[str, Any]:
    """What these users saw, in comparable form."""
    return dict(comparable({user: seen_by(execution, user) for user in part}))


def seen_by(execution: Execution, user: str) -> list[Entry]:
    """What this user saw of its operations, in the order of its program, then the final checks.

    Which of a user's operations side by side is over first tells how long each took, and that is
    the clock's business: where something is shared, it rightly depends on others.
    """
    operations = (each for each in execution.scenario.operations if each.user == user)
    place = {each.label: number for number, each in enumerate(operations)}
    entries = execution.observations.get(user, ())
    return sorted(entries, key=lambda entry: place.get(entry[0], len(place)))


def agreement(execution: Execution, wanted: dict[str, Any]) -> int:
    """In how many operations and final checks these users saw here what is wanted."""
    seen = observed(execution, tuple(wanted))
    return sum(entry in seen[user] for user, entries in wanted.items() for entry in entries)


def overdue(execution: Execution) -> list[Finding]:
    """Refusals because of units whose holders are over: no alone run is needed."""
    return [_refused(execution, refusal) for refusal in execution.refusals if refusal.overdue]


def difference(joint: Execution, alone: Execution, part: tuple[str, ...]) -> Finding | None:
    """The first thing that a user of this part saw jointly and not alone, or the reverse.

    A refusal while units were free explains it best. Alone that would say nothing: a unit that
    nobody holds may be under repair (a pool that connects again), for one user as for many.
    """
    together, apart = observed(joint, part), observed(alone, part)
    if together == apart:
        return None
    for refusal in joint.refusals:
        if refusal.user in part and not refusal.justified:
            return _refused(joint, refusal)
    for user in part:
        for position, (jointly, by_itself) in enumerate(zip_longest(together[user], apart[user])):
            if jointly != by_itself:
                return _finding(joint, alone, user, position, jointly or by_itself)
    return None


def _refused(execution: Execution, refusal: Refusal) -> Finding:
    return Finding(
        NAME,
        f"{refusal.user} was refused by {refusal.resource} although {refusal.why}",
        user=refusal.user,
        operation=name_of(execution, refusal.label),
        label=refusal.label,
        evidence={"resource": refusal.resource, "why": refusal.why},
    )


def _finding(
    joint: Execution, alone: Execution, user: str, position: int, entry: list[Any]
) -> Finding:
    label = str(entry[0])
    others = [other for other in joint.scenario.users if other != user]
    act = "acts" if len(others) == 1 else "act"
    with_others = _at(joint, user, position)
    by_itself = _at(alone, user, position)
    return Finding(
        NAME,
        f"{user} sees something else when {', '.join(others)} {act} too",
        user=user,
        operation=name_of(joint, label),
        label=label,
        evidence={"with": with_others, "alone": by_itself},
    )


def _at(execution: Execution, user: str, position: int) -> Any:
    seen = seen_by(execution, user)
    if position >= len(seen):
        return None
    label, outcome, value = seen[position]
    return {"label": label, "outcome": outcome, "value": value}


def comparable(value: Any) -> Any:
    """Plain data in which declared ranks and opaque identifiers compare by order and equality.

    Ranked numbers become their rank among those in ``value``, opaque identifiers their number
    in order of first appearance.
    """
    ranks: list[float] = []
    _collect(value, ranks)
    order = {number: index for index, number in enumerate(sorted(set(ranks)))}
    return _renamed(value, order, {})


def _collect(value: Any, ranks: list[float]) -> None:
    if isinstance(value, dict):
        if len(value) == 1 and "ranked" in value:
            ranks.append(value["ranked"])
        for item in value.values():
            _collect(item, ranks)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, ranks)


def _renamed(value: Any, ranks: dict[float, int], names: dict[str, int]) -> Any:
    if isinstance(value, dict):
        if len(value) == 1 and "ranked" in value:
            return {"ranked": ranks[value["ranked"]]}
        if len(value) == 1 and "opaque" in value:
            return {"opaque": names.setdefault(value["opaque"], len(names))}
        return {key: _renamed(item, ranks, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, ranks, names) for item in value]
    return value
