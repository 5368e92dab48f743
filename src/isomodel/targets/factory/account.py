"""Accounts: what each user knows of its own doing, and what follows for what it must see.

Kept apart from the layer, and only of what is certain: where requests of one user overlap, or one
did not succeed, all that may have happened is allowed. What cannot be is noted as a broken promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from isomodel.engine.world import note
from isomodel.targets.factory.backends import Event
from isomodel.targets.factory.errors import ContextExpired, Overdrawn, RateLimited
from isomodel.values.facts import Broken

SAVINGS = "savings", ""
RUN_BEFORE = "the run before"
"""What is kept between requests, until the user leaves."""


def expect(kept: bool, promise: str, why: str) -> None:
    """Note that the promise is broken, unless it is kept."""
    if not kept:
        note(Broken(promise, why))


class Account:
    """The account of one user."""

    def __init__(self) -> None:
        self._done: Counter[tuple[str, str]] = Counter()
        self._maybe: Counter[tuple[str, str]] = Counter()
        self._may_hold: dict[str, list[str | None]] = {}
        self._begun: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._calls: list[float] = []
        self._conversations: dict[str, str] = {}
        self._departures = 0
        self._requests = 0

    # What was written

    @contextmanager
    def adding(self, kind: str, text: str, amount: int = 1) -> Iterator[None]:
        """Add so much of a text of this kind; without success, it may have been added or not."""
        self._maybe[kind, text] += amount
        yield
        self._maybe[kind, text] -= amount
        self._done[kind, text] += amount

    def added(self) -> Mapping[tuple[str, str], int]:
        """How often each text was added for sure, by now."""
        return dict(self._done)

    def listed(
        self, kind: str, texts: Sequence[str], sure: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        """What is seen of this kind, after what was ``sure`` when it was asked for."""
        for key in self._maybe:
            if key[0] == kind:
                self._counted(key, texts.count(key[1]), self._done if sure is None else sure)

    def saved(self, checking: int, savings: int, opening: int) -> None:
        """What the user's accounts hold, where so much was there at first."""
        total = checking + savings
        expect(total == opening, "no money is made or lost", f"{opening} became {total}")
        self._counted(SAVINGS, savings, self._done)

    @contextmanager
    def moving(self, amount: int, opening: int) -> Iterator[None]:
        """Move so much to the savings: refused where so much is not there, only then."""
        with self.adding(*SAVINGS, amount):
            try:
                yield
            except Overdrawn:
                most = self._done[SAVINGS] + self._maybe[SAVINGS]
                expect(most > opening, "what is there can be moved", f"{most} of {opening}")
                raise

    def _counted(
        self, key: tuple[str, str], number: int, sure: Mapping[tuple[str, str], int]
    ) -> None:
        least, most = sure.get(key, 0), self._done[key] + self._maybe[key]
        expect(
            least <= number <= most,
            "what was added is there once",
            f"{key[0]} {key[1]}: {number} times, where {least} to {most} were added",
        )

    @contextmanager
    def writing(self, place: str, value: str) -> Iterator[None]:
        """Write to a place: after success, with no other write beside it, nothing else is there."""
        self._may_hold.setdefault(place, [None]).append(value)
        with self._beside(place) as begun:
            yield
        if begun == (0, self._begun[place]):
            self._may_hold[place] = [value]

    def holds(self, place: str, value: str | None) -> None:
        """What is read of this place while nobody writes."""
        allowed = self._may_hold.get(place, [None])
        expect(value in allowed, "what was written is read", f"{place} holds {value!r}")

    # What is limited

    @contextmanager
    def one_of(self, what: str, most: int, refused: type[Exception]) -> Iterator[None]:
        """Do this beside others of the user: it is ``refused`` if there are so many, only then."""
        with self._beside(what) as (others, begun):
            try:
                yield
            except refused as error:
                beside = others + self._begun[what] - begun
                refusal_is_due(beside, most, error)
                raise

    @contextmanager
    def _beside(self, what: str) -> Iterator[tuple[int, int]]:
        """How many of these are under way, and how many have begun, this one included."""
        self._begun[what] += 1
        self._under_way[what] += 1
        try:
            yield self._under_way[what] - 1, self._begun[what]
        finally:
            self._under_way[what] -= 1

    @contextmanager
    def calling(self, now: Callable[[], float], most: int, window: float) -> Iterator[None]:
        """A call at this moment, of which there may be so many in a window of seconds."""
        try:
            yield
        except RateLimited as error:
            refusal_is_due(self._called(now() - window), most, error)
            raise
        before = self._called(now() - window)
        expect(before < most, "no limit is passed", f"call {before + 1} of {most} was served")
        self._calls.append(now())

    def _called(self, after: float) -> int:
        return sum(time > after for time in self._calls)

    def left(self) -> None:
        """The user leaves: its limits begin anew, and so may what is kept between its requests."""
        self._calls.clear()
        self._departures += 1
        self._may_hold.setdefault(RUN_BEFORE, [None]).append(None)
        self._begun[RUN_BEFORE] += 1  # a run under way may still be kept, or be forgotten

    @contextmanager
    def staying(self) -> Iterator[None]:
        """A request, whose context lives while the user does not leave."""
        departures = self._departures
        try:
            yield
        except ContextExpired as error:
            left = self._departures > departures
            expect(left, "a context lives as long as its request", str(error))
            raise
        self._requests += 1

    def recorded(self, requests: int) -> None:
        """So many requests of the user have been recorded."""
        served = self._requests
        expect(requests >= served, "requests are recorded", f"{requests} of {served}")

    # Who it is

    def talks(self, token: str, conversation: str) -> None:
        """A token stands for a conversation, for as long as it stands for anything."""
        known = self._conversations.setdefault(token, conversation)
        expect(known == conversation, "a refresh keeps the conversation", f"{known} is lost")

    def refreshed(self, old: str, new: str) -> None:
        """A token was exchanged for a new one."""
        if old in self._conversations:
            self._conversations[new] = self._conversations[old]


def refusal_is_due(used: int, most: int, error: Exception) -> None:
    """A user was refused something of which it uses so many, where so many are allowed."""
    name = type(error).__name__
    expect(used >= most, "only what is too much is refused", f"{name} with {used} of {most} in use")


def has_arrived(inbox: Sequence[Event], kind: str, text: str, least: int) -> None:
    """At least so many events of this kind with this text have arrived."""
    arrived = sum(event.kind == kind and text in event.payload for event in inbox)
    expect(arrived >= least, "what was sent has arrived", f"{kind}: {arrived} of {least}")
