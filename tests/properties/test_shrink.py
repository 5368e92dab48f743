"""Shrinking ends in the least that still fails, and what it says can be held against it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import strategies as st
from shrinking import hunted, shrunk

from benchmarks.toy import MINIMUM, Toy
from isomodel import Secret, io, note, observe, operation
from isomodel.bridges.explain import explain
from isomodel.edges import report
from isomodel.facts import Issued, Used
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.following import Following
from isomodel.search import cases
from isomodel.search.cases import rejudge
from isomodel.search.exploring.explore import Explorer
from isomodel.search.exploring.generate import pools_of
from isomodel.search.judging.judge import Judge
from isomodel.search.running.execute import execute, session
from isomodel.search.shrinking.edit import as_begun, kept, without
from isomodel.search.shrinking.shrink import Shrinker
from isomodel.search.shrinking.simplest import Attempt, Limits, Probe, simplest
from isomodel.search.shrinking.smaller import Smaller
from isomodel.search.shrinking.smallest import smallest
from isomodel.search.shrinking.trying import OutOfTime, Trying
from isomodel.search.shrinking.whittle import Whittling
from isomodel.targets.declare import spec_of
from isomodel.values.case import Size
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario
from isomodel.values.schedule import Fault, Fidelity, Schedule
from isomodel.values.trace import Event

SEEDS = range(5)


class Current:
    """Needs two users and one switch: the second request starts within the first."""

    def __init__(self) -> None:
        self.user = ""

    @operation
    async def greet(self, user: str) -> str:
        self.user = user
        await io("one")
        await io("two")
        return f"hello {self.user}"

    @operation
    async def idle(self, user: str, number: int) -> int:
        await io("nothing")
        return number


class Dirty:
    """Needs one cancellation, after the request was sent and before its reply was read."""

    def __init__(self) -> None:
        self.free: list[list[str]] = []

    @operation
    async def ask(self, user: str, text: Secret) -> str:
        replies = self.free.pop() if self.free else []
        try:
            await io("send")
            replies.append(text)
            await io("receive")
            return replies.pop(0)
        finally:
            self.free.append(replies)

    @operation
    async def wait(self, user: str) -> str:
        await asyncio.sleep(1)
        return "waited"


class Overdrawn:
    """Needs a failing operation: an injected error will do, and so will a large amount."""

    def __init__(self) -> None:
        self.held: list[int] = []

    @operation(amount=st.integers(1, 9))
    async def pay(self, user: str, amount: int) -> str:
        self.held.append(amount)
        await io("bank", fails=ConnectionError)
        if amount > 5:
            raise ValueError("too much")
        self.held.remove(amount)
        return "paid"

    def leftovers(self) -> list[str]:
        return [f"{amount} on hold" for amount in self.held]

    async def leave(self, user: str) -> None:
        pass


class Counter:
    """A lost update that one user alone can cause, with two requests side by side."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    @operation
    async def make(self, user: str) -> str:
        number = len(self.ids)
        await io("store")
        self.ids.append(number)
        note(Issued("item", str(number)))
        return "made"

    @observe
    async def nothing(self, user: str) -> str:
        return "nothing"


@pytest.mark.parametrize(
    ("target", "size"),
    [
        (Current, Size(2, 2, 1, 0)),
        (Dirty, Size(2, 2, 0, 1)),
        (Overdrawn, Size(1, 1, 0, 0)),
        (Counter, Size(1, 2, 1, 0)),
    ],
)
def test_every_seed_ends_in_the_minimum_worked_out_by_hand(target: type, size: Size) -> None:
    for seed in SEEDS:
        case = shrunk(target, seed)
        assert (case.size, case.minimal) == (size, True), (seed, case)


@pytest.mark.parametrize("target", [Current, Dirty])
@pytest.mark.parametrize("fidelity", ["stock", "portable"])
def test_nothing_single_can_be_removed_from_a_shrunk_case(target: type, fidelity: Fidelity) -> None:
    case = shrunk(target, 0, fidelities=(fidelity,))
    spec = spec_of(target)
    smaller = [
        msgspec.structs.replace(
            case, scenario=fewer, schedule=kept(case.schedule, {o.label for o in fewer.operations})
        )
        for fewer in (without(case.scenario, o.label) for o in case.scenario.operations)
    ]
    for part in ("choices", "faults"):
        items = getattr(case.schedule, part)
        for index in range(len(items)):
            rest = (*items[:index], *items[index + 1 :])
            schedule = msgspec.structs.replace(case.schedule, **{part: rest})
            smaller.append(msgspec.structs.replace(case, schedule=schedule))
    with session():
        assert rejudge(case, spec)[1] is not None
        for candidate in smaller:
            if candidate.scenario.operations:
                assert rejudge(candidate, spec)[1] is None, candidate.schedule


