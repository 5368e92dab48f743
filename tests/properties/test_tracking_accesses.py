"""What is recorded: reads and writes, under labels that stay the same."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

import pytest

from isomodel.tracking import hooks
from isomodel.tracking.active import activate
from isomodel.tracking.recorder import Access, Recorder
from isomodel.tracking.rewrite import compiled

SETUP = """
import asyncio, collections, dataclasses, heapq, json, itertools, threading
from types import SimpleNamespace
TOTAL = 0
CACHE = {}

class Plain:
    count = 0
    def __init__(self): self.x = 1; self.items = []; self.table = {"k": 1}

class Slotted:
    __slots__ = ("x",)
    def __init__(self): self.x = 1

@dataclasses.dataclass
class Data:
    x: int = 1
    items: list = dataclasses.field(default_factory=list)

class Pile(list):
    def append(self, thing): super().append(thing)

def act():
    raise NotImplementedError
"""


class Actor:
    def __init__(self, name: str = "t") -> None:
        self.name = name
        self.steps = 1


def inside(code: CodeType) -> list[CodeType]:
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return [code, *(deeper for each in inner for deeper in inside(each))]


def namespace(source: str) -> tuple[dict[str, Any], frozenset[int], Any]:
    code = compiled(SETUP + textwrap.dedent(source), "snippet.py", hooks.HOOKS, module="snippet")
    module = ModuleType("snippet")
    sys.modules["snippet"] = module
    exec(code, vars(module))
    return vars(module), frozenset(map(id, inside(code))), code


def recorded(before: str, act: str) -> set[tuple[Any, str]]:
    """Parts read and written by ``act``, with "r" or "w", after ``before`` in an earlier step."""
    body = f"""
    async def both(step):
        {before}
        step()
        {act}
    """
    names, telling, code = namespace(body)
    actor = Actor()
    marks: list[int] = []
    recorder = Recorder(lambda: actor, telling=telling)

    def step() -> None:
        actor.steps += 1
        marks.append(len(recorder))

    before_us = activate(recorder)
    try:
        asyncio.run(names["both"](step))
    finally:
        activate(before_us)
    assert code is not None
    return {(each.label[1], "w" if each.write else "r") for each in recorder.accesses[marks[0] :]}  # type: ignore[index]


TABLE = [
    ("o = Plain()", "o.x", {("x", "r")}),
    ("o = Plain()", "o.x = 2", {("x", "w")}),
    ("o = Plain()", "o.x += 2", {("x", "r"), ("x", "w")}),
    ("o = Plain()", "del o.x", {("x", "w")}),
    ("o = Plain()", "getattr(o, 'x')", {("x", "r")}),
    ("o = Plain()", "setattr(o, 'x', 1)", {("x", "w")}),
    ("o = Plain()", "object.__setattr__(o, 'x', 1)", {("x", "w")}),
    ("o = Plain()", "hasattr(o, 'nothing')", {("nothing", "r")}),
    ("o = Plain()", "o.count", {("count", "r")}),
    ("o = Plain()", "Plain.count += 1", {("count", "r"), ("count", "w")}),
    ("o = Slotted()", "o.x += 1", {("x", "r"), ("x", "w")}),
    ("o = SimpleNamespace(x=1)", "o.x = o.x", {("x", "r"), ("x", "w")}),
    ("o = Data()", "o.items.append(1)", {("items", "r"), ("*", "w")}),
    ("o = Data(); p = Data()", "o == p", {("x", "r"), ("items", "r")}),
    ("o = Plain()", "match o:\n            case Plain(x=1): pass",
     {("x", "r"), ("items", "r"), ("table", "r"), ("*", "r"), ("k", "r")}),
    ("d = {'k': 1}", "d['k']", {("k", "r")}),
    ("d = {'k': 1}", "d['k'] = 2", {("k", "w")}),
    ("d = {'k': 1}", "d['new'] = 2", {("new", "w"), ("*", "w")}),
    ("d = {'k': 1}", "del d['k']", {("k", "w"), ("*", "w")}),
    ("d = {'k': 1}", "d.get('j')", {("j", "r")}),
    ("d = {'k': 1}", "'j' in d", {("j", "r")}),
    ("d = {'k': 1}", "d.pop('k')", {("k", "w"), ("*", "w")}),
    ("d = {'k': 1}", "d.pop('j', 0)", {("j", "r")}),
    ("d = {'k': 1}", "d.setdefault('k', 0)", {("k", "r")}),
    ("d = {'k': 1}", "d.setdefault('j', 0)", {("j", "w"), ("*", "w")}),
    ("d = {'k': 1}", "len(d)", {("*", "r")}),
    ("d = {'k': 1}", "not d", {("*", "r")}),
    ("d = {'k': 1}", "list(d.values())", {("*", "r"), ("k", "r")}),
    ("d = {'k': 1}", "d.clear()", {("*", "w"), ("k", "w")}),
    ("d = collections.OrderedDict(k=1)", "d.move_to_end('k')", {("*", "w"), ("k", "w")}),
    ("d = collections.defaultdict(list)", "d['k']", {("k", "w"), ("*", "w")}),
    ("d = collections.Counter('aa')", "d['a'] += 1", {("a", "r"), ("a", "w")}),
    ("s = {1}", "s.add(2)", {(2, "w"), ("*", "w")}),
    ("s = {1}", "s.add(1)", {(1, "r")}),
    ("s = {1}", "1 in s", {(1, "r")}),
    ("s = {1}", "s.discard(3)", {(3, "r")}),
    ("s = [1]", "s.append(2)", {("*", "w")}),
    ("s = [1]", "s[0]", {("*", "r")}),
    ("s = [1]", "s[0:1]", {("*", "r")}),
    ("s = [1]", "s[0] = 3", {("*", "w")}),
    ("s = [1]", "s += [2]", {("*", "r"), ("*", "w")}),
    ("s = [1]", "sorted(s)", {("*", "r")}),
    ("s = ['a']", "''.join(s)", {("*", "r")}),
    ("s = ['a']", "f'{s}'", {("*", "r")}),
    ("s = [1]", "a, = s", {("*", "r")}),
    ("s = [1]", "[*s]", {("*", "r")}),
    ("s = [1]", "json.dumps(s)", {("*", "r")}),
    ("s = [1]", "heapq.heappush(s, 3)", {("*", "w")}),
    ("s = [1]", "list.append(s, 3)", {("*", "w")}),
    ("s = Pile()", "s.append(1)", {("*", "w")}),
    ("s = collections.deque()", "s.appendleft(1)", {("*", "w")}),
    ("s = [1, 2]", "for x in s: await asyncio.sleep(0)", {("*", "r")}),
    ("n = itertools.count()", "next(n)", {("(rest)", "w")}),
    ("n = threading.Lock()", "n.acquire()", {("(rest)", "w")}),
    ("", "CACHE['k'] = 1", {("k", "w"), ("*", "w")}),
    ("f = asyncio.Future()", "f.set_result(1)", {("(rest)", "w")}),
    ("f = asyncio.Future(); f.set_result(1)", "await f", {("(rest)", "r")}),
    ("o = 5", "o + 1", set()),
    ("o = 'text'", "o.upper()", set()),
]  # fmt: skip


@pytest.mark.parametrize(("before", "act", "expected"), TABLE, ids=[row[1] for row in TABLE])
def test_an_access_is_recorded_as_what_it_is(
    before: str, act: str, expected: set[tuple[Any, str]]
) -> None:
    assert recorded(before or "pass", act) == expected


def test_names_that_functions_share_are_recorded_and_others_are_not() -> None:
    source = """
    def outer():
        local, before, after = 0, [], None
        def inner():
            global TOTAL
            nonlocal local
            TOTAL += 1
            local += 1
            return before, after
        after = 1
        inner()
    """
    found = run(source, lambda names: names["outer"]())

    assert {(each.label, each.write) for each in found} >= {
        ((("module", "snippet"), "TOTAL"), True),
        ((("name", "snippet.outer"), "local"), True),
        ((("name", "snippet.outer"), "after"), False),
    }
    assert not any("before" in str(each.label) for each in found)


def run(source: str, use: Callable[[dict[str, Any]], Any], actor: Any = None) -> tuple[Access, ...]:
    names, telling, code = namespace(source)
    actor = actor or Actor()
    recorder = Recorder(lambda: actor, telling=telling)
    before = activate(recorder)
    try:
        use({**names, "recorder": recorder, "actor": actor, "code": code})
    finally:
        activate(before)
    return recorder.accesses


# Labels

MAKERS = """
    class Thing: pass

    def make():
        thing = Thing()
        thing.items = [1]
        thing.by_key = {("a", 1): {}, frozenset(["x", "y", "z"]): 2, Thing: 3, Plain.__init__: 4}
        for key in thing.by_key: thing.by_key[key]
        return thing
