"""Tools for threads in code that runs many users in one thread."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from isomodel.scan.module import Module
from isomodel.scan.values import Hit, Rule

_LOCKS = frozenset(
    {
        "threading.Lock",
        "threading.RLock",
        "threading.Semaphore",
        "threading.BoundedSemaphore",
        "threading.Condition",
    }
)


def _made_of(module: Module, kinds: frozenset[str]) -> dict[str, str]:
    """Places that are given an object of one of these classes."""
    found: dict[str, str] = {}
    for node in module.nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
            continue
        name = module.qualified(node.value.func)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            place = module.place(target)
            if name in kinds and place is not None:
                found[place] = name
    return found


def _local(module: Module) -> Iterator[Hit]:
    known = _made_of(module, frozenset({"threading.local"}))
    seen: set[tuple[str, ast.AST]] = set()
    for node in module.nodes:
        if not isinstance(node, ast.Attribute) or (place := module.place(node.value)) not in known:
            continue
        function = module.function_of(node)
        if isinstance(function, ast.AsyncFunctionDef) and (place, function) not in seen:
            seen.add((place, function))
            yield Hit(
                node,
                f"`{place}` is local to a thread, and all tasks of a loop run in one: "
                f"`{function.name}` shares it with every other",
            )


def _lock(module: Module) -> Iterator[Hit]:
    known = _made_of(module, _LOCKS)
    for function in module.coroutines:
        for node in module.within(function):
            if not isinstance(node, ast.With):
                continue
            inside = (each for part in node.body for each in (part, *module.within(part)))
            wait = next(
                (
                    each
                    for each in inside
                    if isinstance(each, ast.Await | ast.AsyncWith | ast.AsyncFor)
                ),
                None,
            )
            for item in node.items:
                place = module.place(item.context_expr)
                if wait is not None and place in known:
                    yield Hit(
                        item.context_expr,
                        f"`{place}` is a {known[place]}, held over the await in line "
                        f"{wait.lineno}: the next task that wants it stops the loop",
                    )


RULES = (
    Rule(
        "ISO601",
        "a threading.local in a coroutine",
        "It tells threads apart, not tasks: users of one loop read each other's values.",
        "use a contextvars.ContextVar",
        _local,
    ),
    Rule(
        "ISO602",
        "a thread's lock held across an await",
        "The second task blocks the thread, and with it the loop that would let the first go on.",
        "use asyncio.Lock with `async with`, or release before the await",
        _lock,
    ),
)
