"""Whose code is exchanged, and that everyone gets theirs back."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from isomodel.tracking.active import activate
from isomodel.tracking.scope import functions_of, modules_of
from isomodel.tracking.tracker import Tracker

SOURCE = """
import functools

def decorated(function):
    @functools.wraps(function)
    def inner(*args): return function(*args)
    return inner

@decorated
def one(o): return o.x

class Thing:
    def __init__(self): self.x = 1
    @property
    def prop(self): return self.x
    @classmethod
    def make(cls): return cls()
    @staticmethod
    def static(o): return o.x
    @functools.cached_property
    def cached(self): return self.x
    def maker(self):
        def made(): return self.x
        return made

part = functools.partial(one, None)
lambdas = (lambda o: o.x), (lambda o: -o.x)

@functools.lru_cache
def remembered(o): return o.x

def fails(o):
    o.x
    raise KeyError("k")
"""


class Actor:
    name = "t"
    steps = 1


@pytest.fixture
def module(tmp_path: Path) -> Iterator[Any]:
    yield loaded(tmp_path / "swapped_program.py", SOURCE)
    sys.modules.pop("swapped_program", None)


def loaded(path: Path, source: str) -> ModuleType:
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = found
    spec.loader.exec_module(found)
    return found


def codes(module: Any) -> dict[str, Any]:
    return {f"{f.__qualname__}:{id(f)}": f.__code__ for f in functions_of([module])}


def test_all_functions_tell_inside_and_have_their_own_code_outside(module: Any) -> None:
    own = codes(module)
    tracker = Tracker([module.one])
    thing = module.Thing()
    with tracker.recording(Actor) as recorder:
        inside = codes(module)
        module.one(thing), thing.prop, module.Thing.static(thing), thing.cached
        made = thing.maker()
        values = [each(thing) for each in module.lambdas]
        seen = len(recorder)

    assert seen > 0
    assert values == [1, -1]
    assert made() == 1
    assert codes(module) == own
    assert len(own) >= 12
    assert all(inside[key] is not own[key] for key in own)
    assert tracker.missed == ()


def test_they_have_it_back_after_an_exception(module: Any) -> None:
    own = codes(module)
    with pytest.raises(KeyError), Tracker([module.one]).recording(Actor):
        module.fails(module.Thing())

    assert codes(module) == own
    assert activate(None) is None


def test_recordings_may_be_nested_and_the_outer_one_goes_on(module: Any) -> None:
    own = codes(module)
    outer, inner = Tracker([module.one]), Tracker([module.one])
    thing = module.Thing()
    with outer.recording(Actor) as first:
        with inner.recording(Actor) as second, inner.recording(Actor) as third:
            module.one(thing)
        assert (len(first), len(second)) == (0, 0)
        assert len(third) == 1
        module.one(thing)
        assert len(first) == 1
    with inner.recording(Actor):
        pass

    assert codes(module) == own


def test_a_file_that_was_edited_or_is_gone_is_missed_and_left_alone(tmp_path: Path) -> None:
    module = loaded(tmp_path / "edited_program.py", "def f(o): return o.x\ndef g(o): return o.y\n")
    path = Path(str(module.__file__))
    try:
        path.write_text("def f(o): return o.other\ndef g(o): return o.y\n", encoding="utf-8")
        edited = Tracker([module.f])
        with edited.recording(Actor):
            assert module.f(Box()) == 1
        path.unlink()
        gone = Tracker([module.f])
        with gone.recording(Actor):
            assert module.f(Box()) == 1
    finally:
        del sys.modules["edited_program"]

    assert edited.missed == gone.missed == (str(path),)


class Box:
    x = 1


def test_a_program_without_a_file_is_missed() -> None:
    names: dict[str, Any] = {"__name__": "nowhere"}
    exec(compile("def main(): return 1", "<stdin>", "exec"), names)
    tracker = Tracker([names["main"]])
    with tracker.recording(Actor):
        assert names["main"]() == 1

    assert tracker.missed == ("<stdin>",)


def test_this_module_tells_though_pytest_has_rewritten_it() -> None:
    tracker = Tracker([asserting])
    box = Box()
    with tracker.recording(Actor) as recorder:
        asserting(box)
        accesses = recorder.accesses

    assert "x" in [each.label[1] for each in accesses]  # type: ignore[index]
    assert __file__ not in tracker.missed


def asserting(box: Box) -> None:
    assert box.x == 1


def test_the_scope_is_the_program_its_packages_and_the_primitives() -> None:
    import hypothesis  # noqa: F401 - to have an installed package nobody here names

    names = {module.__name__ for module in modules_of([asserting])}

    assert __name__ in names
    assert "asyncio.locks" in names
    assert "textwrap" not in names
    assert not any(name.startswith(("isomodel.engine", "_pytest", "hypothesis")) for name in names)


def test_functions_are_found_in_every_wrapper(module: Any) -> None:
    found = {function.__name__ for function in functions_of([module])}

    assert found >= {"one", "prop", "make", "static", "cached", "remembered", "<lambda>"}
    assert all(isinstance(each, FunctionType) for each in functions_of([module]))