def test_a_finding_under_portable_is_kept_under_stock_where_it_shows_there() -> None:
    case = shrunk(Current, 0, fidelities=("portable",))
    assert (case.schedule.fidelity, case.confirmed) == ("stock", {"stock": True})


class Order:
    """Correct as long as tasks run in the order in which they were started, as stock does."""

    @operation
    async def both(self, user: str) -> list[str]:
        seen: list[str] = []

        async def step(name: str) -> None:
            seen.append(name)

        await asyncio.gather(step("open"), step("use"))
        return seen


def test_what_only_portable_can_do_is_never_found_under_stock() -> None:
    class Strict(Order):
        @operation
        async def both(self, user: str) -> list[str]:
            seen = await super().both(user)
            while seen != ["open", "use"]:
                await asyncio.Event().wait()
            return seen

    with session():
        assert hunted(Strict, 0, fidelities=("stock",)).verdict.status == "ok"
    case = shrunk(Strict, 0, fidelities=("portable",))
    assert (case.schedule.fidelity, case.confirmed["stock"]) == ("portable", False)


class SameTick:
    """Broken only where two replies come in the same iteration of the loop."""

    def __init__(self) -> None:
        self.busy = 0
        self.clashes = 0

    @operation
    async def use(self, user: str) -> str:
        await io("reply")
        self.busy += 1
        self.clashes += self.busy > 1
        await asyncio.sleep(0)
        self.busy -= 1
        return "used"

    async def leave(self, user: str) -> None:
        pass

    def leftovers(self) -> list[str]:
        return ["a clash"] * (self.clashes > 0)


def test_arrivals_come_one_by_one_where_that_breaks_it_too() -> None:
    for target in (Counter, Current):
        for seed in SEEDS:
            choices = shrunk(target, seed, fidelities=("stock",)).schedule.choices
            assert not any(choice.nth for choice in choices), (target, seed, choices)


def test_an_arrival_that_joins_another_is_kept_where_it_takes_that() -> None:
    case = shrunk(SameTick, 0, fidelities=("stock",))
    assert any(choice.nth for choice in case.schedule.choices)
    assert (case.size.operations, case.size.faults) == (2, 0)


def test_switches_stand_in_for_a_fault_of_the_same_cost() -> None:
    with session():
        found = (hunted(Toy, seed, oracles="invariants") for seed in range(100))
        outcome = next(o for o in found if o.execution and o.execution.schedule.faults)
        assert outcome.execution is not None
        assert outcome.finding is not None
        case = Shrinker(spec_of(Toy)).shrink(outcome.execution, outcome.finding)
    assert case.size == MINIMUM
    assert shrunk(Dirty, 0).size.faults == 1  # no switch does there


def test_shrinking_that_has_no_time_left_keeps_the_smallest_so_far_and_says_so() -> None:
    with session():
        outcome = hunted(Current, 0)
        assert outcome.execution is not None
        assert outcome.finding is not None
        hasty = Shrinker(spec_of(Current), seconds=-1)
        case = hasty.shrink(outcome.execution, outcome.finding)
        assert cases.rejudge(case, spec_of(Current))[1] is not None
    assert (hasty.executions, case.cut_short, case.minimal) == (1, True, False)
    assert case.scenario == outcome.execution.scenario
    assert "not minimal: shrinking ended at its limit" in explain(case)
    assert report.shrunk(case).endswith("f, not minimal: shrinking ended at its limit")
    patient = shrunk(Current, 0)
    assert (patient.cut_short, patient.minimal) == (False, True)
    assert "not minimal" not in explain(patient) + report.shrunk(patient)


def test_shrinking_that_has_no_executions_left_says_that_it_is_not_minimal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert shrunk(Dirty, 0).minimal
    monkeypatch.setattr("isomodel.search.shrinking.shrink.FULL", 1)
    case = shrunk(Dirty, 0)
    assert (case.minimal, case.cut_short) == (False, True)
    assert "not minimal" in explain(case)


