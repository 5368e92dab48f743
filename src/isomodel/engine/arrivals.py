"""What may come from outside: arrivals, timers, faults; and what each of them is called.

Nothing here waits for the operating system: all are pending until the scheduler lets them in.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Callable, Iterable
from time import sleep
from typing import Any

from isomodel.engine.control.sources import active
from isomodel.engine.core import Core
from isomodel.engine.handle import Handle, Jump, Latency, Pending, Timer
from isomodel.engine.owner import OWNER, Owner
from isomodel.engine.protocol import Scheduler
from isomodel.values.scenario import operation_of
from isomodel.values.schedule import OF_IO, Fault, FaultKind

LONG = 60.0
"""Seconds that a slow I/O takes, and the clock jumps, at least: few time limits are longer."""


class Arrivals(Core):
    """The part of a runtime that knows what is pending, and asks the scheduler."""

    __slots__ = ("__dict__", "__weakref__")

    overdue_comes_next = True
    """Whether a timer that was set to no later than now runs in the next iteration for sure."""

    cancels_queue = True
    """Whether a cancellation at step 0 is queued behind the first step of its task."""

    _serial = 0

    @property
    def scheduler(self) -> Scheduler:
        """Who decides what happens next; may be exchanged between two calls of ``drive``."""
        scheduler: Scheduler = self._scheduler
        return scheduler

    @scheduler.setter
    def scheduler(self, scheduler: Scheduler) -> None:
        self._obey(scheduler)

    @property
    def asks_always(self) -> bool:
        """Whether the scheduler is asked even where only one thing can happen, as an observer
        of all that happens has to be."""
        return self._asks_always

    @asks_always.setter
    def asks_always(self, always: bool) -> None:
        self._asks_always = always
        self._obey(self._scheduler)

    # Arrivals

    def owner(self) -> Owner:
        """Whose work is running now."""
        return OWNER.get(self.root)

    def arrive(
        self,
        kind: str,
        callback: Callable[..., object],
        *args: Any,
        latency: float = 0.0,
        owner: Owner | None = None,
    ) -> Handle:
        """Let ``callback`` be called when the scheduler lets it arrive, not before ``latency``.

        It runs as ``owner``'s, by default the one that is running now.
        """
        owner = owner or OWNER.get(self.root)
        if self._planned and kind != "start":  # the network; ``struck`` has looked at this number
            latency += self._delayed(owner, owner.count("network"))
        handle = Pending(callback, args, owner.context, self.last, owner, kind, owner.count(kind))
        if latency > 0:
            self._delay(handle, latency)
        else:
            self._arrivals.append(handle)
        return handle

    def _delay(self, handle: Pending, latency: float) -> None:
        if self._every_choice:
            self._arrivals.append(handle)
            return
        waiting = Latency(
            self._comes, (handle,), None, handle.actor, handle.owner, "timer", handle.number
        )
        waiting.future = handle.future
        self._push(waiting, self.now + latency)

    def _comes(self, handle: Pending) -> None:
        """Its latency is over: from now on it may arrive."""
        self._arrivals.append(handle)

    # Faults of I/O and of the clock

    @functools.cached_property
    def hits(self) -> list[tuple[Fault, Iterable[Owner]]]:
        """The faults of the network that struck, each with who has used that connection."""
        return []

    @functools.cached_property
    def places(self) -> list[tuple[int, str]]:
        """Where each of ``fired`` struck: how long the trace was, and the task that ran."""
        return []

    def _fired(self, fault: Fault) -> None:
        """Note that this fault strikes now."""
        last = self.last
        begun = fault.kind in OF_IO and last is not None and last.owner.label == fault.task
        self.places.append((len(self.trace or ()), last.name if begun else fault.task))
        self.fired.append(fault)

    def struck(self, owner: Owner, users: Iterable[Owner], *kinds: FaultKind) -> FaultKind | None:
        """Which of these faults of the network strikes the owner's event that begins next.

        ``users`` of the connection may still grow.
        """
        if not self._planned:
            return None
        at = owner.counts.get("network", 0)
        for kind in kinds:
            if self._strikes(kind, owner.label, at):
                self.hits.append((Fault(kind, operation_of(owner.label), at), users))
                return kind
        return None

    def waited(self, owner: Owner) -> bool:
        """Whether what runs now is the work of ``owner``, and nothing but time has led to it."""
        running: Owner = OWNER.get(self.root)
        if running.label != owner.label:
            return False
        mine = f"{owner.label} "
        for arrival in reversed(self.log or ()):
            if arrival.key.startswith(mine) and arrival.key != f"{mine}step":
                return str(arrival.key).startswith(f"{mine}timer ")
        return False

    def met_stale(self, owner: Owner) -> None:
        """Note that what ``owner`` sends meets an end that was closed while it was idle.

        The place is nobody's plan, and not looked at.
        """
        fault = Fault("stale", operation_of(owner.label), 0)
        self.hits.append((fault, (owner,)))

    def _fails(self, owner: Owner, at: int) -> bool:
        """Whether this I/O fails; where there is no network, so does what would refuse or reset."""
        if self._strikes("fail", owner.label, at):
            return True
        if "network" in self.__dict__:
            return False
        return any(self._strikes(kind, owner.label, at, "fail") for kind in ("refuse", "reset"))

    def _strikes(
        self, kind: FaultKind, label: str, at: int, known_as: FaultKind | None = None
    ) -> bool:
        """Whether this fault is planned; if so, it strikes now, and is recorded as ``known_as``."""
        label = operation_of(label)
        fault = Fault(kind, label, at)
        if fault not in self._planned:
            return False
        self._planned.discard(fault)
        if known_as is not None:
            fault = Fault(known_as, label, at)
        self._fired(fault)
        self.met[fault] = None
        return True

    def _delayed(self, owner: Owner, at: int) -> float:
        """By how many seconds this I/O is slower than it would be."""
        return self._long() if self._strikes("slow", owner.label, at) else 0.0

    def _long(self) -> float:
        """More seconds than until any timer that is pending, and at least ``LONG``."""
        latest = max((when for when, _, timer in self._timers if not timer.is_off()), default=0.0)
        return max(LONG, latest - self.now + 1.0)

    def _jump(self, jump: Jump) -> None:
        """The clock has moved on: the next poll finds all timers due, in their order."""
        self._fired(jump.args[0])
        if not self._every_choice:  # a projected clock has jumped by itself
            self.now += self._long()
        if self.log is not None:
            self._record(jump)
        while not self._every_choice and self._is_due():
            timer = heapq.heappop(self._timers)[2]
            if type(timer) is Latency and not timer.is_off():
                timer.callback(*timer.args)
            elif not timer.is_off():
                if self.log is not None:
                    self._record(timer)
                self._ready.append(timer)

    def _is_set(self, label: str, number: int) -> bool:
        """Whether this timer is pending."""
        return any(
            timer.number == number
            and timer.owner.label == label
            and type(timer) is not Latency
            and not timer.is_off()
            for _, _, timer in self._timers
        )

    def still_serving(self) -> str:
        """Which servers of the simulated network have open connections, and what to do; or ""."""
        network: Any = self.__dict__.get("network")
        return "" if network is None else str(network.still_serving())

    # Timers

    def _set_timer(self, timer: Timer, when: float) -> None:
        """Have it happen at this time, or next if that is no later than now."""
        when = float(when)  # a program may round it; the clock shows a float all the same
        if when <= self.now and self.overdue_comes_next:
            timer.time = when
            self._overdue.append(timer)
        else:
            self._push(timer, when)

    def _push(self, timer: Timer, when: float) -> None:
        self._serial += 1
        timer.time = when
        heapq.heappush(self._timers, (when, self._serial, timer))

    # Choices

    def awaiting(self) -> list[Owner]:
        """Whose I/O is still to arrive."""
        late = (timer for _, _, timer in self._timers if type(timer) is Latency)
        return [
            handle.owner
            for handle in (*self._live_arrivals(), *late)
            if handle.kind != "start" and not handle.is_off()
        ]

    def timed(self) -> list[Timer]:
        """What waits for time to pass."""
        return [timer for _, _, timer in self._timers if not timer.is_off()]

    def will_jump(self) -> bool:
        """Whether a fault makes the clock jump now, at the latest."""
        jumps = (fault for fault in self._cancels if fault.kind == "jump")
        return any(self._is_set(fault.task, fault.at) for fault in jumps)

    def nobodys_turn(self) -> bool:
        """Whether a callback or step that belongs to no user is ready to run."""
        return any(not self._owner_of(handle).user for handle in self._ready)

    def _owner_of(self, handle: Handle) -> Owner:
        if isinstance(handle, Pending):
            return handle.owner
        return self.root if handle.context is None else handle.context.get(OWNER, self.root)

    def _threads_sent(self) -> bool:
        """Where the program started real threads: give them a moment to send something."""
        sources = active()
        if sources is None or all(issue.source != "thread" for issue in sources.issues.values()):
            return False
        for _ in range(200):
            if self._posts:
                return True
            sleep(0.002)
        return False

    def _possible_cancels(self) -> list[Pending]:
        """The planned cancellations that are possible now, each an arrival from outside."""
        raise NotImplementedError

    # Records

    def mark(self, kind: str) -> None:
        """Log something of the running owner's that an alone run must repeat at this place."""
        owner = OWNER.get(self.root)
        mark = Pending(self.mark, (), None, self.last, owner, kind, owner.count(kind))
        if self.log is not None:
            self._record(mark)
