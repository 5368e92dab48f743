"""Random exploration: scenarios, schedules and faults at random until a property breaks."""

from __future__ import annotations

import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial

import msgspec

from isomodel.engine.protocol import Scheduler
from isomodel.schedulers.aimed import NEVER, Aimed, Window
from isomodel.schedulers.held import Hold
from isomodel.schedulers.injecting import Injecting
from isomodel.schedulers.striking import Striking
from isomodel.search.exploring.extent import Extent
from isomodel.search.exploring.feedback import Feedback, Lead
from isomodel.search.exploring.generate import Generator, strike_of
from isomodel.search.exploring.observe import Observer
from isomodel.search.exploring.once import Once
from isomodel.search.exploring.plans import Plan
from isomodel.search.exploring.portfolio import Portfolio
from isomodel.search.exploring.survey import Moment, Survey, victims
from isomodel.search.exploring.sweep import Sweep
from isomodel.search.exploring.tally import Outcome, Tally
from isomodel.search.judging.judge import Judge, Judged, Oracles
from isomodel.search.running.execute import execute
from isomodel.search.running.runtimes import tracker_of
from isomodel.targets.declare import TargetSpec
from isomodel.tracking.tracker import Tracker
from isomodel.values.execution import Execution
from isomodel.values.scenario import Scenario
from isomodel.values.schedule import STRIKES, Fault, Fidelity
from isomodel.values.verdict import Finding, Verdict

AUDIT_EVERY = 250
"""One execution in so many is run twice, to see whether it is a function of its inputs."""


FRESH: Mapping[str, float] = {"walk": 0.5, "pct 2": 0.05, "pct 3": 0.05, "sticky": 0.05}
"""Policies for new scenarios, with how often each is expected to show something new."""

FOLLOWING: Mapping[str, float] = {"reversal": 0.2, "order": 0.1, "mutant": 0.3, "akin": 0.3}
"""Policies that go on from an execution which did, or draw what is known to meet."""

SWEEP: Mapping[str, float] = {"sweep": 0.3}
"""The policy that strikes places of faults one after another (``isomodel.search.exploring.sweep``).

Until it has been everywhere once, every second execution that would have had one fault, drawn at
random, is its own, and executions without faults stay as many as they were. After that it has the
share that it earns.
"""

AKIN = 0.4
"""The share of executions whose scenarios are of two kinds of operations, whatever else pays: a
race of two operations of one user hands nothing over between users."""

LOOKING = frozenset(("reversal", "mutant"))
"""Policies whose executions are always observed."""

EASY = 100
"""Executions before the first one is observed: most defects show by chance, and sooner."""

OBSERVED = 8
"""From then on, one new scenario in so many is, and those of kinds of operations that were hardly
seen: seeing accesses takes three times as long as all the rest."""


WITHHELD = 0.2
"""The share of executions without a fault in which a cancellation is planned and withheld, to
see where it would fall into a hand-over."""

AIMS = 2
"""How many of the hand-overs seen in one execution are struck: so one execution in six is aimed."""

WAITING = 30
"""How many of them wait for their turn; of more, the oldest are let go."""


class Draw(msgspec.Struct, frozen=True):
    """The inputs of execution ``index`` of a hunt.

    A pure function of seed, index and what the hunt has seen before.
    """

    index: int
    scenario: Scenario
    fidelity: Fidelity
    faults: tuple[Fault, ...]
    walk: int
    policy: str = "walk"
    holds: tuple[Hold, ...] = ()
    strike: int | None = None
    """Where the planned fault strikes, if that is known: see ``Aimed``."""
    order: str = ""
    """Of a sweep: the policy that makes the order in which its fault strikes."""
    passed: int = 0
    """Of a sweep: at how many moments the fault could have struck before."""
    late: bool = False
    """Of a sweep: whether what is still to come for the struck operation comes late."""

    def scheduler(self) -> Scheduler:
        """A new scheduler for this execution."""
        if self.order:
            return Striking(self.undisturbed(), self.passed, late=self.late)
        strikes = any(fault.kind in STRIKES for fault in self.faults)
        company = strikes and self.strike is None
        scheduler = Plan(self.policy, self.walk, self.holds, company=company).scheduler()
        if self.strike is not None:
            return Aimed(scheduler, self.strike)
        return Injecting(scheduler, self.walk) if strikes and self.walk % 2 else scheduler

    def plan(self) -> Plan:
        """How it is to be scheduled, but for its faults."""
        return Plan(self.policy, self.walk, self.holds)

    def undisturbed(self) -> Scheduler:
        """Of a sweep: a new scheduler of its order, in which nothing strikes."""
        return Plan(self.order, self.walk, company=True).scheduler()


class Budget(msgspec.Struct, frozen=True):
    """When to stop: after this many executions, or this many seconds, whichever comes first."""

    executions: int = 1_000
    seconds: float | None = None


