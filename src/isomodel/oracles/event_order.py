"""Event order: the life cycle of a run, and deliveries in the order of sending."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, facts
from isomodel.values.execution import Execution
from isomodel.values.facts import Connected, Delivered, Disconnected, Noted, Sent
from isomodel.values.verdict import Finding

STARTED, THINKING, COMPLETED = "agent_started", "agent_thinking", "agent_completed"
TOOL, TOOL_DONE = "tool_executing", "tool_completed"
LIFE_CYCLE = (STARTED, THINKING, TOOL, TOOL_DONE, COMPLETED)


def legal_next(before: list[str]) -> tuple[str, ...]:
    """The kinds that may follow these in one run.

    Calls of tools may overlap, as long as each ends once and all have ended before the run.
    """
    if not before:
        return (STARTED,)
    if before[-1] == STARTED:
        return (THINKING,)
    if before[-1] == COMPLETED:
        return ()
    return (TOOL, TOOL_DONE) if before.count(TOOL) > before.count(TOOL_DONE) else (TOOL, COMPLETED)


def _finding(execution: Execution, noted: Noted, sent: Sent, message: str, **more: str) -> Finding:
    return Finding(
        property="event order",
        message=message,
        user=sent.to,
        **at(execution, noted),
        evidence={"event": sent.id, "kind": sent.kind, "run": sent.run, **more},
    )


def _life_cycles(execution: Execution) -> list[Finding]:
    """A finding at the first event of each run that may not follow those before it."""
    runs: dict[str, list[str]] = {}
    found: dict[str, Finding] = {}
    for sent, noted in facts(execution, Sent):
        if sent.run and sent.kind in LIFE_CYCLE and sent.run not in found:
            before = runs.setdefault(sent.run, [])
            legal = legal_next(before)
            if sent.kind not in legal:
                found[sent.run] = _finding(
                    execution,
                    noted,
                    sent,
                    f"run {sent.run} of {sent.to} sent {sent.kind} after "
                    f"{', '.join(before) or 'nothing'}; legal: {' or '.join(legal) or 'nothing'}",
                )
            before.append(sent.kind)
    return list(found.values())


class _Connection:
    """What one connection has received: the last event of each run, and the runs completed."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str], tuple[int, Sent]] = {}
        self.completed: dict[str, str] = {}

    def trouble(self, place: int, sent: Sent) -> str:
        """What is wrong with receiving this event now, if anything is."""
        stream = (sent.to, sent.run)
        before, last = self.last.get(stream, (-1, sent))
        self.last[stream] = max(before, place), sent if place > before else last
        done = self.completed.get(sent.run)
        if sent.run and sent.kind == COMPLETED:
            self.completed.setdefault(sent.run, sent.id)
        if place < before:
            return f"came after {last.id}, which was sent later"
        if done is not None:
            return f"came after run {sent.run} had completed with {done}"
        return ""


def _deliveries(execution: Execution) -> list[Finding]:
    """A finding for each delivery out of order, after the end of its run, or after closing."""
    order: dict[str, tuple[int, Sent]] = {}
    for place, (sent, _) in enumerate(facts(execution, Sent)):
        order.setdefault(sent.id, (place, sent))
    connections: dict[str, _Connection] = {}
    closed: dict[str, bool] = {}
    found = []
    for noted in execution.facts:
        fact = noted.fact
        if isinstance(fact, (Connected, Disconnected)):
            closed[fact.connection] = isinstance(fact, Disconnected)
            connections.pop(fact.connection, None)
        elif isinstance(fact, Delivered):
            place, sent = order.get(fact.id, (-1, Sent(fact.id, fact.to)))
            connection = connections.setdefault(fact.connection, _Connection())
            trouble = connection.trouble(place, sent) if place >= 0 else ""
            if closed.get(fact.connection):
                trouble = "came after it had been disconnected"
            if trouble:
                message = f"delivery of event {fact.id} to {fact.connection} {trouble}"
                found.append(_finding(execution, noted, sent, message, connection=fact.connection))
    return found


def check(execution: Execution) -> list[Finding]:
    """Broken life cycles first, then deliveries out of order, each in the order they showed."""
    return _life_cycles(execution) + _deliveries(execution)


EVENT_ORDER = Invariant(
    "event order",
    "A run sends agent_started, agent_thinking, any number of tool_executing and tool_completed "
    "pairs, agent_completed, or a beginning of that; a connection receives the events of one run "
    "in the order they were sent, nothing of a run that has completed, and nothing once it is "
    "disconnected. It fires at the first event of a run, and at each delivery, that breaks this. "
    "Events of other kinds have no life cycle, and those without a run are one "
    "stream for each user. Order is that of the notes: note Sent where the order is decided. "
    "Give events that need no order among them runs of their own.",
    check,
)