def test_the_smallest_so_far_is_what_an_interrupted_shrinking_returns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with session():
        outcome = hunted(Overdrawn, 0)
        assert outcome.execution is not None
        assert outcome.finding is not None
        shrinker = Shrinker(spec_of(Overdrawn))
        monkeypatch.setattr(shrinker._polish, "_renamed", _never)
        case = shrinker.shrink(outcome.execution, outcome.finding)
    assert case.cut_short
    assert case.size == Size(1, 1, 0, 0)


def _never(best: object) -> None:
    raise OutOfTime


def test_the_toy_of_the_benchmark_shrinks_to_its_minimum() -> None:
    for seed in range(4):
        case = shrunk(Toy, seed, oracles="invariants")
        assert case.size == MINIMUM, seed
        assert len(case.schedule.choices) == MINIMUM.switches  # none that only sets the scene


def test_edits_never_give_one_label_to_two_operations() -> None:
    spec = spec_of(Overdrawn)
    edits = Smaller(spec, pools_of(spec))
    with session():
        explorer = Explorer(spec)
        for index in range(100):
            scenario = explorer.draw(index).scenario
            for _, fewer, _ in edits.without_operation(scenario):
                if len(fewer.users) > 1:
                    for _, merged, _ in edits.merged(fewer):
                        labels = [operation.label for operation in merged.operations]
                        assert len(set(labels)) == len(labels) == len(fewer.operations)
                        assert len(merged.users) == len(fewer.users) - 1


class Slots:
    """Two slots, of which each failure loses one: an overdraft, or a session used too late."""

    def __init__(self) -> None:
        self.free = 2

    @operation(amount=st.integers(1, 9))
    async def pay(self, user: str, amount: int) -> str:
        while not self.free:
            await asyncio.Event().wait()
        await io("bank")
        if amount > 5:
            self.free -= 1
            raise ValueError("too much")
        return "paid"

    @operation(makes="session")
    async def open(self, user: str) -> float:
        return asyncio.get_running_loop().time()

    @operation
    async def use(self, user: str, session: float) -> str:
        await io("query")
        if asyncio.get_running_loop().time() > session:
            self.free -= 1
            raise ValueError("too late")
        return "used"

    @operation
    async def rest(self, user: str) -> str:
        await asyncio.sleep(1)
        return "rested"


def test_one_operation_repeated_stands_in_for_two_that_need_each_other() -> None:
    spec = spec_of(Slots)
    program = (
        Operation("alice.1", "alice", "pay", {"amount": 9}),
        Operation("alice.2", "alice", "open"),
        Operation("alice.3", "alice", "rest", {}, True),
        Operation("alice.4", "alice", "use", {"session": {"made": "alice.2"}}),
        Operation("alice.5", "alice", "pay", {"amount": 1}),
    )
    repeated = list(Smaller(spec, pools_of(spec)).repeated(Scenario(program)))
    assert repeated
    assert all(len(scenario.operations) < len(program) for scenario in repeated)
    with session():
        execution = execute(spec, Scenario(program), Default(), fidelity="stock")
        (finding,) = Judge(spec)(execution, lambda: execution).findings
        case = Shrinker(spec).shrink(execution, finding)
    assert finding.property == "liveness"
    assert case.size == Size(1, 3, 0, 0)
    assert {operation.name for operation in case.scenario.operations} == {"pay"}


def test_a_shrunk_case_names_users_operations_and_secrets_from_the_start() -> None:
    case = shrunk(Dirty, 3)
    assert [operation.label for operation in case.scenario.operations] == ["alice.1", "bob.1"]
    texts = [operation.args.get("text", "") for operation in case.scenario.operations]
    for user, text in zip(("alice", "bob"), texts, strict=True):
        assert not text or text.startswith(f"{user}'s-secret-1-")


def test_the_least_scenarios_come_in_order_of_size_and_stay_below_it() -> None:
    spec = spec_of(Overdrawn)
    sizes = [
        (len(scenario.users), len(scenario.operations))
        for scenario in smallest(spec, pools_of(spec), Size(2, 3, 1, 0))
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] == (1, 1)
    assert not list(smallest(spec, pools_of(spec), Size(1, 1, 0, 0)))


