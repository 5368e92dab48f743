"""Rewritten code does what the code did: same values, same exceptions, same lines."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isomodel.tracking import hooks
from isomodel.tracking.active import activate
from isomodel.tracking.recorder import Recorder
from isomodel.tracking.rewrite import compiled

PROGRAM = Path(__file__).with_name("programs") / "every_construct.txt"


class Steps:
    """A task that never ends its first step."""

    name = "only"
    steps = 1


@pytest.fixture(params=["recording", "not recording"])
def recording(request: pytest.FixtureRequest) -> Iterator[Recorder | None]:
    recorder = Recorder(Steps) if request.param == "recording" else None
    before = activate(recorder)
    try:
        yield recorder
    finally:
        activate(before)
        if recorder is not None:
            recorder.forget()


def inside(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from inside(each)


def log_of(
    *, rewritten: bool, recorder: Recorder | None = None, broken: Mapping[str, Any] | None = None
) -> list[Any]:
    source = PROGRAM.read_text(encoding="utf-8")
    if rewritten:
        told = {**hooks.HOOKS, **(broken or {})}
        code = compiled(source, str(PROGRAM), told, module="every_construct")
        if recorder is not None:
            recorder.telling = frozenset(map(id, inside(code)))
    else:
        code = compile(source, str(PROGRAM), "exec", dont_inherit=True)
    module = ModuleType("every_construct")
    module.__file__ = str(PROGRAM)
    sys.modules[module.__name__] = module  # dataclasses look it up
    try:
        exec(code, vars(module))
        return list(asyncio.run(module.everything()))
    finally:
        del sys.modules[module.__name__]


def test_every_construct_is_evaluated_as_before(recording: Recorder | None) -> None:
    told = log_of(rewritten=True, recorder=recording)
    activate(None)
    plain = log_of(rewritten=False)

    for one, other in zip(plain, told, strict=False):
        assert one == other
    assert len(plain) == len(told) > 150
    if recording is not None:
        assert len(recording) > 100


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("contains", lambda key, container: True),
        ("set_item", lambda value, container, key: None),
        ("iterated", lambda thing: iter(list(thing))),
        ("del_item", lambda container, key: None),
    ],
)
def test_a_hook_that_does_something_else_is_noticed(name: str, broken: Any) -> None:
    try:
        log = log_of(rewritten=True, broken={name: broken})
    except Exception as error:
        log = [error]

    assert log != log_of(rewritten=False)


def test_the_program_has_every_kind_of_statement_and_expression() -> None:
    kinds = {type(node) for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))}
    wanted = {
        kind
        for base in (ast.stmt, ast.expr, ast.pattern, ast.operator, ast.cmpop, ast.unaryop)
        for kind in base.__subclasses__()
    }
    odd = {"TypeAlias", "Interpolation", "TemplateStr", "Import", "MatMult", "Div", "FloorDiv"}
    odd |= {"Sub", "LShift", "RShift", "BitXor", "BitAnd", "LtE", "GtE", "NotEq"}

    assert {kind.__name__ for kind in wanted - kinds} <= odd


# Modules of the standard library


def fresh(name: str, *, rewritten: bool) -> Any:
    """This module once more, in a namespace of its own."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    module = importlib.util.module_from_spec(spec)
    source = Path(spec.origin).read_text(encoding="utf-8")
    code: Any = compile(source, spec.origin, "exec", dont_inherit=True)
    if rewritten:
        code = compiled(source, spec.origin, hooks.HOOKS, module=name)
    exec(code, vars(module))
    return module


