"""Containers and locks that several tasks use while one of them waits."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from isomodel.scan.flow import Event, line, locks_around
from isomodel.scan.module import Function, Module, changes, last, names, parameters
from isomodel.scan.rules.races import flows
from isomodel.scan.shared import Sharing
from isomodel.scan.values import Hit, Rule
from isomodel.scan.words import is_identity, is_subscription, is_user

LOCKS = frozenset({"Lock", "Semaphore", "BoundedSemaphore", "Condition", "RLock"})


def _iterated(module: Module) -> Iterator[Hit]:
    sharing = Sharing(module)
    for function in module.coroutines:
        for loop in module.within(function):
            if not isinstance(loop, ast.For):
                continue
            place = module.place(_iterable(loop.iter))
            if place is None or not (waits := _awaits(module, loop)):
                continue
            owner = module.owner_of(function)
            if place.startswith("self.") and not (owner and sharing.serves_many(owner)):
                continue
            changer = _changer(module, place, function)
            if changer is not None and not locks_around(module, loop):
                yield Hit(
                    loop.iter,
                    f"`{place}` is iterated over the await in line {waits[0].lineno}, while "
                    f"`{changer.name}` changes it: the loop fails or skips somebody",
                )


def _iterable(node: ast.expr) -> ast.expr:
    """What is iterated, through ``.values()`` and ``enumerate()``."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"values", "items", "keys"}:
            return node.func.value
        if isinstance(node.func, ast.Name) and node.func.id == "enumerate" and node.args:
            return _iterable(node.args[0])
    return node


def _awaits(module: Module, loop: ast.For) -> list[ast.Await]:
    """The awaits after which the loop goes on."""
    inside = [each for part in loop.body for each in (part, *module.within(part))]
    found = [each for each in inside if isinstance(each, ast.Await) and not _last_of(module, each)]
    return sorted(found, key=lambda node: node.lineno)


def _last_of(module: Module, node: ast.AST) -> bool:
    """Whether the loop is left right after this statement."""
    statement = module.statement_of(node)
    if isinstance(statement, ast.Return):
        return True
    parent = module.parents[statement]
    for field in ("body", "orelse"):
        block = getattr(parent, field, [])
        if statement in block:
            return any(isinstance(each, ast.Return | ast.Break | ast.Raise) for each in block)
    return False


def _changer(module: Module, place: str, user: Function) -> Function | None:
    """A function of the same class, or module, that changes a container in place."""
    for function in module.functions:
        if function.name == "__init__" or is_subscription(function.name):
            continue
        if not _same_object(module, place, function, user):
            continue
        for written, target, node in module.writes(function):
            if written == place and changes(target, node) and not _appends(node):
                return function
    return None


def _appends(node: ast.AST) -> bool:
    """Whether a list grows at its end: a loop over it then takes one more."""
    return isinstance(node, ast.Call) and last(node.func) in {"append", "extend"}


def _same_object(module: Module, place: str, one: Function, other: Function) -> bool:
    return not place.startswith("self.") or module.owner_of(one) is module.owner_of(other)


def _stale_clean_up(module: Module) -> Iterator[Hit]:
    for function, flow in flows(module):
        given = {each.arg for each in parameters(function)}
        for number, store in enumerate(flow):
            if not _puts(module, store, given):
                continue
            if any(each.kind == "check" and each.key == store.key for each in flow[:number]):
                continue  # somebody looked whether the key was free
            found = _taken_away(module, store, flow[number + 1 :])
            if found is not None:
                waited, removal = found
                yield Hit(
                    removal.node,
                    f"`{store.place}[{store.key}]` was put there in line {line(store.node)}; since "
                    f"the await in line {line(waited.node)} it may be a newer one",
                )


def _puts(module: Module, event: Event, given: set[str]) -> bool:
    """Whether an event stores something under a user's key, whether that is taken or not."""
    if event.kind != "write" or not event.key or not isinstance(event.node, ast.Assign):
        return False
    key = ast.parse(event.key, mode="eval").body
    whose = any(is_identity(name) or is_user(name) for name in (last(key), *names(key)))
    return whose and bool(names(key) & given) and not _under(module, event.node, ast.NotIn)


def _taken_away(module: Module, store: Event, later: list[Event]) -> tuple[Event, Event] | None:
    """The first await behind a store, and the removal of the same key behind that."""
    waited = None
    for event in later:
        if event.kind == "await":
            waited = waited or event
        elif event.kind == "write" and (event.place, event.key) == (store.place, store.key):
            if not isinstance(event.node, ast.Delete | ast.Call) or waited is None:
                return None
            checked = _under(module, event.node, ast.Is, ast.Eq) or event.locks & store.locks
            return None if checked else (waited, event)
    return None


def _under(module: Module, node: ast.AST, *operators: type[ast.cmpop]) -> bool:
    """Whether a node stands under an ``if`` whose test has one of these comparisons."""
    for outer in module.enclosing(node):
        if isinstance(outer, Function):
            return False
        if isinstance(outer, ast.If) and any(
            isinstance(each, operators) for each in ast.walk(outer.test)
        ):
            return True
    return False


def _own_lock(module: Module) -> Iterator[Hit]:
    for function in module.coroutines:
        for node in module.within(function):
            if not isinstance(node, ast.AsyncWith | ast.With):
                continue
            for item in node.items:
                made = _made_here(module, function, item.context_expr)
                if made is not None:
                    yield Hit(
                        item.context_expr,
                        f"`{ast.unparse(made)}` is made anew in each call of `{function.name}`: "
                        "no two tasks ever meet at it",
                    )


def _made_here(module: Module, function: Function, lock: ast.expr) -> ast.Call | None:
    """The call that makes a lock nobody outside this call of the function can know."""
    if isinstance(lock, ast.Call):
        return lock if _is_lock_class(module, lock) else None
    if not isinstance(lock, ast.Name) or lock.id not in module.bound(function):
        return None
    uses = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == lock.id]
    stores = [use for use in uses if isinstance(use.ctx, ast.Store)]
    made = module.parents[stores[0]] if len(stores) == 1 else None
    if (
        not isinstance(made, ast.Assign)
        or not isinstance(made.value, ast.Call)
        or len(made.targets) > 1
    ):
        return None
    loads = [use for use in uses if use not in stores]
    alone = all(isinstance(module.parents[use], ast.withitem) for use in loads)
    if (
        alone
        and all(module.function_of(use) is function for use in loads)
        and _is_lock_class(module, made.value)
    ):
        return made.value
    return None


def _is_lock_class(module: Module, call: ast.Call) -> bool:
    name = module.qualified(call.func)
    return last(call.func) in LOCKS and name.split(".")[0] in {
        "asyncio",
        "anyio",
        "trio",
        "threading",
    }


RULES = (
    Rule(
        "ISO304",
        "a shared container iterated across an await",
        "A user who joins or leaves during the await changes it: RuntimeError, or the next one "
        "in the list is skipped.",
        "iterate over a copy, `for each in list(...)`",
        _iterated,
    ),
    Rule(
        "ISO305",
        "clean-up that removes a newer entry",
        "While the old call waited, the same user may have come back under the same key; its "
        "late clean-up then removes the new connection.",
        "remove the entry only if it is still the one that was put there: `if d.get(k) is mine`",
        _stale_clean_up,
    ),
    Rule(
        "ISO306",
        "a lock of its own for each call",
        "A lock excludes only those who use the same one.",
        "make the lock once, in `__init__` of what it protects",
        _own_lock,
    ),
)
