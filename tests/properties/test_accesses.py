"""Accesses are noted where they happen, under stable labels, and nothing else changes."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import heapq
import json
import pickle
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest

from isomodel.engine.accesses import Access, Tracked, conflict
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.engine.tracking.boxes import BOXES, boxed, unboxed
from isomodel.engine.tracking.sink import here
from isomodel.schedulers.random import RandomWalk

HERE = sys.modules[__name__]
SHELF: dict[str, int] = {}
TOTAL = 0


class Shop:
    shelves: ClassVar[list[int]] = []
    opened = 0

    def __init__(self) -> None:
        self.sold = 0
        self.orders: dict[str, int] = {}
        self.queue: deque[int] = deque()
        self.names: set[str] = set()
        self.heap: list[int] = []


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    value: int


class Own:
    """Has everything that gets in the way of who wraps attribute access."""

    def __init__(self) -> None:
        self._hidden = 1

    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        if name == "made_up":
            return "made up"
        raise AttributeError(name)

    @property
    def shown(self) -> int:
        return self._hidden

    @shown.setter
    def shown(self, value: int) -> None:
        self._hidden = value


class Bare:
    pass


CLASSES = (Shop, Slotted, Frozen, Own, Bare)


def accesses(
    main: Callable[[], Coroutine[Any, Any, Any]], seed: int = 1, loop: Any = PortableLoop
) -> list[Access]:
    with Tracked(CLASSES, [HERE]) as tracked:
        return traced(tracked, main, seed, loop)


def traced(tracked: Tracked, main: Any, seed: int = 1, loop: Any = PortableLoop) -> list[Access]:
    running = loop(RandomWalk(seed))
    tracked.begin(running)
    try:
        running.run(main())
    finally:
        found = tracked.end()
        running.close()
    return list(found)


def of(found: list[Access], task: str, place: str) -> list[tuple[Any, str]]:
    return [(a.label[1], a.kind) for a in found if a.task == task and a.label[0].endswith(place)]


async def selling() -> None:
    shop = Shop()

    async def sell(name: str) -> None:
        shop.orders[name] = 1
        await asyncio.sleep(0)
        shop.sold += 1

    await asyncio.gather(sell("a"), sell("b"))


@pytest.mark.parametrize("loop", [PortableLoop, StockLoop])
def test_each_step_notes_what_it_touched(loop: Any) -> None:
    found = accesses(selling, loop=loop)

    assert ("sold", "write") in of(found, "selling/sell", "Shop#1")
    assert {a.step for a in found if a.label[1] == "sold" and a.task == "selling/sell"} == {2}
    assert ("a", "write") in of(found, "selling/sell", "Shop#1.orders")
    assert ("b", "write") in of(found, "selling/sell#2", "Shop#1.orders")


def test_labels_do_not_depend_on_the_order_of_steps() -> None:
    by_seed = [{(a.task, a.label, a.kind) for a in accesses(selling, seed)} for seed in range(8)]

    assert all(each == by_seed[0] for each in by_seed)


def test_two_keys_of_a_dict_do_not_conflict_and_the_whole_does() -> None:
    found = accesses(selling)
    one = [a for a in found if a.task == "selling/sell" and "orders" in a.label[0]]
    other = [a for a in found if a.task == "selling/sell#2" and "orders" in a.label[0]]
    whole = Access("x", 1, (one[0].label[0], ("*",)), "read")

    assert not any(conflict(a, b) for a in one for b in other)
    assert any(conflict(a, whole) for a in one)


def test_what_changes_a_module_is_noted() -> None:
    async def main() -> None:
        global TOTAL
        SHELF["x"] = 1
        await asyncio.sleep(0)
        TOTAL += 1

    found = accesses(main)
    SHELF.clear()

    assert (("module " + __name__ + ".SHELF", "x"), "write") in [(a.label, a.kind) for a in found]
    assert any(a.label[0] == "everything" for a in found), "TOTAL was bound anew"
    assert type(SHELF) is dict


def test_containers_of_classes_and_unseen_changes_of_lists_are_noted() -> None:
    async def main() -> None:
        shop = Shop()
        shop.shelves.append(1)
        heapq.heappush(shop.heap, 3)
        await asyncio.sleep(0)
        assert shop.heap == [3]

    found = accesses(main)
    Shop.shelves.clear()

    written = {a.label[0] for a in found if a.is_write and a.label[1] == ("*",)}
    assert "class Shop.shelves" in written
    assert any(label.endswith(".heap") for label in written)
    assert type(Shop.shelves) is list


def test_a_class_made_by_the_program_is_tracked_too() -> None:
    async def main() -> None:
        class Local:
            count = 0

        thing = Local()
        thing.count += 1
        await asyncio.sleep(0)
        Local.count = 5

    found = accesses(main)

    assert any(a.label[1] == "count" and a.is_write for a in found)
    assert any(a.label[0] == "everything" for a in found), "a class attribute was bound anew"


def test_waiting_and_waking_is_noted_as_the_primitives_own_state() -> None:
    async def main() -> None:
        event = asyncio.Event()

        async def wait() -> None:
            await event.wait()

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        event.set()
        await task

    for seed in range(6):
        found = accesses(main, seed)
        assert ("_value", "read") in of(found, "main/wait", "Event#1")
        assert ("_value", "write") in of(found, "main", "Event#1")


def behaves() -> list[Any]:
    own, frozen, slotted, shop = Own(), Frozen(1), Slotted(2), Shop()
    own.shown = 5
    own.extra = 1  # type: ignore[attr-defined]
    seen: list[Any] = [own.shown, own.made_up, hasattr(own, "nothing"), vars(own) == own.__dict__]
    for change in (lambda: setattr(frozen, "value", 2), lambda: setattr(slotted, "other", 1)):
        try:
            change()
        except (AttributeError, dataclasses.FrozenInstanceError) as error:
            seen.append(type(error).__name__)
    seen += [frozen == Frozen(1), hash(frozen) == hash(Frozen(1)), dataclasses.asdict(frozen)]
    seen += [dataclasses.replace(frozen, value=3), copy.copy(slotted).value]
    del slotted.value
    seen.append(hasattr(slotted, "value"))
    orders = shop.orders
    shop.orders["x"] = 1
    orders.update(y=2)
    seen += [orders, orders is shop.orders, isinstance(orders, dict), {**orders}, dict(orders)]
    seen += [json.dumps(orders), copy.deepcopy(orders), pickle.loads(pickle.dumps(orders))]
    seen += [list(orders.items()), orders | {"z": 3}, orders.pop("x"), orders.get("q", 9)]
    shop.queue.extend((1, 2, 3))
    seen += [list(shop.queue), shop.queue.popleft(), shop.queue[0], len(shop.queue), shop.queue]
    shop.names |= {"a", "b"}
    seen += [sorted(shop.names), {"a"} - shop.names, shop.names & {"a"}, "a" in shop.names]
    shop.heap += [3, 1]
    heapq.heapify(shop.heap)
    seen += [shop.heap, [0, *shop.heap], sorted(shop.heap), shop.heap[::-1], shop.heap * 2]
    seen.append(repr((shop.orders, shop.names and "names", shop.queue, shop.heap)))
    return seen


def test_a_program_behaves_as_ever_while_it_is_tracked() -> None:
    usual = behaves()
    with Tracked(CLASSES, [HERE]) as tracked:
        tracked.begin()
        seen = behaves()
        tracked.end()

    assert seen == usual
    assert [type(each) for each in seen if type(each) not in BOXES.values()]


def test_too_many_arguments_are_refused_as_ever() -> None:
    with Tracked(CLASSES, [HERE]), pytest.raises(TypeError):
        Bare(1)  # type: ignore[call-arg]


def test_everything_is_put_back() -> None:
    before = {kind: dict(vars(kind)) for kind in (*CLASSES, asyncio.Lock, asyncio.Queue)}
    with Tracked(CLASSES, [HERE]):
        assert any(dict(vars(kind)) != before[kind] for kind in CLASSES)

    assert {kind: dict(vars(kind)) for kind in before} == before
    assert here.sink is None


def test_nothing_is_kept_alive() -> None:
    gone: list[weakref.ref[Any]] = []

    async def main() -> None:
        shop = Shop()
        shop.orders["a"] = 1
        gone.append(weakref.ref(shop))
        del shop
        assert gone[0]() is None

    accesses(main)
    assert gone[0]() is None


def test_an_object_that_existed_before_is_called_the_same_in_every_execution() -> None:
    shop = Shop()

    async def main() -> None:
        async def touch() -> None:
            shop.sold += 1

        await asyncio.gather(touch(), touch())

    with Tracked(CLASSES, [HERE]) as tracked:
        seen = [
            {a.label for a in traced(tracked, main, seed) if a.label[1] == "sold"}
            for seed in range(4)
        ]

    assert all(each == seen[0] for each in seen)
    assert len(seen[0]) == 1


def test_a_global_that_nobody_can_watch_is_named() -> None:
    module = types.ModuleType("blind_module")
    module.ids = iter(int, 1)  # type: ignore[attr-defined]
    with Tracked((), [module]) as tracked:
        assert tracked.blind == ("blind_module.ids (callable_iterator)",)


@pytest.mark.parametrize("plain", [{"a": 1}, {1, 2}, [1, 2], deque([1, 2], 3)])
def test_a_box_is_equal_to_what_it_stands_for(plain: Any) -> None:
    box = boxed(plain, "label")

    assert box == plain
    assert plain == box
    assert repr(box) == repr(plain)
    assert box.__class__ is type(plain)
    for twin in (unboxed(box), copy.copy(box), copy.deepcopy(box), pickle.loads(pickle.dumps(box))):
        assert twin == plain
        assert type(twin) is type(plain)
