"""The seam between what runs a scenario and what runs its tasks: asyncio, trio, or another.

``search`` speaks to a ``Runtime`` only. An engine implements it for one library under one fidelity;
``search.runtimes`` knows which there are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import Context
from typing import Any, Protocol

from isomodel.engine.core import Blocked, OutOfSteps
from isomodel.engine.giving_up import Boundary
from isomodel.engine.handle import Timer
from isomodel.engine.owner import Actor, Owner
from isomodel.engine.protocol import Scheduler
from isomodel.values.execution import Arrival, Issue
from isomodel.values.facts import Fact
from isomodel.values.schedule import Fault
from isomodel.values.trace import Step

__all__ = ["IN_CALLBACK", "Blocked", "Cancelled", "Crashed", "Doing", "OutOfSteps", "Runtime"]

Cancelled = asyncio.CancelledError
"""What ``Doing.result`` raises of a task that was cancelled, whatever its library calls that."""


IN_CALLBACK = "Exception in callback "
"""How an error begins that a callback raised and nobody can handle, as asyncio's log has it."""


class Crashed(Exception):
    """The library that runs the tasks has given up, as it would outside isomodel."""


class Doing(Protocol):
    """A task that was started: what asyncio's tasks have of it, and others can have, too."""

    def done(self) -> bool:
        """Whether it has ended."""

    def result(self) -> Any:
        """What it returned; raises what it raised, ``Cancelled`` if it was cancelled."""

    def cancel(self) -> object:
        """Cancel it."""


class Runtime(Protocol):
    """One execution of one program under a scheduler.

    Times are virtual, in seconds. ``root`` owns what belongs to no operation; ``last`` is the task
    that took the last step. ``log`` (what an alone run repeats) and ``trace`` (what a person
    follows) are None where nothing is to be recorded. ``met`` are the faults that became possible,
    in order; ``fired`` those that struck. ``idles`` counts the moments at which nothing was ready.
    ``uncontrolled`` lists what was asked for and is not simulated. ``scheduler`` may be exchanged
    between two calls of ``drive``. ``errors`` are those that nobody waits for.
    """

    root: Owner
    last: Actor
    now: float
    steps: int
    idles: int
    max_steps: int
    log: list[Arrival] | None
    trace: list[Step] | None
    met: dict[Fault, None]
    fired: list[Fault]
    uncontrolled: list[Issue]
    errors: list[str]

    @property
    def scheduler(self) -> Scheduler:
        """Who decides what happens next."""

    @scheduler.setter
    def scheduler(self, scheduler: Scheduler) -> None: ...

    @property
    def hits(self) -> list[tuple[Fault, Iterable[Owner]]]:
        """The faults of the network that struck, each with who has used that connection."""

    @property
    def places(self) -> list[tuple[int, str]]:
        """Where each of ``fired`` struck: how long the trace was, and the task."""

    @property
    def asks_always(self) -> bool:
        """Whether the scheduler is asked even where only one thing can happen."""

    @asks_always.setter
    def asks_always(self, always: bool) -> None: ...

    @property
    def in_task(self) -> Callable[[], object]:
        """Tells whether a task is taking a step: the answer is None where none is."""

    def still_serving(self) -> str:
        """Which servers of the simulated network have open connections, and what to do; or ""."""

    # Whose work it is

    def time(self) -> float:
        """Virtual time since the execution began."""

    def owner(self) -> Owner:
        """Whose work is running now."""

    def label(self) -> str:
        """The label of the operation that is running now, "" outside any."""

    # Tasks

    def start(
        self, coro: Coroutine[Any, Any, Any], owner: Owner, context: Context | None = None
    ) -> Doing:
        """Start ``coro`` as the main task of ``owner``, in a copy of ``context``."""

    def create_task(self, coro: Coroutine[Any, Any, Any], *, context: Context) -> Doing:
        """Start ``coro`` in this very context: what it sets there stays set."""

    def task(self, name: str) -> Doing | None:
        """The task of this stable name, while it exists."""

    def pending(self) -> list[str]:
        """The names of the tasks that are not done, in the order in which they were made."""

    def waiting(self) -> list[str]:
        """Where each of them waits: "bob.1 waits at outer:12 > inner:34"."""

    def can_go_on(self, name: str) -> bool:
        """Whether nothing keeps this task, nor one that it awaits, from its next step."""

    def step_counts(self) -> list[tuple[str, int]]:
        """The tasks made so far but the main one, each with the steps it has taken."""

    def boundaries(self, label: str) -> list[Boundary]:
        """What this operation has to be called in, so that faults can strike it."""

    # What comes from outside

    def arrive(
        self,
        kind: str,
        callback: Callable[..., object],
        *args: Any,
        latency: float = 0.0,
        owner: Owner | None = None,
    ) -> object:
        """Let ``callback`` be called when the scheduler lets it arrive, not before ``latency``."""

    def io(self, name: str, latency: float, fails: type[BaseException] | None) -> Awaitable[None]:
        """Simulated I/O."""

    def awaiting(self) -> list[Owner]:
        """Whose I/O is still to arrive."""

    def timed(self) -> list[Timer]:
        """What waits for time to pass."""

    def will_jump(self) -> bool:
        """Whether a fault makes the clock jump now, at the latest."""

    def nobodys_turn(self) -> bool:
        """Whether a callback or step that belongs to no user is ready to run."""

    def mark(self, kind: str) -> None:
        """Log something of the running owner's that an alone run must repeat at this place."""

    # Its life

    def running(self) -> contextlib.AbstractContextManager[None]:
        """Be the runtime that the program finds itself in, inside the block."""

    def drive(self, done: Callable[[], bool]) -> None:
        """Run until ``done()``; raises Blocked or OutOfSteps."""

    def settle(self) -> None:
        """Let everything happen that can without time passing; raises OutOfSteps."""

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run ``main`` to its end; returns its result or raises what it raised."""

    def dismiss(self) -> list[str]:
        """End every task, so that nothing reaches the next execution; no call may follow.

        The names of those that swallow their cancellation again and again.
        """

    # The world of a program that is no target (engine.world.World)

    def note(self, fact: Fact) -> None:
        """Programs have no invariants to judge facts."""

    def watch(self, thing: Any, what: str) -> None:
        """Programs have no last operation."""

    def acting_as(self, user: str) -> contextlib.AbstractContextManager[None]:
        """Raise RuntimeError, for want of users."""
