"""What a target, and the guards of its shared resources, may ask while a run is under way."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any

from isomodel.engine.owner import OWNER, Owner, Part
from isomodel.engine.runtime import IN_CALLBACK, Runtime
from isomodel.targets.declare import TargetSpec
from isomodel.targets.plain import plain
from isomodel.values.facts import Broken, Fact, Noted
from isomodel.values.scenario import SERVER, Operation, operation_of

_ALL_IO = "*"
"""Stands for I/O of any kind where an owner's arrivals are counted by kind."""


class RunWorld:
    """The part of a run that answers the target (engine.world.World) and guards (targets.guard)."""

    spec: TargetSpec
    loop: Runtime
    facts: list[Noted]
    observations: dict[str, list[tuple[str, str, Any]]]
    _parts: dict[str, Part]
    _live: dict[str, Operation]
    _handles: dict[str, Any]
    _ended_handles: set[str]
    _watched: list[tuple[weakref.ref[Any], str]]

    # What the target calls (engine.world.World)

    def io(self, name: str, latency: float, fails: type[BaseException] | None) -> Awaitable[None]:
        """Simulated I/O."""
        return self.loop.io(name, latency, fails)

    def note(self, fact: Fact) -> None:
        """Record a fact."""
        owner = self.loop.owner()
        # a server may read two requests of one user at once: its facts are of no one operation
        label = "" if owner.label.startswith(SERVER) else owner.label
        self.facts.append(Noted(fact, label, owner.user, self.loop.now))

    def met(self, error: Exception, label: str, user: str) -> None:
        """A user meets this error: one that the target does not declare breaks its word."""
        declared = self.spec.errors
        if declared is None or isinstance(error, (*declared, *self.spec.uncertain)):
            return
        seen = plain(error)
        promise = "its users meet declared errors only" if not self.spec.once else "raises nothing"
        broken = Broken(promise, f"{seen['error']}: {seen['message']}")
        self.facts.append(Noted(broken, label, user, self.loop.now))

    def unheard(self) -> None:
        """Errors in callbacks, which no user meets, break it as well."""
        for text in self.loop.errors:
            if self.spec.errors is not None and text.startswith(IN_CALLBACK):
                broken = Broken("no callback fails", text.removeprefix(IN_CALLBACK))
                self.facts.append(Noted(broken, "", "", self.loop.now))

    def watch(self, thing: Any, what: str) -> None:
        """Expect this object to be gone at the end."""
        self._watched.append((weakref.ref(thing), what))

    @contextlib.contextmanager
    def acting_as(self, user: str) -> Iterator[None]:
        """Own what starts inside the block."""
        part = self._parts.get(user) or self.loop.root.part
        token = OWNER.set(Owner(f"{user}.background", user, part, root=True))
        try:
            yield
        finally:
            OWNER.reset(token)

    def part_of(self, user: str) -> Part:
        """The users judged together with this one."""
        return self._parts[user]

    def clocks(self) -> dict[str, tuple[float, ...]]:
        """For each part, the virtual time at each of its steps."""
        return {part.name: tuple(part.times) for part in self._parts.values()}

    # What guards of shared resources ask (targets.guard.Host)

    def whose(self) -> tuple[str, str]:
        """Label and user of the operation now running."""
        owner = self.loop.owner()
        return owner.label, owner.user

    def holds_rightly(self, label: str) -> bool:
        """Whether this operation may still hold a unit: it runs, or its handle is in use.

        A server may, for all that can be told: which of a user's requests it took the unit for is
        not known for sure.
        """
        if label in self._live or "." not in label or label.startswith(SERVER):
            return True
        return label in self._handles and label not in self._ended_handles

    def idles(self) -> int:
        """At how many moments nothing was ready to run."""
        return self.loop.idles

    def running(self) -> str:
        """The name of the task that takes a step now."""
        return self.loop.last.name

    def proceeds(self, task: str, label: str) -> bool:
        """Whether this task of the operation can go on, or waits for an own arrival."""
        if self.loop.can_go_on(task):
            return True
        return any(operation_of(owner.label) == label for owner in self.loop.awaiting())

    def under_repair(self) -> bool:
        """Whether work that belongs to no user can go on, or waits for something from outside.

        Or has gone on since the last time limit of the operation now running, which came together
        with what it waited for.
        """
        if not all(owner.user for owner in self.loop.awaiting()):
            return True
        for name in self.loop.pending():
            if not self._user_of(name) and self.loop.can_go_on(name):
                return True
        mine, others = self.loop.label(), False
        for step in reversed(self.loop.trace or ()):
            timer = step.what.startswith("timer ")
            if timer and step.task == mine:
                return others
            others = others or not (timer or self._user_of(step.task))
        return False

    def _user_of(self, task: str) -> str:
        """The user whose task this is, "" if it is nobody's."""
        user, dot, _ = task.partition(".")
        return user if dot and user in self.observations else ""

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self.loop.now

    def counts(self) -> dict[str, int]:
        """How many timers and I/O of each kind the operation now running has begun."""
        owner = self.loop.owner()
        return {**owner.counts, _ALL_IO: owner.io_count}

    def refused(self) -> None:
        """A justified refusal happens now."""
        self.loop.mark("refusal")

    def refusal(self, spent: Mapping[str, int]) -> Awaitable[None]:
        """Wait until a refusal that happened jointly is due alone."""
        owner = self.loop.owner()
        for kind, number in spent.items():
            owner.counts[kind] = owner.counts.get(kind, 0) + number
        owner.io_count += spent.get(_ALL_IO, 0) - 1  # the wait itself is none of its I/O
        return self.loop.io("refusal", 0.0, None)