TEXT = st.text("ab \n\t'\"\\#;=[]%{}x1,.", max_size=40)
LINES = st.lists(st.text("ab ", max_size=4), max_size=8)
NUMBERS = st.lists(st.integers(-50, 50), min_size=2, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text('aé\n"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)
EXPRESSIONS = st.sampled_from(
    [
        "a + b * (c - d)", "lambda x, *y, k=1, **z: (x, y)", "[i for i in x if i async for j in y]",
        "f'{a!r:>{w}} {b}'", "x if y else z", "{**a, 'b': [*c]}", "a < b <= c is not d",
        "(yield)", "await f(x)[1:2, ...]", "not (a and b or -c ** ~d)", "(x := 5, *y)",
    ]
)  # fmt: skip


def wrapped(module: Any, text: str, width: int) -> Any:
    return module.wrap(text, width), module.dedent(text), module.shorten(text, width + 8)


def compared(module: Any, one: list[str], other: list[str]) -> Any:
    matcher = module.SequenceMatcher(None, one, other)
    return (
        matcher.get_opcodes(),
        matcher.ratio(),
        list(module.ndiff(one, other)),
        list(module.unified_diff(one, other)),
        module.get_close_matches("ab", one),
    )


def tokens(module: Any, text: str) -> Any:
    return module.split(text), module.quote(text)


def configured(module: Any, text: str) -> Any:
    parser = module.ConfigParser(strict=False, allow_no_value=True)
    parser.read_string("[a]\nx = 1\n" + text)
    return {section: dict(parser.items(section, raw=True)) for section in parser.sections()}


def measured(module: Any, numbers: list[int]) -> Any:
    return (
        module.mean(numbers),
        module.median_grouped(numbers),
        module.multimode(numbers),
        module.pvariance(numbers),
        module.quantiles(numbers),
        module.linear_regression(range(len(numbers)), numbers),
    )


def reckoned(module: Any, numbers: list[int]) -> Any:
    one, other = (module.Fraction(n, 7) for n in numbers[:2])
    return str(one + other), str(one * other - 1), str(one / other), hash(one), one < other


def filled(module: Any, text: str) -> Any:
    return module.Template(text).substitute(x=1), module.Formatter().format("{0!r:>5}", text)


def coded(module: Any, value: Any) -> Any:
    encoder = module.JSONEncoder(indent=1, sort_keys=True, ensure_ascii=False)
    return encoder.encode(value), list(module.JSONEncoder().iterencode(value))


def decoded(module: Any, value: Any) -> Any:
    return module.py_scanstring(json.dumps(str(value)), 1), module.JSONDecoder().decode(
        json.dumps(value)
    )


def unparsed(module: Any, text: str) -> Any:
    tree = module.parse(text, mode="eval")
    return module.unparse(tree), module.dump(tree), [type(n).__name__ for n in module.walk(tree)]


def collected(module: Any, words: list[str]) -> Any:
    chain = module.ChainMap({"a": 1}, dict.fromkeys(words, 2))
    counts = module.Counter(words)
    mine = module.UserList(words)
    mine += ["z"]
    return dict(chain), counts.most_common(2), counts + counts, list(mine), module.UserDict(a=1)


def ordered(module: Any, numbers: list[int]) -> Any:
    graph = module.TopologicalSorter({n: [n - 1] for n in numbers})
    return list(graph.static_order())


def heaped(module: Any, numbers: list[int]) -> Any:
    return list(module.merge(sorted(numbers), sorted(numbers[:2]))), module.nsmallest(2, numbers)


CASES: list[tuple[str, Callable[..., Any], st.SearchStrategy[tuple[Any, ...]]]] = [
    ("textwrap", wrapped, st.tuples(TEXT, st.integers(1, 12))),
    ("difflib", compared, st.tuples(LINES, LINES)),
    ("shlex", tokens, st.tuples(TEXT)),
    ("configparser", configured, st.tuples(TEXT)),
    ("statistics", measured, st.tuples(NUMBERS)),
    ("fractions", reckoned, st.tuples(NUMBERS)),
    ("string", filled, st.tuples(TEXT)),
    ("json.encoder", coded, st.tuples(VALUES)),
    ("json.decoder", decoded, st.tuples(VALUES)),
    ("ast", unparsed, st.tuples(EXPRESSIONS)),
    ("collections", collected, st.tuples(LINES)),
    ("graphlib", ordered, st.tuples(NUMBERS)),
    ("heapq", heaped, st.tuples(NUMBERS)),
]


def outcome(use: Callable[..., Any], module: Any, arguments: tuple[Any, ...]) -> str:
    try:
        return repr(use(module, *arguments))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(("name", "use", "inputs"), CASES, ids=[case[0] for case in CASES])
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_library_modules_give_the_same_results(
    recording: Recorder | None,
    modules: Callable[[str], tuple[Any, Any]],
    name: str,
    use: Callable[..., Any],
    inputs: Any,
    data: st.DataObject,
) -> None:
    arguments = data.draw(inputs)
    plain, told = modules(name)

    assert outcome(use, told, arguments) == outcome(use, plain, arguments)


@pytest.fixture(scope="module")
def modules() -> Callable[[str], tuple[Any, Any]]:
    known: dict[str, tuple[Any, Any]] = {}

    def of(name: str) -> tuple[Any, Any]:
        if name not in known:
            known[name] = fresh(name, rewritten=False), fresh(name, rewritten=True)
        return known[name]

    return of


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 3), min_size=1, max_size=5), limit=st.integers(1, 3))
def test_the_primitives_of_asyncio_work_alike(sizes: list[int], limit: int) -> None:
    async def use(locks: Any, queues: Any, groups: Any, timeouts: Any) -> list[Any]:
        seen: list[Any] = []
        queue = queues.PriorityQueue(limit)
        slots, event, turn = locks.Semaphore(limit), locks.Event(), locks.Condition()

        async def produce(number: int, size: int) -> None:
            async with slots:
                for each in range(size):
                    await queue.put((each, number))
                    seen.append(("put", number, queue.qsize(), slots.locked()))
            event.set()
            async with turn:
                turn.notify_all()

        async def consume() -> None:
            for _ in range(sum(sizes)):
                seen.append(await queue.get())
                queue.task_done()
            await event.wait()

        async with groups.TaskGroup() as group:
            group.create_task(consume())
            for number, size in enumerate(sizes):
                group.create_task(produce(number, size))
        await queue.join()
        try:
            async with timeouts.timeout(0):
                await locks.Event().wait()
        except TimeoutError:
            seen.append("timeout")
        return seen

    names = ("asyncio.locks", "asyncio.queues", "asyncio.taskgroups", "asyncio.timeouts")
    plain = [fresh(name, rewritten=False) for name in names]
    told = [fresh(name, rewritten=True) for name in names]
    before = activate(Recorder(Steps))
    try:
        seen = asyncio.run(use(*told))
    finally:
        activate(before)

    assert seen == asyncio.run(use(*plain))
