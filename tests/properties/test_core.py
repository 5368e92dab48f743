"""What the engine's core takes for granted of the classes around it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import isomodel
from isomodel.engine.core import Core, enter, here
from isomodel.engine.portable import PortableLoop
from isomodel.engine.stock import StockLoop
from isomodel.schedulers.random import RandomWalk
from isomodel.search.program import run_on
from isomodel.search.running.execute import session

SOURCE = Path(isomodel.__file__).parent

CALLED_DIRECTLY = {
    "_begin_io": "begin_io",
    "_enlist": "enlist",
    "_live_arrivals": "live",
    "_make": "make",
    "_new_actor": "new_actor",
    "_obey": "obey",
    "_pick": "_picked",
}
"""Methods of a core beside the functions that it calls in their place."""

PLAIN = {
    StockLoop: ("_admit_one", "_choose"),
    PortableLoop: ("_next", "_choose", "_take", "_run_handle"),
}
"""Methods that are not looked up in a loop that says it is ``plain``."""


def subclasses(cls: type) -> Iterator[type]:
    """All of this class that the package has, itself included."""
    for module in pkgutil.walk_packages([str(SOURCE / "engine")], "isomodel.engine."):
        if not module.name.endswith(("core.compiled", "core.source")):
            importlib.import_module(module.name)
    importlib.import_module("isomodel.search.proof.follow")
    waiting = [cls]
    while waiting:
        each = waiting.pop()
        yield each
        waiting.extend(each.__subclasses__())


def functions(path: Path) -> dict[str, str]:
    """The source of the functions and methods in this file that have one line, by name."""
    tree = ast.parse(path.read_text())
    return {
        node.name: ast.unparse(node.body[-1])
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("name", CALLED_DIRECTLY)
def test_nothing_overrides_what_the_core_calls_directly(name: str) -> None:
    """A class that did would be heard in some places and not in others."""
    overriding = [cls for cls in subclasses(Core) if cls is not Core and name in vars(cls)]
    assert overriding == []


@pytest.mark.parametrize("name", CALLED_DIRECTLY)
def test_such_a_method_is_that_function(name: str) -> None:
    body = functions(SOURCE / "engine" / "core" / "source.py")[name]
    assert f"{CALLED_DIRECTLY[name]}(self" in body


@pytest.mark.parametrize("base", PLAIN)
def test_a_loop_is_plain_unless_it_overrides_what_a_plain_one_is_not_asked(base: Any) -> None:
    seen = set()
    for cls in subclasses(base):
        overrides = any(getattr(cls, name) is not getattr(base, name) for name in PLAIN[base])
        assert cls.plain is not overrides, cls
        seen.add(overrides)
    assert seen == {False, True}


async def _two_waits() -> None:
    await isomodel.io("first")
    await isomodel.io("second")


def _overriding(base: Any, name: str, heard: list[str]) -> Any:
    """A loop that tells when it is asked for this."""

    def method(self: Any, *args: Any) -> Any:
        heard.append(name)
        return getattr(base, name)(self, *args)

    return type("Overriding", (base,), {name: method, "__slots__": ()})


@pytest.mark.parametrize(
    ("base", "name"),
    [(base, name) for base, names in PLAIN.items() for name in names if name != "_choose"],
)
def test_an_override_is_heard_and_changes_nothing_else(base: Any, name: str) -> None:
    def trace(cls: Any) -> list[Any]:
        loop = cls(RandomWalk(3), record=True)
        with session():
            assert run_on(_two_waits, loop, 0) == ("ok", "")
        return [loop.steps, *loop.trace, *loop.log]

    heard: list[str] = []
    assert trace(_overriding(base, name, heard)) == trace(base)
    assert name in heard


def _assigns(attribute: str, holders: set[str]) -> dict[str, set[str]]:
    """Which functions of which files set this attribute of a thing of one of these names."""
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for outer in ast.walk(ast.parse(path.read_text())):
            if not isinstance(outer, ast.FunctionDef):
                continue
            for node in ast.walk(outer):
                targets = (
                    node.targets
                    if isinstance(node, ast.Assign)
                    else [node.target]
                    if isinstance(node, ast.AnnAssign | ast.AugAssign)
                    else []
                )
                for target in targets:
                    if (
                        isinstance(target, ast.Attribute)
                        and target.attr == attribute
                        and ast.unparse(target.value) in holders
                    ):
                        found.setdefault(path.name, set()).add(outer.name)
    return found


@pytest.mark.parametrize("attribute", ["core", "world"])
def test_the_current_execution_has_one_writer(attribute: str) -> None:
    """``Here.core`` repeats what ``Here.world`` says; whoever set one alone would part them."""
    written = _assigns(attribute, {"here", "_here", "self.here", "core.here", "world.here"})
    assert written == {"source.py": {"enter"}}


class _Own:
    """A world with I/O of its own."""

    def io(self, name: str, latency: float, fails: type[BaseException] | None) -> Any:
        raise NotImplementedError


class _OwnLoop(StockLoop):
    __slots__ = ()

    def io(self, name: Any, latency: float, fails: type[BaseException] | None) -> Any:
        return super().io(name, latency, fails)


def _nobody() -> None:
    return None


@pytest.mark.parametrize(
    ("make", "is_core"),
    [
        (_nobody, False),
        (_Own, False),
        (lambda: StockLoop(RandomWalk(0)), True),
        (lambda: PortableLoop(RandomWalk(0)), True),
        (lambda: _OwnLoop(RandomWalk(0)), False),
    ],
)
def test_a_core_is_asked_for_io_directly_only_where_the_world_has_no_other(
    make: Callable[[], Any], is_core: bool
) -> None:
    world = make()
    before = enter(world)
    try:
        assert here.world is world
        assert (here.core is world and world is not None) is is_core
    finally:
        enter(before)
    assert here.world is before


@pytest.mark.parametrize("cls", [StockLoop, PortableLoop])
def test_a_loop_is_gone_with_its_last_reference(cls: Any) -> None:
    """Nothing in it refers to itself: where nobody collects garbage, memory does not grow."""
    for scheduler in (RandomWalk(0), _First()):
        with session():
            loop = cls(scheduler)
            assert run_on(_two_waits, loop, 0) == ("ok", "")
            gone = weakref.ref(loop)
            del loop
            assert gone() is None


class _First:
    """A scheduler that has neither ``pick`` nor patience."""

    def choose(self, options: Any, last: Any) -> int:
        return 0