class Halves:
    """Fails where two tasks of one user overlap, and by a command alone that says so."""

    async def start(self) -> None:
        self.inside = 0

    @operation
    async def work(self, user: str) -> None:
        self.inside += 1
        note(Used("workers", self.inside, 1))
        await io("one")
        await io("two")
        self.inside -= 1

    @operation
    async def rest(self, user: str) -> str:
        await io("rest")
        return "rested"

    @operation
    async def report(self, user: str, number: int) -> None:
        note(Used("workers", 2, 1))


def test_two_operations_are_tried_alone_and_another_kind_of_operation_without_a_switch() -> None:
    spec = spec_of(Halves)
    edits = Smaller(spec, pools_of(spec))
    program = tuple(
        Operation(f"alice.{n}", "alice", name, {}, n > 1)
        for n, name in enumerate(("work", "work", "rest"), 1)
    )
    pairs = [[o.name for o in each.operations] for each in edits.pairs(Scenario(program))]
    assert ["work", "work"] in pairs
    assert all(len(pair) == 2 for pair in pairs)
    others = [[o.name for o in each.operations] for each in edits.exchanged(Scenario(program))]
    assert ["report", "work", "rest"] in others
    assert all(len(other) == 3 for other in others)


def test_a_switch_gives_way_to_an_operation_that_needs_none() -> None:
    case = shrunk(Halves, 0)
    assert case.finding.property == "limits"
    assert case.size == Size(1, 1, 0, 0)


def following(scenario: Scenario, keys: list[str]) -> list[str]:
    """What came, in turn, where these keys were followed."""
    with session():
        execution = execute(spec_of(Current), scenario, Following(keys), fidelity="stock")
    return [arrival.key for arrival in execution.arrivals[: execution.operated]]


def test_an_order_is_followed_as_far_as_it_goes() -> None:
    both = Scenario(
        (Operation("alice.1", "alice", "greet"), Operation("bob.1", "bob", "greet")), 0, ()
    )
    usual = following(both, [])
    assert [key.partition(".")[0] for key in usual] == ["alice"] * 3 + ["bob"] * 3
    crossed = [*usual[:2], *usual[3:], usual[2]]
    assert following(both, crossed) == crossed
    alone = msgspec.structs.replace(both, operations=both.operations[1:])
    assert following(alone, crossed) == [key for key in crossed if key.startswith("bob")]


def test_what_one_operation_less_needs_is_the_order_it_had_and_no_search() -> None:
    with session():
        spec = spec_of(Current)
        outcome = hunted(Current, 0)
        assert outcome.execution is not None
        assert outcome.finding is not None
        found = Attempt(
            outcome.execution.scenario,
            outcome.execution.schedule,
            outcome.execution,
            outcome.finding,
        )
        trying = Trying(spec, (), 60.0)
        trying.begin(found)
        quick = Whittling(Smaller(spec, pools_of(spec)), trying).quick(found)
    assert (quick.size.users, quick.size.operations) == (2, 2)
    assert trying.executions < 60


def test_operations_are_listed_as_they_began() -> None:
    labels = ("alice.1", "alice.2", "bob.1", "bob.2")
    scenario = Scenario(tuple(Operation(n, n.partition(".")[0], "idle") for n in labels), 0, ())
    begun = ("bob.2", "alice.2", "alice.1")
    history = tuple(Event("invoke", n, n.partition(".")[0], "idle", 0.0) for n in begun)
    execution = Execution(scenario, Schedule(), "done", history)
    listed = [operation.label for operation in as_begun(scenario, execution).operations]
    assert listed == ["bob.2", "bob.1", "alice.2", "alice.1"]


def test_a_search_departs_no_more_often_than_it_may() -> None:
    program = (Operation("alice.1", "alice", "greet"), Operation("bob.1", "bob", "greet"))
    most = 0

    def run(probe: Probe, faults: tuple[Fault, ...]) -> tuple[Execution, None]:
        nonlocal most
        execution = execute(spec_of(Current), Scenario(program), probe, fidelity="stock")
        most = max(most, len(execution.schedule.choices))
        return execution, None

    with session():
        simplest(Scenario(program), run, Limits(500, departures=1))
        assert most == 1
        simplest(Scenario(program), run, Limits(500, departures=2))
        assert most == 2
