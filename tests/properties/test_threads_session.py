"""Targets on threads in a session: what is installed once, and what no execution leaves behind."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

pytest.importorskip("greenlet", reason="threads under control need the extra isomodel[threads]")

from isomodel.engine.threads.runtime import control
from isomodel.schedulers.random import RandomWalk
from isomodel.search.exploring.explore import Explorer
from isomodel.search.running.execute import execute, replay, session
from isomodel.search.running.kept import kept
from isomodel.search.threads import explore_threads
from isomodel.targets.declare import operation, spec_of
from isomodel.values.execution import Execution
from isomodel.values.scenario import Operation, Scenario

LOCK = threading.Lock()
AGAIN = threading.RLock()
CONDITION = threading.Condition()


class Held:
    """Takes locks that are older than control, and keeps them."""

    runtime = "threads"

    @operation
    def take(self, user: str) -> list[bool]:
        return [LOCK.acquire(timeout=1), AGAIN.acquire(timeout=1)]


class Shared:
    n: int

    def start(self) -> None:
        self.n = 0

    def add(self) -> int:
        self.n += 1
        return self.n


class InThreads(Shared):
    runtime = "threads"

    @operation
    def count(self, user: str) -> int:
        return self.add()


class InTasks(Shared):
    @operation
    async def count(self, user: str) -> int:
        return self.add()


class AlsoInThreads(InThreads):
    """The same code, of another target."""


def run(cls: type, name: str, seed: int = 0, users: str = "ab") -> Execution:
    operations = tuple(Operation(f"{user}.1", user, name, {}, beside=False) for user in users)
    return execute(spec_of(cls), Scenario(operations), RandomWalk(seed), fidelity="stock")


def counted(cls: type) -> set[str]:
    """What two users saw of one counter, over a few schedules."""
    return {
        repr([entry[2] for seen in run(cls, "count", seed).observations.values() for entry in seen])
        for seed in range(30)
    }


@pytest.fixture
def originals() -> Iterator[Callable[[], list[Any]]]:
    def now() -> list[Any]:
        lock = threading.Lock()
        return [
            type(lock).__dict__["acquire"],
            threading.Condition.__dict__["wait"],
            Shared.add.__code__,
        ]

    before = now()
    yield now
    assert now() == before


def test_control_is_installed_once_and_undone_with_the_session(
    originals: Callable[[], list[Any]],
) -> None:
    before = originals()
    with session():
        assert originals() == before
        run(InThreads, "count")
        during = originals()
        assert not any(one is other for one, other in zip(before, during, strict=True))
        run(InThreads, "count")
        assert originals() == during
        with session():
            run(InThreads, "count")
        assert originals() == during
    assert originals() == before


def test_without_a_session_it_is_undone_with_the_execution(
    originals: Callable[[], list[Any]],
) -> None:
    before = originals()
    run(InThreads, "count")
    assert originals() == before


def test_a_lock_that_an_execution_keeps_is_free_in_the_next() -> None:
    with session():
        for _ in range(3):
            execution = run(Held, "take", users="a")
            assert execution.observations["a"][0][2] == [True, True]
            assert not LOCK.locked()
    assert AGAIN.acquire(blocking=False)
    AGAIN.release()


def test_targets_that_share_code_do_not_disturb_each_other() -> None:
    """Each has it rewritten for itself: with points for threads, and as it is for tasks."""
    with session():
        for _ in range(2):
            assert "[1, 1]" in counted(InThreads)
            assert counted(InTasks) == {"[1, 2]", "[2, 1]"}
            assert "[1, 1]" in counted(AlsoInThreads)
        outcome = explore_threads(
            Shared.add, Shared.add, setup=_made, check=lambda shared: shared.n == 2, executions=30
        )
        assert outcome.verdict.status == "violated"
        assert "[1, 1]" in counted(InThreads)


def _made() -> Shared:
    shared = Shared()
    shared.start()
    return shared


def test_an_execution_within_another_leaves_the_others_control_in_place() -> None:
    class Nested(InThreads):
        inner: ClassVar[list[set[str]]] = []

        def start(self) -> None:
            super().start()
            if not self.inner:
                self.inner.append(set())
                self.inner[0] |= {repr(run(InTasks, "count").ended)}

    with session():
        assert run(Nested, "count").ended == "done"
        assert Nested.inner == [{"'done'"}]
        assert "[1, 1]" in counted(Nested)


def test_real_threads_between_executions_do_as_ever() -> None:
    with session():
        run(InThreads, "count")
        seen: list[int] = []
        thread = threading.Thread(target=seen.append, args=(1,))
        thread.start()
        with CONDITION:
            CONDITION.notify_all()
        thread.join(5)
        assert seen == [1]
        assert threading.Lock().acquire(timeout=0.01)


def test_what_is_kept_goes_even_when_a_session_fails() -> None:
    def fails() -> None:
        with session():
            run(InThreads, "count")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert kept._in_place is None
    assert control._installed == 0
    assert run(InThreads, "count").ended == "done"


def test_whoever_watches_an_execution_does_not_change_it() -> None:
    """Patient schedulers were once asked less often than those that note what they choose."""
    explorer = Explorer(spec_of(InThreads))
    with session():
        for index in range(60):
            draw = explorer.fresh(index)
            plain = explorer.run(draw)
            recorded = explorer.run(draw, record=True)
            observed = explorer.run(draw, observe=True)
            again = replay(explorer.spec, draw.scenario, recorded.schedule)
            assert plain.trace == recorded.trace == observed.trace == again.trace
            assert again.diverged == 0


class Counting:
    """Two operations of one user side by side may be over in either order."""

    runtime = "threads"

    def start(self) -> None:
        self.lock = threading.Lock()
        self.last: dict[str, str] = {}

    @operation
    def count(self, user: str) -> int:
        with self.lock:
            self.last[user] = self.last["any"] = user
        return len(self.own(user))

    def own(self, user: str) -> str:
        return self.last[user]


class Mixing(Counting):
    """Answers with whoever came last."""

    def own(self, user: str) -> str:
        return self.last["any"] + "!" * (self.last["any"] != user)


@pytest.mark.parametrize(("cls", "broken"), [(Counting, False), (Mixing, True)])
def test_in_which_order_own_operations_are_over_is_nobodys_interference(
    cls: type, broken: bool
) -> None:
    """With eight users it was: no run alone came upon the same order of many."""
    explorer = Explorer(spec_of(cls), users=3, operations=12)
    found, orders = set(), 0
    with session():
        for index in range(30):
            draw = explorer.fresh(index)
            execution, judged = explorer.examine(draw)
            found |= {finding.property for finding in judged.findings}
            orders += len(judged.also_alone)
            if found:
                break
            for user, seen in execution.observations.items():
                mine = [each.label for each in draw.scenario.operations if each.user == user]
                assert [label for label, _, _ in seen] == mine
    assert found == ({"noninterference"} if broken else set())
    assert broken or not orders


def test_proxies_of_what_is_gone_do_not_keep_control_from_coming_into_place() -> None:
    class Gone:
        pass

    thing = Gone()
    proxy = weakref.proxy(thing)
    del thing
    with control.installed():
        pass
    assert type(proxy) is weakref.ProxyType
