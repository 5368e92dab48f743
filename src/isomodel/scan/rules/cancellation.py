"""Cancellation: what is lost, swallowed or never seen when a task is cancelled at an await."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from isomodel.scan.flow import Event, events, leaves, line, together
from isomodel.scan.module import Function, Module, last, names
from isomodel.scan.values import Hit, Rule
from isomodel.scan.words import MUTATORS, RELEASES, is_lock, is_loop, is_tear_down


def _acquired(module: Module) -> Iterator[Hit]:
    for function in module.coroutines:
        calls = [each for each in module.within(function) if _acquires(module, each)]
        flow = events(module, function) if calls else []
        for call in calls:
            assert isinstance(call, ast.Call)
            assert isinstance(call.func, ast.Attribute)
            lock = ast.unparse(call.func.value)
            wait = None if _covered(module, call, lock) else _unguarded(module, flow, call, lock)
            if wait is not None:
                yield Hit(
                    call,
                    f"`{lock}` is acquired here, and nothing releases it if the task is cancelled "
                    f"in line {line(wait)}",
                )


def _acquires(module: Module, call: ast.AST) -> bool:
    """Whether a node is the acquisition of a slot, in this task, that is waited for."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr != "acquire":
        return False
    if any(isinstance(each, ast.Constant) and each.value is False for each in _arguments(call)):
        return False  # it does not wait, and the caller asks whether it got it
    awaited = _await_around(module, call)
    if awaited is None:
        return is_lock(last(call.func.value))
    between = [each for each in module.enclosing(call) if isinstance(each, ast.Call)]
    return not any(_starts(module, each) for each in between)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(each.value for each in call.keywords)]


def _await_around(module: Module, call: ast.AST) -> ast.Await | None:
    for outer in module.enclosing(call):
        if isinstance(outer, ast.Await):
            return outer
        if isinstance(outer, ast.stmt):
            break
    return None


def _unguarded(module: Module, flow: list[Event], call: ast.Call, lock: str) -> ast.AST | None:
    """The first await behind an acquisition that no clean-up covers."""
    own = _await_around(module, call) or call
    start = next((each for each in flow if each.node is own), None)
    first = 0 if start is None else flow.index(start) + 1
    around = set(module.enclosing(call))
    frees = [each for each in module.within(_function(module, call)) if _releases(each, lock)]
    for event in flow[first:]:
        if event.kind != "await" or (start is not None and not together(start, event)):
            continue
        if line(event.node) < line(call) or (start is None and line(event.node) == line(call)):
            continue  # the end of a block that was there before
        if any(arm.startswith("except") and branch in around for branch, arm in event.arms):
            continue  # the acquisition failed
        between = (each for each in frees if line(call) <= line(each) <= line(event.node))
        if any(_on_the_way(module, each, around) for each in between):
            return None
        if _covered(module, event.node, lock):
            return None
        if _gives_back(getattr(event.node, "value", None)):
            return None
        return event.node
    return None


def _function(module: Module, node: ast.AST) -> ast.AST:
    return next(each for each in module.enclosing(node) if isinstance(each, Function))


def _covered(module: Module, node: ast.AST, lock: str) -> bool:
    """Whether a cancellation at a node passes a clean-up that releases."""
    inner = node
    for outer in module.enclosing(node):
        if isinstance(outer, Function | ast.Lambda):
            return False
        if isinstance(outer, ast.Try) and inner in outer.body:
            parts: list[ast.AST] = [*outer.finalbody]
            parts += [
                part for each in outer.handlers if _catches(module, each) for part in each.body
            ]
            if any(_gives_back(each) for part in parts for each in ast.walk(part)):
                return True
        if isinstance(outer, ast.Try) and (inner in outer.finalbody or inner in outer.handlers):
            return True  # part of a clean-up
        inner = outer
    return False


def _gives_back(node: ast.AST | None) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = last(node.func)
    return name in RELEASES or any(word in name for word in ("release", "close", "cleanup"))


