"""Event target: every event reaches the user it was sent to, over that user's connection."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, facts
from isomodel.values.execution import Execution
from isomodel.values.facts import Connected, Delivered, Disconnected, Noted, Sent
from isomodel.values.verdict import Finding


def _finding(
    execution: Execution, sent: Sent, delivered: Delivered, noted: Noted, owner: str
) -> Finding:
    if delivered.to != sent.to:
        wrong = f"was delivered to {delivered.to}"
    else:
        wrong = f"went over {delivered.connection}, which belongs to {owner}"
    kind = f"{sent.kind} event" if sent.kind else "event"
    return Finding(
        property="event target",
        message=f"{kind} {sent.id} was sent to {sent.to} but {wrong}",
        user=sent.to,
        **at(execution, noted),
        evidence={
            "event": sent.id,
            "sent_to": sent.to,
            "delivered_to": delivered.to,
            "connection": delivered.connection,
            "connection_of": owner,
        },
    )


def check(execution: Execution) -> list[Finding]:
    """A finding for each delivery to another user, or over another user's connection."""
    sent: dict[str, list[Sent]] = {}
    for event, _ in facts(execution, Sent):
        sent.setdefault(event.id, []).append(event)
    if not sent:
        return []
    owners: dict[str, str] = {}
    found = []
    for noted in execution.facts:
        fact = noted.fact
        if isinstance(fact, Connected):
            owners[fact.connection] = fact.user
        elif isinstance(fact, Disconnected):
            owners.pop(fact.connection, None)
        elif isinstance(fact, Delivered) and fact.id in sent:
            owner = owners.get(fact.connection, fact.to)
            if all((event.to, event.to) != (fact.to, owner) for event in sent[fact.id]):
                found.append(_finding(execution, sent[fact.id][0], fact, noted, owner))
    return found


EVENT_TARGET = Invariant(
    "event target",
    "An event is delivered to the user it was sent to, over a connection that belongs to that "
    "user at that moment. It fires where Delivered names another user than Sent of the same id, "
    "or where the last Connected gave the connection to another user. It believes what the "
    "target notes: note Delivered where the bytes leave, from the connection in hand, not from "
    "the event. A connection never announced with Connected is judged by Delivered.to alone.",
    check,
)