"""


def test_labels_do_not_depend_on_who_comes_first() -> None:
    def labels(order: list[str]) -> set[Access]:
        actors = {name: Actor(name) for name in order}
        names, telling, code = namespace(MAKERS)
        running = actors[order[0]]
        recorder = Recorder(lambda: running, telling=telling)
        before = activate(recorder)
        try:
            for name in order:
                running = actors[name]
                names["make"]()
        finally:
            activate(before)
        assert code is not None
        return set(recorder.accesses)

    assert labels(["a", "b", "c"]) == labels(["c", "b", "a"])


def test_labels_are_the_same_in_another_process_with_another_hash_seed() -> None:
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import test_tracking_accesses as t\n"
        "found = t.run(t.MAKERS, lambda names: names['make']())\n"
        "print(sorted(str(t.stable(each)) for each in found))\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.path.dirname(__file__)},
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(texts) == 1
    assert "0x" not in texts.pop()


def stable(thing: Any) -> Any:
    """The same with frozen sets in an order."""
    if isinstance(thing, frozenset):
        return sorted(map(str, thing))
    return tuple(map(stable, thing)) if isinstance(thing, tuple) else thing


def test_no_label_is_given_to_another_object_after_one_has_died() -> None:
    source = """
    def churn():
        for _ in range(50):
            mine = "a b".split()
            mine.append(1)
            actor.steps += 1
            other = Plain()
            other.x
            actor.steps += 1
    """
    names, telling, code = namespace(source)
    actor = names["actor"] = Actor()
    recorder = Recorder(lambda: actor, telling=telling)
    before = activate(recorder)
    try:
        names["churn"]()
    finally:
        activate(before)
    assert code is not None
    appended = {each.label for each in recorder.accesses if each.label[1] == "*"}  # type: ignore[index]
    read = {each.label for each in recorder.accesses if each.label[1] == "x"}  # type: ignore[index]

    assert len(appended) == 50
    assert len(read) == 50


def test_what_the_program_drops_is_gone_in_the_next_step() -> None:
    names, telling, code = namespace("""
    def keep(): return [[Plain()]]
    def touch(o): return o.x
    """)
    actor = Actor()
    recorder = Recorder(lambda: actor, telling=telling)
    other = names["Plain"]()
    gc.disable()
    before = activate(recorder)
    try:
        kept = names["keep"]()
        names["touch"](kept[0][0])
        gone = weakref.ref(kept[0][0])
        del kept
        actor.steps += 1
        names["touch"](other)
        assert gone() is None
        plain = weakref.ref(temporary := names["Plain"]())
        names["touch"](temporary)
        del temporary
        assert plain() is None
    finally:
        activate(before)
        gc.enable()
    assert code is not None


def test_equal_keys_of_frozen_dataclasses_are_one_place_and_others_are_taken_to_be() -> None:
    found = run(
        """
        @dataclasses.dataclass(frozen=True)
        class Key: a: int
        class Odd:
            def __eq__(self, other): return True
            def __hash__(self): return 1
        def use():
            d = {Key(1): 1, Odd(): 2}
            d[Key(1)], d[Key(1)], d[Odd()], d[Odd()]
        """,
        lambda names: names["use"](),
    )

    parts = {each.label[1] for each in found}  # type: ignore[index]
    assert parts == {("Key", 1), ("Odd", "any")}