def _releases(call: ast.AST, lock: str) -> bool:
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in RELEASES
        and ast.unparse(call.func.value) == lock
    )


def _on_the_way(module: Module, node: ast.AST, around: set[ast.AST]) -> bool:
    """Whether a statement is passed on every way on from what these nodes enclose."""
    return module.parents[module.statement_of(node)] in around


CANCELLED = ("CancelledError", "get_cancelled_exc_class")


def _catches(module: Module, handler: ast.ExceptHandler) -> bool:
    """Whether a handler stops a cancellation."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(last(kind) in {*CANCELLED, "BaseException"} for kind in kinds)


def _swallowed(module: Module) -> Iterator[Hit]:
    for function in module.coroutines:
        if is_tear_down(function.name):
            continue  # it may well finish first
        for node in module.within(function):
            if isinstance(node, ast.Try):
                catcher = next((each for each in node.handlers if _catches(module, each)), None)
                if catcher is None or not _waits(module, node.body) or _shields(node.body):
                    continue
                if _passes_on(catcher) or _notes(catcher):
                    continue
                place: ast.AST = catcher
            elif isinstance(node, ast.With) and _suppresses(module, node):
                if not _waits(module, node.body):
                    continue
                place = node
            else:
                continue
            if _cancelled_before(module, function, node) or not _goes_on(
                module, function, node, place
            ):
                continue
            yield Hit(
                place,
                f"`{function.name}` goes on after it was cancelled: the cancellation stops here",
            )


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether a handler raises, keeps the exception for somebody, or knows of its request."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call) and last(node.func) in {
            "uncancel",
            "cancelling",
            "cancel",
            "exit",
            "_exit",
            "exc_info",
        }:
            return True
    return handler.name is not None and any(handler.name in names(part) for part in handler.body)


def _notes(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does no more than remember the cancellation, in a flag."""
    return all(
        isinstance(each, ast.Assign)
        and isinstance(each.value, ast.Constant)
        and isinstance(each.value.value, bool)
        for each in handler.body
    )


def _shields(body: Sequence[ast.stmt]) -> bool:
    """Whether what is awaited goes on whatever happens to this task, and is waited for again."""
    return any(
        isinstance(each, ast.Call) and last(each.func) == "shield"
        for part in body
        for each in ast.walk(part)
    )


def _suppresses(module: Module, node: ast.With) -> bool:
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and module.qualified(call.func) in {
            "contextlib.suppress",
            "suppress",
        }:
            return any(last(each) in {*CANCELLED, "BaseException"} for each in call.args)
    return False


def _waits(module: Module, body: Sequence[ast.AST]) -> bool:
    return any(
        isinstance(each, ast.Await | ast.AsyncFor | ast.AsyncWith)
        for part in body
        for each in (part, *module.within(part))
    )


def _cancelled_before(module: Module, function: Function, node: ast.AST) -> bool:
    """Whether somebody was cancelled a moment ago, and it is that task's end that is awaited."""
    end = getattr(node, "end_lineno", 0)
    return any(
        isinstance(each, ast.Call) and "cancel" in last(each.func) and each.lineno <= end
        for each in module.within(function)
    )


def _goes_on(module: Module, function: Function, node: ast.AST, handler: ast.AST) -> bool:
    """Whether anything is awaited after the handler: in a loop around it, or behind it."""
    body = handler.body if isinstance(handler, ast.ExceptHandler) else []
    inner: ast.AST = node
    if _in_clean_up(module, function, node):
        return False
    for outer in module.enclosing(node):
        in_loop = isinstance(outer, ast.While | ast.For | ast.AsyncFor) and inner in outer.body
        if in_loop and not (body and isinstance(body[-1], ast.Return | ast.Break)):
            return True
        if outer is function:
            break
        inner = outer
    if leaves(body):
        return False
    end = getattr(node, "end_lineno", 0)
    return any(
        isinstance(each, ast.Await)
        and each.lineno > end
        and not _in_clean_up(module, function, each)
        for each in module.within(function)
    )


