"""Conservation: sent = delivered + declared drops, and counters that lose no update."""

from __future__ import annotations

from isomodel.oracles.protocol import Invariant
from isomodel.oracles.reading import at, during
from isomodel.values.execution import Execution
from isomodel.values.facts import Counted, Delivered, Dropped, Noted, Sent, Total
from isomodel.values.verdict import Finding


class _Fate:
    """All that was noted about one event id."""

    def __init__(self) -> None:
        self.sent: list[tuple[Sent, Noted]] = []
        self.delivered: list[tuple[Delivered, Noted]] = []
        self.dropped: list[tuple[Dropped, Noted]] = []

    def trouble(self, finished: bool) -> tuple[str, Noted] | None:
        """What broke conservation, and the fact at which it showed."""
        delivered, dropped = len(self.delivered), len(self.dropped)
        gone: list[Noted] = [noted for _, noted in (*self.delivered, *self.dropped)]
        if not self.sent:
            return f"was {'delivered' if delivered else 'dropped'} but never sent", gone[0]
        if len(self.sent) > 1:
            whom = " and ".join(sent.to for sent, _ in self.sent)
            return f"was sent {len(self.sent)} times, to {whom}: no id may repeat", self.sent[1][1]
        if delivered > 1:
            return f"was delivered {delivered} times", self.delivered[1][1]
        if dropped > 1:
            return f"was dropped {dropped} times", self.dropped[1][1]
        if delivered and dropped:
            reason = self.dropped[0][0].reason
            return f"was both delivered and dropped ({reason})", self.dropped[0][1]
        if not gone and finished:
            return "was lost: neither delivered nor dropped", self.sent[0][1]
        return None


def _fates(execution: Execution) -> dict[str, _Fate]:
    fates: dict[str, _Fate] = {}
    for noted in execution.facts:
        fact = noted.fact
        if isinstance(fact, Sent):
            fates.setdefault(fact.id, _Fate()).sent.append((fact, noted))
        elif isinstance(fact, Delivered):
            fates.setdefault(fact.id, _Fate()).delivered.append((fact, noted))
        elif isinstance(fact, Dropped):
            fates.setdefault(fact.id, _Fate()).dropped.append((fact, noted))
    return fates


def _events(execution: Execution) -> list[Finding]:
    found = []
    for event, fate in _fates(execution).items():
        trouble = fate.trouble(finished=execution.ended == "done")
        if trouble is None:
            continue
        what, noted = trouble
        to = fate.sent[0][0].to if fate.sent else noted.user
        whose = f" for {fate.sent[0][0].to}" if len(fate.sent) == 1 else ""
        found.append(
            Finding(
                property="conservation",
                message=f"event {event}{whose} {what} ({during(noted)})",
                user=to,
                **at(execution, noted),
                evidence={
                    "event": event,
                    "sent": len(fate.sent),
                    "delivered": [fact.connection for fact, _ in fate.delivered],
                    "dropped": [fact.reason for fact, _ in fate.dropped],
                },
            )
        )
    return found


def _counters(execution: Execution) -> list[Finding]:
    """A finding for each counter whose last total is not what was counted before it.

    A total with counts after it was taken too early to say anything, and is not judged.
    """
    counted: dict[str, int] = {}
    last: dict[str, tuple[Total, Noted]] = {}
    for noted in execution.facts:
        fact = noted.fact
        if isinstance(fact, Counted):
            counted[fact.counter] = counted.get(fact.counter, 0) + fact.by
            last.pop(fact.counter, None)
        elif isinstance(fact, Total):
            last[fact.counter] = fact, noted
    return [
        Finding(
            property="conservation",
            message=f"counter {name} shows {total.value} after counts of {counted.get(name, 0)}",
            user=noted.user,
            **at(execution, noted),
            evidence={"counter": name, "shows": total.value, "counted": counted.get(name, 0)},
        )
        for name, (total, noted) in last.items()
        if total.value != counted.get(name, 0)
    ]


def check(execution: Execution) -> list[Finding]:
    """Events in the order they were first noted, then counters."""
    return _events(execution) + _counters(execution)


CONSERVATION = Invariant(
    "conservation",
    "Every event that was Sent is Delivered once or Dropped once, and a counter's Total is the "
    "sum of what was Counted. It fires on an event lost, doubled, both delivered and dropped, or "
    "never sent, and on a counter that lost an update. Lost is judged only where the execution "
    "ended by itself; events still queued then must be noted as Dropped. An event for several "
    "connections needs an id for each copy. Note Total where nobody counts any more, as in a "
    "final check, and start it from zero: one followed by more counts is not judged.",
    check,
)
