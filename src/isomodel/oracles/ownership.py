"""Ownership: what serves a user serves that user alone."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import apart, at, during, ends, facts
from isomodel.values.execution import Execution
from isomodel.values.facts import Noted, Owned, Wrote
from isomodel.values.verdict import Finding


def _strangers(execution: Execution) -> list[Finding]:
    """Things, and rows, of one user in an operation of another."""
    found = []
    for noted in execution.facts:
        fact = noted.fact
        if isinstance(fact, Owned):
            owner, what = fact.by, f"{fact.kind} {fact.thing} serves {fact.by}"
        elif isinstance(fact, Wrote):
            owner, what = fact.owner, f"{fact.what} was written under the name of {fact.owner}"
        else:
            continue
        if owner and noted.user and apart(execution, noted.user, owner):
            found.append(
                Finding(
                    property="ownership",
                    message=f"{what} {during(noted)}, an operation of {noted.user}",
                    user=owner,
                    **at(execution, noted),
                    evidence={"owner": owner, "used_by": noted.user, "what": what},
                )
            )
    return found


class _Clock:
    """Tells from order and time alone whether an operation was still running at a fact.

    Facts and history are two lists, and virtual time often stands still, so it isn't always
    known. It is known where the operation never ended, ended later in time, notes something
    later, or ended after the operation that noted the fact. Otherwise: not running.
    """

    def __init__(self, execution: Execution) -> None:
        self.ended = ends(execution)
        self.begun = [event.label for event in execution.history if event.kind == "invoke"]
        self.order = {label: place for place, label in enumerate(self.ended)}
        self.last = {noted.label: place for place, noted in enumerate(execution.facts)}

    def running(self, label: str, noted: Noted, place: int) -> bool:
        end = self.ended.get(label)
        if end is None:
            return label in self.begun
        if end.time > noted.time or self.last[label] > place:
            return True
        return noted.label in self.order and self.order[label] > self.order[noted.label]


def _two_at_once(execution: Execution) -> list[Finding]:
    """Things that pass to another user while the operation they served is still running."""
    if not any(True for _ in facts(execution, Owned)):
        return []
    clock = _Clock(execution)
    holders: dict[tuple[str, str], tuple[Owned, Noted]] = {}
    found = []
    for place, noted in enumerate(execution.facts):
        fact = noted.fact
        if not isinstance(fact, Owned):
            continue
        former = holders.get((fact.kind, fact.thing))
        holders[fact.kind, fact.thing] = fact, noted
        if former is None or not (fact.by and former[0].by and former[1].label):
            continue
        before, earlier = former
        if apart(execution, before.by, fact.by) and clock.running(earlier.label, noted, place):
            found.append(
                Finding(
                    property="ownership",
                    message=f"{fact.kind} {fact.thing} serves {fact.by} {during(noted)} while it "
                    f"still serves {before.by} {during(earlier)}",
                    user=before.by,
                    **at(execution, noted),
                    evidence={
                        "kind": fact.kind,
                        "thing": fact.thing,
                        "users": [before.by, fact.by],
                        "labels": [earlier.label, noted.label],
                    },
                )
            )
    return found


def check(execution: Execution) -> list[Finding]:
    """What serves or names a stranger, then what serves two users at once."""
    return _strangers(execution) + _two_at_once(execution)


OWNERSHIP = Invariant(
    "ownership",
    "An engine, session or connection serves the user in whose operation it works, and one user "
    "at a time; a row is written under the name of who writes it. It fires on an Owned or Wrote "
    "fact that names a user outside the group of the operation's user, and on a thing Owned by "
    "a second user while the operation in which the first one came to own it is still running. "
    "Note Owned with an empty `by` where a thing is given back before its operation ends, or its "
    "rightful reuse is reported. Where neither time nor order tells whether the first operation "
    "had ended, and once it has, a second owner is not reported.",
    check,
)