def _in_clean_up(module: Module, function: Function, node: ast.AST) -> bool:
    """Whether a node stands in a handler or a ``finally``, which may well finish first."""
    inner = node
    for outer in module.enclosing(node):
        if outer is function:
            return False
        if isinstance(outer, ast.ExceptHandler) or (
            isinstance(outer, ast.Try) and inner in outer.finalbody
        ):
            return True
        inner = outer
    return False


STARTS = frozenset({"asyncio.create_task", "asyncio.ensure_future"})


def _dropped(module: Module) -> Iterator[Hit]:
    for node in module.nodes:
        if not isinstance(node, ast.Call) or not _starts(module, node):
            continue
        parent = module.parents[node]
        if isinstance(parent, ast.Expr) or _assigned_for_nobody(module, parent):
            yield Hit(
                node,
                "nobody keeps the task: it may be collected before it ends, its exception is lost, "
                "and nothing cancels it when its user leaves",
            )


def _starts(module: Module, call: ast.Call) -> bool:
    if module.qualified(call.func) in STARTS:
        return True
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "create_task":
        return False
    return is_loop(last(call.func.value)) or last(call.func.value) in {
        "get_running_loop",
        "get_event_loop",
    }


def _assigned_for_nobody(module: Module, parent: ast.AST) -> bool:
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return False
    name, function = parent.targets[0].id, module.function_of(parent)
    if function is None or name not in module.bound(function):
        return False
    return not any(
        isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load)
        for each in ast.walk(function)
    )


def _interrupted_clean_up(module: Module) -> Iterator[Hit]:
    for function in module.coroutines:
        for node in module.within(function):
            if not isinstance(node, ast.Try):
                continue
            for number, statement in enumerate(node.finalbody):
                rest = node.finalbody[number + 1 :]
                if not _bare_await(statement) or not (skipped := _clean_up(rest)):
                    continue
                yield Hit(
                    statement,
                    f"a cancellation at this await skips the rest of the clean-up, "
                    f"`{ast.unparse(skipped)}` in line {skipped.lineno}",
                )
                break


def _bare_await(statement: ast.stmt) -> bool:
    """An await of its own in a clean-up that is not shielded."""
    if not isinstance(statement, ast.Expr | ast.Assign) or not isinstance(
        statement.value, ast.Await
    ):
        return False
    return "shield" not in ast.unparse(statement)


def _clean_up(statements: Sequence[ast.stmt]) -> ast.expr | ast.stmt | None:
    for statement in statements:
        if isinstance(statement, ast.Delete):
            return statement
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call | ast.Await):
            call = (
                statement.value.value if isinstance(statement.value, ast.Await) else statement.value
            )
            if isinstance(call, ast.Call) and (
                _gives_back(call)
                or last(call.func) in MUTATORS | {"cancel", "reset", "set", "unregister"}
            ):
                return call
    return None


RULES = (
    Rule(
        "ISO401",
        "acquired, and not released on cancellation",
        "A cancellation at the next await leaves the slot, lock or connection taken for ever; "
        "after as many users, everybody waits.",
        "use `async with`, or start `try: ... finally: release()` right behind the acquisition",
        _acquired,
    ),
    Rule(
        "ISO402",
        "a cancellation that is swallowed",
        "Whoever cancelled (a timeout, a disconnect, a shutdown) believes that the task ends; it "
        "goes on working for a user who is gone.",
        "clean up and `raise`; or leave the function",
        _swallowed,
    ),
    Rule(
        "ISO403",
        "a task that nobody keeps",
        "The event loop holds tasks weakly, and what nobody awaits nobody sees fail.",
        "keep it in a set until it is done, or start it in a TaskGroup",
        _dropped,
    ),
    Rule(
        "ISO404",
        "clean-up that a cancellation cuts short",
        "A second cancellation, of a shutdown or a timeout, arrives at the first await of the "
        "`finally`; what stands behind it never runs.",
        "do first what needs no await, or nest another `try: ... finally:`, or shield the await",
        _interrupted_clean_up,
    ),
)
