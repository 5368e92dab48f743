"""SURW: of the orders in which selected events can happen, each equally likely.

Selectively uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025). A walk that picks
threads uniformly makes some orders far likelier than others; one that picks them in proportion to
how many events each has left makes all equally likely, as the multinomial coefficients say. To be
uniform over a few events that matter instead of over all, only *selected* ones are counted:

- which thread does the next selected event is drawn in proportion to what each has left;
- until it has, the others stop before their next selected one; all else goes on freely, by
  random priorities;
- a thread not yet started counts with the one that will start it.

How many there are is learned (``Profile``). As in the paper's experiments the selected events of
one execution are the accesses to one shared thing, drawn anew for each execution; where nothing is
known of accesses, every event is selected, in proportion to the events that threads have left.
What was seen to race is preferred: accesses that a lock keeps apart cannot be put in any order
themselves (who is to come first would wait for the lock that another stopped with), but those to
the lock can.

Deviations. A thread that is drawn before it was started is waited for under its own name, which
is stable here; its next living ancestor is let through its own selected events meanwhile, which
comes to the same as drawing the ancestor and passing the choice on. Counts are means, so
fractions. A thread with more events than foreseen weighs as one with one left. A thread that was
drawn but does not come (it waits, or it is over) is drawn again among those that stopped: when all
have stopped, or when those that have not go on for longer than a whole execution should take.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from isomodel.engine.owner import Actor
from isomodel.engine.protocol import Option
from isomodel.schedulers.draws import Draws
from isomodel.schedulers.events import NOT_EVENTS, Touches, stream_of, thread_of, unknown
from isomodel.schedulers.manners import Manners
from isomodel.schedulers.profile import UNKNOWN, Profile

RACING = 0.75
"""Probability that the selected accesses are ones that were seen to race.

The others are not forgotten: a race may not have shown yet.
"""

SLACK = 100
"""How many events more than an execution should have are waited for whoever's turn it is."""


class SURW:
    """A scheduler for one execution, a pure function of its arguments.

    ``selected`` is the label whose accesses are selected, "" for all events; by default it is drawn
    from what the profile knows to be shared.
    """

    def __init__(
        self,
        seed: int,
        profile: Profile = UNKNOWN,
        *,
        touches: Touches = unknown,
        selected: str | None = None,
        company: bool = False,
    ) -> None:
        self._draws = draws = Draws(seed)
        self._manners = Manners(draws, company=company)
        self.patient = self._manners.patient
        self._touches = touches
        self.selected = _drawn(profile, draws) if selected is None else selected
        counts = profile.touched.get(self.selected, {}) if self.selected else profile.events
        self._left = dict(counts)
        self._parents = profile.parents
        self._happened: dict[str, int] = {}
        self._met: set[str] = set()
        self._stopped: dict[str, list[Option]] = {}
        self._whose: dict[Option, str] = {}
        self._turn = ""
        self._patience = profile.horizon() + SLACK
        self._waited = 0

    def choose(self, options: Sequence[Option], last: Actor) -> int:
        """The selected event whose turn it is, or one that is not selected."""
        first, end = self._manners.window(options)
        if options[first].kind in NOT_EVENTS:
            return first
        best, highest = -1, -1.0
        for index in range(first, end):
            priority = options[index].priority
            if priority < 0:
                priority = self._meet(options[index])
            if highest < priority < 1:
                best, highest = index, priority
        turn = self._let_through()
        if turn is not None and turn.priority - 1 > highest:
            with contextlib.suppress(ValueError):  # it was cancelled since
                best = options.index(turn, first, end)
        if best < 0 or (self._waited > self._patience and self._stopped):
            best = self._draw_again(options, first, end, best)
        if options[best].priority >= 1:
            self._pass(options[best])
        else:
            self._waited += 1
        return best

    def _meet(self, option: Option) -> float:
        """Note an event that came up: what its stream has done so far, and whether it is selected.

        Selected ones get a priority from [1, 2) and stop; the others one from [0, 1).
        """
        option.priority = self._draws.unit()
        if option.kind == "cancel":
            return option.priority
        thread = thread_of(option)
        stream, number = stream_of(option)
        self._met.add(thread)
        for past in range(self._happened.get(stream, 0), number):
            if self._is_selected(stream, past, ""):
                self._spend(thread)
        self._happened[stream] = max(number, self._happened.get(stream, 0))
        if option.kind == "step":
            self._stopped.pop(thread, None)
        if self._is_selected(stream, number, option.kind):
            option.priority += 1
            self._stop(option, thread)
        return option.priority

    def _stop(self, option: Option, thread: str) -> None:
        self._stopped.setdefault(thread, []).append(option)
        self._whose[option] = thread

    def _is_selected(self, stream: str, number: int, kind: str) -> bool:
        if not self.selected:
            return True
        accesses = self._touches(stream, number, kind)
        return bool(accesses) and any(label == self.selected for label, _ in accesses or ())

    def _let_through(self) -> Option | None:
        """The selected event that may happen now, if it has come up."""
        if not self._stopped:
            return None
        if not self._turn:
            weights = {thread: left for thread, left in self._left.items() if left > 0}
            for thread in self._stopped:
                weights.setdefault(thread, 1.0)
            self._turn = [*weights][self._draws.weighted([*weights.values()])]
        thread = self._turn
        for _ in self._parents:
            if thread in self._met:
                break
            thread = self._parents.get(thread, "")
        stopped = self._stopped.get(thread)
        return stopped[0] if stopped else None

    def _pass(self, option: Option) -> None:
        """A selected event happens: the next one is anybody's."""
        thread = self._whose.pop(option)  # who waits for it may be another by now
        stream, number = stream_of(option)
        self._happened[stream] = max(number + 1, self._happened.get(stream, 0))
        stopped = self._stopped[thread]
        stopped.remove(option)
        if not stopped:
            del self._stopped[thread]
        self._spend(thread)
        self._turn = ""
        self._waited = 0

    def _spend(self, thread: str) -> None:
        self._left[thread] = max(0.0, self._left.get(thread, 0.0) - 1)

    def _draw_again(self, options: Sequence[Option], first: int, end: int, otherwise: int) -> int:
        """The one whose turn it was does not come: of those that stopped, one goes on."""
        places = [index for index in range(first, end) if options[index].priority >= 1]
        threads = [self._whose[options[index]] for index in places]
        self._stopped.clear()  # what was cancelled since is forgotten
        for index, thread in zip(places, threads, strict=True):
            self._stopped.setdefault(thread, []).append(options[index])
        if not places:
            return otherwise
        weights = [self._left.get(thread, 0.0) or 1.0 for thread in threads]
        return places[self._draws.weighted(weights)]


def _drawn(profile: Profile, draws: Draws) -> str:
    """One of the shared labels, mostly of those that race, or "" where none is known."""
    shared = profile.shared()
    racing = [label for label in shared if label in profile.raced]
    labels = racing if racing and draws.unit() < RACING else shared
    return labels[draws.below(len(labels))] if labels else ""
