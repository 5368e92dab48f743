"""Plans: how one execution of a scenario is to be scheduled, and the search that makes them.

A plan is a value from which the same scheduler can be made again. The search makes plan after
plan for one scenario and learns from what their executions showed.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from isomodel.engine.protocol import Scheduler
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.focused import Focused
from isomodel.schedulers.held import Held, Hold
from isomodel.schedulers.in_turn import InTurn
from isomodel.schedulers.pct import PCT
from isomodel.schedulers.profile import UNKNOWN, Profile
from isomodel.schedulers.random import RandomWalk
from isomodel.schedulers.round_robin import RoundRobin
from isomodel.schedulers.sticky import Sticky
from isomodel.schedulers.surw import SURW
from isomodel.search.exploring.frontier import Frontier
from isomodel.search.exploring.observe import Observer, Recording
from isomodel.search.exploring.portfolio import Portfolio, Share
from isomodel.tracking.swap import Rewriting, telling
from isomodel.tracking.tracker import Tracker
from isomodel.values.schedule import Fault

POLICIES: Mapping[str, float] = {
    "reversal": 1.0,
    "order": 0.5,
    "walk": 0.25,
    "pct 2": 0.05,
    "pct 3": 0.05,
    "pct 5": 0.05,
    "sticky": 0.05,
}
"""With how often each is expected to show something new, to begin with."""

ON_THREADS: Mapping[str, float] = {
    "reversal": 1.0,
    "order": 0.5,
    "walk": 0.25,
    "pct 2": 0.1,
    "pct 3": 0.1,
    "surw": 0.1,
    "sticky": 0.05,
}
"""The same for threads that are interrupted at accesses."""

SEEING = ("reversal", "order")
"""Those that go by what was seen of accesses."""

EAGER = 100
"""Executions that are all observed; later only one in so many, as observing is not free."""

SELDOM = 8

AT_LARGE = 3
"""One execution in so many of a focused search knows nothing of accesses: some are not seen."""

CANCELS = 4
"""One execution in so many also cancels a task."""


class Plan(msgspec.Struct, frozen=True):
    """One schedule to try: a policy, its seed, what it knows, and what it holds back.

    ``focused``: it is asked only where more than one thread is concerned.
    """

    policy: str
    seed: int
    holds: tuple[Hold, ...] = ()
    profile: Profile = UNKNOWN
    company: bool = False
    focused: bool = False

    def scheduler(self) -> Scheduler:
        """A new scheduler for one execution; equal plans make schedulers that choose alike."""
        base = _MAKERS.get(self.policy, _walk)(self)
        base = Held(base, self.holds) if self.holds else base
        return Focused(base) if self.focused else base


def _walk(plan: Plan) -> Scheduler:
    return RandomWalk(plan.seed, company=plan.company)


def _pct(depth: int) -> Callable[[Plan], Scheduler]:
    def make(plan: Plan) -> Scheduler:
        return PCT(plan.seed, plan.profile, depth=depth, company=plan.company)

    return make


def _sticky(plan: Plan) -> Scheduler:
    return Sticky(plan.seed, plan.profile, company=plan.company)


def _round_robin(plan: Plan) -> Scheduler:
    return RoundRobin(plan.seed, plan.profile, company=plan.company)


def _surw(plan: Plan) -> Scheduler:
    return SURW(plan.seed, plan.profile, company=plan.company)


_MAKERS: Mapping[str, Callable[[Plan], Scheduler]] = {
    "pct 2": _pct(2),
    "pct 3": _pct(3),
    "pct 5": _pct(5),
    "sticky": _sticky,
    "surw": _surw,
    "round robin": _round_robin,
    "in turn": lambda plan: InTurn(),
    "default": lambda plan: Default(),
}


class ScheduleSearch:
    """Plans executions of one scenario; a pure function of ``seed`` and of what is learned.

    ``roots`` are functions or classes of the program, whose accesses are to be seen; ``cancel``
    lets some executions cancel a task. ``policies`` are those that share the budget, ``rewriting``
    what the program's code becomes so that its accesses are seen, ``first`` the policy of the first
    execution, which the others learn from, ``packages`` whose code belongs to the program.
    """

    def __init__(
        self,
        roots: Iterable[Any],
        seed: int,
        *,
        cancel: bool = False,
        policies: Mapping[str, float] = POLICIES,
        rewriting: Rewriting = telling,
        first: str = "walk",
        packages: Iterable[str] | None = None,
    ) -> None:
        self._seed = seed
        self._cancel = cancel
        self._rewriting = rewriting
        self._first = first
        self._packages = packages
        self._roots = tuple(roots)
        self._frontier = Frontier()
        self._portfolio = Portfolio({**policies, first: policies.get(first, 0.0)})
        self._known: list[tuple[str, int]] = []
        self._profile = UNKNOWN
        self._focus: Profile | None = None

    @functools.cached_property
    def tracker(self) -> Tracker:
        """Of the program as it is loaded when this is first asked for."""
        return Tracker(self._roots, self._rewriting, self._packages)

    def plan(self, index: int) -> Plan:
        """The plan of execution ``index``, from 0."""
        source = random.Random(f"{self._seed}/{index}/plan")
        walk = self._seed * 1_000_003 + index
        focused = self._focus is not None and index % AT_LARGE != 1
        if not index or (index == 1 and self._focus is not None):  # in both ways
            return Plan(self._first, walk, focused=focused)
        if self._strikes(index):  # faults strike where chance takes them
            return Plan("walk", walk)
        policy = self._portfolio.draw(source)
        if policy in SEEING and self._focus is not None and not focused:
            policy = "walk"
        holds = None
        if policy == "reversal":
            holds = self._frontier.reversal(source)
            policy = policy if holds else "order"
        if policy == "order":
            holds = self._frontier.order(source)
            policy = policy if holds else "walk"
        profile = self._focus if focused and self._focus is not None else self._profile
        return Plan(policy, walk, holds or (), profile, focused=focused)

    def cancellation(self, index: int) -> tuple[Fault, ...]:
        """For some executions, to cancel one of the tasks known so far at one of its awaits."""
        if not self._strikes(index) or not self._known:
            return ()
        source = random.Random(f"{self._seed}/{index}")
        name, steps = source.choice(self._known)
        return (Fault("cancel", name, source.randint(1, max(1, steps))),)

    def _strikes(self, index: int) -> bool:
        return self._cancel and index % CANCELS == CANCELS - 1

    def knows(self, profile: Profile) -> None:
        """Add to what is known of how many events the scenario has."""
        self._profile = self._profile.plus(profile)

    def focus(self, profile: Profile) -> None:
        """Ask most schedulers only where it matters; ``profile`` counts what that is."""
        self._focus = profile

    def observer(self, plan: Plan, seen: Recording | None = None) -> Observer | None:
        """For executions that are worth what it costs to see their accesses.

        ``seen`` tells of them in place of the tracker.
        """
        index = plan.seed - self._seed * 1_000_003
        if index > EAGER and index % SELDOM:
            return None
        return Observer(seen or self.tracker, plan.scheduler(), profiled=not index % SELDOM)

    def learn(self, plan: Plan, observer: Observer | None, steps: list[tuple[str, int]]) -> None:
        """Take note of what the execution of this plan showed."""
        self._portfolio.used(plan.policy)
        if not self._known:
            self._known = steps
        if observer is not None:
            new = self._frontier.learn(plan.holds, observer.touches)
            self._portfolio.judged(plan.policy, new=new)
            if observer.profiling is not None:
                self._profile = self._profile.plus(observer.profiling.profile(steps))

    def shares(self) -> tuple[Share, ...]:
        """What each policy has had of the budget."""
        return self._portfolio.shares()