class Explorer:
    """Hunts one target from one seed; a scenario has at most so many ``faults``."""

    def __init__(
        self,
        spec: TargetSpec,
        *,
        seed: int = 0,
        fidelities: Sequence[Fidelity] = ("stock", "portable"),
        armed: tuple[str, ...] = (),
        oracles: Oracles = "all",
        users: int | None = None,
        operations: int = 4,
        faults: int = 2,
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.armed = armed
        self.judge = Judge(spec, armed, oracles)
        self._fidelities = tuple(fidelities)
        self._generator = Generator(spec, users=users, operations=operations, faults=faults)
        self._extent = Extent()
        self._feedback = Feedback(self._generator, self._extent)
        self._strikes = faults > 0 and spec.runtime != "threads"
        self._sweep = {each: Sweep(spec, self._generator, each, seed) for each in self._fidelities}
        sweep = SWEEP if self._strikes else {}
        self._portfolio = Portfolio({**FRESH, **FOLLOWING, **sweep})
        self._aims: deque[Draw] = deque(maxlen=WAITING)
        self._aimed_from = -1
        self._once = Once(spec, seed) if spec.once else None

    @cached_property
    def _tracker(self) -> Tracker:
        """Made when something is first observed: most hunts are over before."""
        return tracker_of(self.spec)

    def fresh(self, index: int, policy: str = "walk") -> Draw:
        """The inputs of one execution of a new scenario, its faults where operations come."""
        source = random.Random(f"{self.seed}/{index}")
        scenario = self._generator.scenario(source)
        faults = self._generator.faults(scenario, source, index, self._extent)
        fidelity = self._fidelities[index % len(self._fidelities)]
        walk = source.getrandbits(48)
        return self._withholding(Draw(index, scenario, fidelity, faults, walk, policy), source)

    def _withholding(self, draw: Draw, source: random.Random) -> Draw:
        """Some of those without a fault: with one that is planned and does not strike."""
        if draw.faults or draw.holds or not self._strikes or source.random() >= WITHHELD:
            return draw
        planned = strike_of(self.spec, source.choice(draw.scenario.operations), source)
        return msgspec.structs.replace(draw, faults=(planned,), strike=NEVER)

    def draw(self, index: int) -> Draw:
        """The inputs of the next execution, given what the hunt has seen."""
        if self._once is not None:
            return self._scheduled(index, self._once)
        if self._aims and index % 2:
            return msgspec.structs.replace(self._aims[0], index=index)
        fidelity = self._fidelities[index % len(self._fidelities)]
        if index <= EASY:
            draw = self.fresh(index)
            return self._swept(draw) or draw
        source = random.Random(f"{self.seed}/{index}/policy")
        policy = "akin" if source.random() < AKIN else self._portfolio.draw(source)
        if policy == "sweep" and self._sweep[fidelity].is_thorough:
            return self._struck(index, fidelity)
        lead = self._lead(policy, source, fidelity)
        if lead is None:
            draw = self.fresh(index, policy if policy in FRESH else "walk")
        else:
            walk = source.getrandbits(48)
            draw = Draw(index, lead.scenario, lead.fidelity, lead.faults, walk, policy, lead.holds)
            draw = self._withholding(draw, source)
        return self._swept(draw) or draw

    def _scheduled(self, index: int, once: Once) -> Draw:
        """Of a program, whose scenario is always the same: the schedule to be tried next."""
        draw = self.fresh(index)
        planned = once.plan(index)
        if planned is None:
            return draw
        plan, faults = planned
        return msgspec.structs.replace(
            draw,
            faults=faults,
            walk=plan.seed,
            policy=plan.policy,
            holds=plan.holds,
            strike=None,
        )

    def _swept(self, draw: Draw) -> Draw | None:
        """What the sweep strikes in its place, if this is one of the draws of a single fault."""
        if not self._strikes or len(draw.faults) != 1 or draw.strike is not None:
            return None
        if draw.policy in LOOKING or draw.walk & 2:
            return None
        if self._sweep[draw.fidelity].is_thorough:
            return None
        return self._struck(draw.index, draw.fidelity)

    def _struck(self, index: int, fidelity: Fidelity) -> Draw:
        each = self._sweep[fidelity].next()
        return Draw(
            index,
            each.scenario,
            fidelity,
            each.faults,
            each.walk,
            "sweep",
            order=each.order,
            passed=each.passed,
            late=each.late,
        )

    def _lead(self, policy: str, source: random.Random, fidelity: Fidelity) -> Lead | None:
        ways: Mapping[str, Callable[[random.Random], Lead | None]] = {
            "akin": partial(self._feedback.akin, fidelity),
            "reversal": self._feedback.reversal,
            "order": self._feedback.order,
            "mutant": self._feedback.mutant,
        }
        return ways[policy](source) if policy in ways else None

    def run(self, draw: Draw, *, record: bool = False, observe: bool = False) -> Execution:
        """Execute these inputs; if it is observed, the hunt learns from it."""
        scheduler = draw.scheduler()
        observer = Observer(self._tracker, scheduler) if observe else None
        execution = execute(
            self.spec,
            draw.scenario,
            scheduler if observer is None else observer.scheduler,
            fidelity=draw.fidelity,
            faults=draw.faults,
            armed=self.armed,
            record=record,
            around=contextlib.nullcontext if observer is None else observer.watching,
        )
        if observer is not None and self._once is not None:
            self._once.learn(draw.plan(), observer, execution)
        elif observer is not None:
            struck = () if draw.strike == NEVER else draw.faults
            lead = Lead(draw.scenario, draw.fidelity, struck, draw.holds)
            new = self._feedback.learn(lead, observer.touches, observer.accesses)
            if not draw.order:
                self._portfolio.judged(draw.policy, new=new)
        if isinstance(scheduler, Aimed) and draw.strike == NEVER and draw.index > self._aimed_from:
            self._aimed_from = draw.index
            self._aim(draw, scheduler.windows)
        return execution

    def _aim(self, draw: Draw, windows: Sequence[Window]) -> None:
        """Strike at some of these windows next, where others hand something over first of all."""
        source = random.Random(f"{self.seed}/{draw.index}/aim")
        chosen = sorted(windows, key=lambda window: (not window.handed, source.random()))
        self._aims.extend(
            msgspec.structs.replace(draw, strike=window.question) for window in chosen[:AIMS]
        )

    def learn(self, draw: Draw, execution: Execution) -> None:
        """Take note of the execution that was drawn last, so that another one is next."""
        self._extent.learn(execution)
        if draw.strike:
            self._aims.popleft()
        if draw.order:
            new = self._sweep[draw.fidelity].learn(execution, partial(self._surveyed, draw))
            self._portfolio.judged(draw.policy, new=new)

    def _surveyed(self, draw: Draw) -> Sequence[Moment]:
        """At which moments faults could strike this execution, which is run once more for that."""
        survey = Survey(draw.undisturbed())
        execute(
            self.spec,
            draw.scenario,
            survey,
            fidelity=draw.fidelity,
            faults=victims(
                draw.scenario,
                inside=self.spec.cancels == "any",
                queues=self._sweep[draw.fidelity].queues,
            ),
            armed=self.armed,
            record=False,
            around=survey.watching,
        )
        return survey.moments

    def observes(self, draw: Draw) -> bool:
        """Whether a hunt looks at what this execution touches."""
        if self._once is not None:
            return self._once.observes(draw.index, draw.faults)
        if draw.index <= EASY or draw.order:
            return False
        names = (operation.name for operation in draw.scenario.operations)
        return (
            draw.policy in LOOKING
            or draw.index % OBSERVED == 0
            or not all(map(self._feedback.knows, names))
        )

    def examine(self, draw: Draw, *, observe: bool = False) -> tuple[Execution, Judged]:
        """Execute these inputs, and judge what came of it."""
        execution = self.run(draw, observe=observe)
        return execution, self.judge(execution, partial(self.run, draw))

    def hunt(
        self,
        budget: Budget,
        *,
        first: int = 0,
        before: Callable[[Draw], None] = lambda draw: None,
        after: Callable[[int], None] = lambda index: None,
    ) -> Outcome:
        """Explore until a finding or the end of the budget.

        ``before`` and ``after`` are called around each execution, for journals and progress.
        """
        tally = Tally(self.spec)
        deadline = None if budget.seconds is None else time.monotonic() + budget.seconds
        for index in range(first, first + budget.executions):
            draw = self.draw(index)
            before(draw)
            if self._once is None:
                self._portfolio.used(draw.policy)
            observed = self.observes(draw)
            execution, judged = self.examine(draw, observe=observed)
            if judged.findings:
                return self._found(draw, judged.findings, tally)
            self.learn(draw, execution)
            tally.add(execution, judged.unknown, judged.also_alone)
            if index % AUDIT_EVERY == 0:  # observing keeps what finalisers wait for a little longer
                tally.audit(self.run(draw) if observed else execution, self.run(draw))
            after(index)
            if deadline is not None and time.monotonic() > deadline:
                break
        return tally.outcome(self.judge.isolation)

    def _found(self, draw: Draw, findings: tuple[Finding, ...], tally: Tally) -> Outcome:
        """Run it once more with everything written down: the same inputs, the same execution."""
        execution = self.run(draw, record=True)
        verdict = Verdict("violated", findings[0].message, findings, tally.executions + 1)
        return Outcome(
            verdict,
            execution,
            findings[0],
            draw.index,
            self.judge.isolation.runs,
            self.judge.isolation.steps,
            tally.steps + execution.steps,
            tally.also_alone,
            tally.examples,
            tuple(tally.issues),
            draw.policy,
        )
