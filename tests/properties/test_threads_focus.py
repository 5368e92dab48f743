"""At instructions: schedulers are asked where it matters, and sometimes everywhere."""

from __future__ import annotations

import collections
import time
from typing import Any

import pytest

pytest.importorskip("greenlet", reason="threads under control need the extra isomodel[threads]")

from isomodel.engine.owner import Actor, Owner, Part
from isomodel.engine.threads.places import Places
from isomodel.schedulers.fifo import Default
from isomodel.schedulers.focused import Focused
from isomodel.schedulers.profile import Profile
from isomodel.search.exploring.plans import AT_LARGE, ScheduleSearch
from isomodel.search.threads import explore_threads
from isomodel.tracking.recorder import Access


class Shop:
    def __init__(self) -> None:
        self.sold = 0
        self.books: dict[str, int] = {}
        self.numbers = self.counting()
        self.seen: list[int] = []

    def counting(self) -> Any:
        number = 0
        while True:
            number += 1
            yield number


def sells_after_much_work(shop: Shop) -> None:
    mine = collections.Counter()
    for number in range(30):
        mine[number % 3] += number
        time.sleep(0)
    shop.sold += 1


def takes_a_number(shop: Shop) -> None:
    shop.seen.append(next(shop.numbers))


def sells(shop: Shop) -> None:
    work = 1 + 2
    shop.sold = shop.sold + work
    shop.books["a"] = shop.sold


def test_a_race_behind_much_work_of_ones_own_is_found_at_once() -> None:
    """Thirty rounds of what concerns nobody else once hid the one access that does."""
    for seed in range(5):
        outcome = explore_threads(
            sells_after_much_work,
            sells_after_much_work,
            setup=Shop,
            check=lambda shop: shop.sold == 2,
            executions=40,
            seed=seed,
            granularity="instructions",
        )
        assert outcome.verdict.status == "violated"


def test_what_no_access_tells_of_is_found_too() -> None:
    """Only instructions can interrupt a generator that two threads ask for more."""
    outcome = explore_threads(
        takes_a_number, takes_a_number, setup=Shop, executions=40, granularity="instructions"
    )
    assert "generator already executing" in outcome.verdict.reason


def test_accesses_are_put_down_to_the_instructions_that_may_have_made_them() -> None:
    code = sells.__code__
    line = code.co_firstlineno + 2
    where = f"test_threads_focus.py:{line} in sells"
    shop, books = ("shop", "Shop", 1), ("shop", "dict", 1)
    accesses = [
        Access("one", 1, (shop, "sold"), False, where),
        Access("one", 2, (shop, "sold"), True, where),
        Access("two", 1, (shop, "sold"), True, where),
        Access("one", 3, (books, "a"), True, f"test_threads_focus.py:{line + 1} in sells"),
        Access("main", 1, (books, "a"), True, f"test_threads_focus.py:{line + 1} in sells"),
    ]
    touched = Places(accesses, frozenset(("main",))).of(code)
    assert [each for each in touched.values() if each] == [
        ((shop, "sold", False),),
        ((shop, "sold", True),),
    ]
    both = Places([*accesses, accesses[-1]._replace(task="two")], frozenset()).of(code)
    assert ((books, "a", True),) in both.values()


class Option:
    kind = "step"
    key = ""
    priority = -1.0

    def __init__(self, name: str, alone: bool) -> None:
        self.owner = Owner(name, "", Part(""))
        self.actor = Actor(name, self.owner)
        self.alone = alone


class Last:
    def choose(self, options: Any, last: Any) -> int:
        return len(options) - 1


def test_a_focused_scheduler_goes_on_where_nobody_else_is_concerned() -> None:
    options: list[Any] = [Option("a", True), Option("b", False), Option("c", True)]
    focused = Focused(Last())
    assert focused.choose(options, options[0].actor) == 0
    assert focused.choose(options, options[1].actor) == 2
    assert not getattr(Focused(Default()), "patient", False)


def test_a_focused_search_is_at_large_every_so_often() -> None:
    search = ScheduleSearch((sells,), 0, first="round robin")
    assert not any(search.plan(index).focused for index in range(10))
    search.focus(Profile(1, {"a": 3.0, "b": 3.0}))
    plans = [search.plan(index) for index in range(60)]
    assert [plan.focused for plan in plans] == [index % AT_LARGE != 1 for index in range(60)]
    assert [plan.policy for plan in plans[:2]] == ["round robin"] * 2
    assert not any(plan.holds for plan in plans if not plan.focused)
