"""Races between tasks: state that is read on one side of an await and written on the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from isomodel.scan.flow import Event, events, held_by_callers, line, together
from isomodel.scan.module import Function, Module, last, names, parameters
from isomodel.scan.shared import Sharing
from isomodel.scan.values import Hit, Rule
from isomodel.scan.words import is_entry, is_resource, is_start, is_tear_down

ALONE = frozenset(
    {
        "__aenter__",
        "__aexit__",
        "__aiter__",
        "asyncSetUp",
        "asyncTearDown",
        "startup",
        "shutdown",
        "lifespan",
    }
)
"""Called once, or by one caller at a time, by their contract."""


def flows(module: Module) -> Iterator[tuple[ast.AsyncFunctionDef, list[Event]]]:
    """The coroutines in which two tasks may meet, with their events."""
    for function in module.coroutines:
        if function.name not in ALONE and not is_entry(function.name, len(parameters(function))):
            yield function, events(module, function, held_by_callers(module, function))


def _check_then_act(module: Module) -> Iterator[Hit]:
    sharing = Sharing(module)
    for function, flow in flows(module):
        taken = list(_taken(flow))
        for checks in _by_branch(flow):
            for check in checks:
                act = _act(check, flow[flow.index(check) + 1 :])
                if act is None or not sharing.of(check):
                    continue
                if _ends(function, act[1]) or _fetched(act[1]):
                    continue
                before = flow[flow.index(check) : flow.index(act[0])]
                if not any(each in before and set(each.arms) <= set(act[1].arms) for each in taken):
                    yield Hit(
                        check.node,
                        f"`{check.place}` is checked here and written in line {line(act[1].node)}, "
                        f"after the await in line {line(act[0].node)}: another task may pass the "
                        "same check",
                    )
                    break


def _by_branch(flow: list[Event]) -> Iterator[list[Event]]:
    """The checks of each ``if``."""
    found: dict[ast.AST, list[Event]] = {}
    for event in flow:
        if event.kind == "check" and event.branch is not None:
            found.setdefault(event.branch, []).append(event)
    yield from (each for branch, each in found.items() if not isinstance(branch, ast.While))


def _taken(flow: list[Event]) -> Iterator[Event]:
    """The writes that take what was checked before anybody else can run: ``if not busy: busy = 1``.

    They settle every check between theirs and the next await, whatever that is of.
    """
    for number, write in enumerate(flow):
        if write.kind != "write":
            continue
        for event in reversed(flow[:number]):
            if event.kind == "await" and together(event, write):
                break
            if event.kind == "check" and _same(event, write):
                yield write
                break


def _act(check: Event, later: list[Event]) -> tuple[Event, Event] | None:
    """The await and the write that a check is for, unless it looks again in between."""
    waited = None
    looked: set[ast.AST] = set()
    for event in later:
        if not any(branch is check.branch for branch, _ in event.arms):
            continue
        if event.kind == "await":
            waited = event if waited is None or not together(waited, event) else waited
        elif event.kind == "check" and waited is not None and event.branch is not None:
            looked.add(event.branch)
            if _same(check, event):
                return None
        elif _same(check, event) and event.kind == "write":
            if waited is None or check.locks & event.locks:
                return None
            if any(branch in looked for branch, _ in event.arms):
                return None
            if together(waited, event):
                return waited, event
    return None


def _fetched(write: Event) -> bool:
    """Whether what is written is a mere value: to fetch it twice harms nobody."""
    node = write.node
    if write.key or not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Await):
        return False
    called = node.value.value
    words = (write.place.rpartition(".")[2], last(called), *map(last, getattr(called, "args", ())))
    return not any(is_resource(word) for word in words)


def _ends(function: ast.AsyncFunctionDef, write: Event) -> bool:
    """Whether a write marks the end of the object itself, as ``close`` does."""
    value = getattr(write.node, "value", None)
    return is_tear_down(function.name) and (value is None or isinstance(value, ast.Constant))


def _same(one: Event, other: Event) -> bool:
    return one.place == other.place and not _other_key(one, other)


def _other_key(one: Event, other: Event) -> bool:
    return bool(one.key and other.key and one.key != other.key)


def _lost_update(module: Module) -> Iterator[Hit]:
    sharing = Sharing(module)
    for function, flow in flows(module):
        yield from _within_a_statement(module, flow, sharing)
        yield from _through_a_local(module, function, flow, sharing)


def _within_a_statement(module: Module, flow: list[Event], sharing: Sharing) -> Iterator[Hit]:
    for number, write in enumerate(flow):
        if write.kind != "write" or not isinstance(write.node, ast.Assign | ast.AugAssign):
            continue
        inside = set(ast.walk(write.node))
        parts = [event for event in flow[:number] if event.node in inside]
        read = next((each for each in parts if _same(each, write)), None)
        if read is None or read.locks or not sharing.of(read):
            continue
        if any(event.kind == "await" for event in parts[parts.index(read) :]):
            yield Hit(
                write.node,
                f"`{write.place}` is read, then awaited, then written in one statement: what "
                "another task wrote meanwhile is lost",
            )


def _through_a_local(
    module: Module, function: Function, flow: list[Event], sharing: Sharing
) -> Iterator[Hit]:
    kept: dict[str, Event] = {}
    for number, event in enumerate(flow):
        if event.kind == "read":
            statement = module.parents.get(event.node)
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                kept[statement.targets[0].id] = event
        if event.kind != "write" or not isinstance(event.node, ast.Assign):
            continue
        value = event.node.value
        for name in sorted(names(value) & kept.keys()):
            read = kept[name]
            waits = [each for each in flow[flow.index(read) : number] if each.kind == "await"]
            if (
                _same(read, event)
                and sharing.of(read)
                and not isinstance(value, ast.Name)
                and any(together(read, each) and together(each, event) for each in waits)
                and not read.locks & event.locks
            ):
                yield Hit(
                    event.node,
                    f"`{event.place}` is written from what it was in line {line(read.node)}, "
                    f"before the await in line {line(waits[0].node)}: what another task wrote is "
                    "lost",
                )


def _kept_on_self(module: Module) -> Iterator[Hit]:
    sharing = Sharing(module)
    for function, flow in flows(module):
        if is_start(function.name) or is_tear_down(function.name):
            continue
        mine = {each.arg for each in parameters(function)[1:]}
        for number, write in enumerate(flow):
            given = _given(module, write, mine)
            used = _used_later(write, flow[number + 1 :]) if given else None
            if given and used is not None and sharing.of(write):
                waited, read = used
                yield Hit(
                    write.node,
                    f"`{write.place}` holds this call's `{given[0]}` and is read in line "
                    f"{line(read.node)}, after the await in line {line(waited.node)}: by then it "
                    "may be another call's",
                )


def _given(module: Module, write: Event, mine: set[str]) -> list[str]:
    """The arguments that an assignment puts into an attribute, in place of what was there."""
    node = write.node
    if (
        write.kind != "write"
        or not isinstance(node, ast.Assign)
        or not write.place.startswith("self.")
    ):
        return []
    if not any(isinstance(target, ast.Attribute) for target in node.targets):
        return []
    if any(module.place(each) == write.place for each in ast.walk(node.value)):
        return []
    return sorted(names(node.value) & mine)


def _used_later(write: Event, later: list[Event]) -> tuple[Event, Event] | None:
    """The await, and the read behind it of what was written before it."""
    waited = None
    for event in later:
        if not together(write, event) or event.locks & write.locks:
            continue
        if event.kind == "await":
            waited = waited or event
        elif event.place == write.place:
            if event.kind == "write":
                return None
            if waited is not None:
                return waited, event
    return None


RULES = (
    Rule(
        "ISO301",
        "check-then-act across an await",
        "Every task that runs during the await sees the check still true and acts as well: "
        "limits are passed, ids given twice, connections made twice and one of them lost.",
        "act before the await (put a placeholder or a future there), check again after it, or "
        "hold one asyncio.Lock around both",
        _check_then_act,
    ),
    Rule(
        "ISO302",
        "lost update across an await",
        "The value is read before the await and written after it, over what others wrote.",
        "await into a local variable first, then read and write in one step",
        _lost_update,
    ),
    Rule(
        "ISO303",
        "a call's own data kept on a shared object across an await",
        "The next call overwrites it while this one waits, which then goes on with the data of "
        "another user.",
        "keep it in a local variable or pass it on as an argument; or make one object a request",
        _kept_on_self,
    ),
)
