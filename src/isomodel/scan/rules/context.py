"""Context variables: copied to each task by reference, so that only what they name is private."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from isomodel.scan.module import Function, Module, written
from isomodel.scan.values import Hit, Rule


def variables(module: Module) -> dict[str, ast.Call]:
    """Context variables that a file makes, by place, with the call that makes them."""
    found: dict[str, ast.Call] = {}
    for node in module.nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
            continue
        if module.qualified(node.value.func) not in {"contextvars.ContextVar", "ContextVar"}:
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            name = _name(module, target)
            if name is not None:
                found[name] = node.value
    return found


def _name(module: Module, node: ast.AST) -> str | None:
    if module.place(node) is not None:
        return module.place(node)
    owner = module.parents.get(module.statement_of(node))
    if isinstance(node, ast.Name) and isinstance(owner, ast.ClassDef):
        return f"{owner.name}.{node.id}"
    return None


def calls(
    module: Module, known: dict[str, ast.Call], method: str
) -> Iterator[tuple[str, ast.Call]]:
    """Each ``variable.method(...)`` of these variables."""
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr != method:
                continue
            place = module.place(node.func.value)
            if place is not None and place.startswith("self."):
                owner = next(
                    (e for e in module.enclosing(node) if isinstance(e, ast.ClassDef)), None
                )
                of_class = f"{owner.name}.{place[5:]}" if owner else place
                place = place if place in known else of_class
            if place in known:
                assert place is not None
                yield place, node


def _default(module: Module) -> Iterator[Hit]:
    for name, call in variables(module).items():
        default = next((each.value for each in call.keywords if each.arg == "default"), None)
        if module.is_container(default):
            assert default is not None
            yield Hit(
                default,
                f"the default of `{name}` is one object, the same in every context: what one task "
                "puts into it, all others see",
            )


def _changed_in_place(module: Module) -> Iterator[Hit]:
    found = variables(module)
    if not found:
        return
    known = {place: made for place, made in found.items() if not _bracketed(module, found, place)}
    reads = {call: place for place, call in calls(module, known, "get")}
    makers = _handed_out(module, reads)
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node not in reads:
            place = makers.get(node.func.id)
            if place is not None:
                reads[node] = place
    for node in module.nodes:
        if isinstance(node, ast.Assign):
            continue  # below, target by target
        for target in written(node):
            hit = _source(module, target, reads, node)
            if hit is not None:
                yield _in_place(node, hit)
    for node in module.nodes:
        if isinstance(node, ast.Assign):
            for target in written(node):
                if isinstance(target, ast.Subscript):
                    hit = _source(module, target.value, reads, node)
                    if hit is not None:
                        yield _in_place(node, hit)


def _bracketed(module: Module, known: dict[str, ast.Call], place: str) -> bool:
    """Whether the variable is set only by functions that reset it before any task can start."""
    sets = [call for name, call in calls(module, known, "set") if name == place]
    resets = {
        module.function_of(call) for name, call in calls(module, known, "reset") if name == place
    }
    setters = {module.function_of(call) for call in sets}
    return bool(setters) and all(
        isinstance(each, ast.FunctionDef) and each in resets for each in setters
    )


def _in_place(node: ast.AST, place: str) -> Hit:
    return Hit(
        node,
        f"the object in `{place}` is changed in place: tasks started from this context hold the "
        "same object, and see it",
    )


def _handed_out(module: Module, reads: dict[ast.Call, str]) -> dict[str, str]:
    """Functions that return a context variable's own object, by name."""
    found: dict[str, str] = {}
    for function in module.functions:
        for node in module.within(function):
            if isinstance(node, ast.Return) and node.value is not None:
                place = _source(module, node.value, reads, node)
                if place is not None:
                    found[function.name] = place
    return found


def _source(module: Module, node: ast.AST, reads: dict[ast.Call, str], use: ast.AST) -> str | None:
    """The context variable whose object an expression is: read there, or kept in a local name."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        return reads.get(node)
    function = module.function_of(use)
    if not isinstance(node, ast.Name) or function is None or node.id not in module.bound(function):
        return None
    stores = [
        each
        for each in module.within(function)
        if isinstance(each, ast.Assign) and any(_names(t, node.id) for t in each.targets)
    ]
    if len(stores) != 1 or not isinstance(stores[0].value, ast.Call):
        return None
    place = reads.get(stores[0].value)
    if place is None or _set_before(module, function, place):
        return None
    return place


def _names(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _set_before(module: Module, function: Function, place: str) -> bool:
    """Whether a function gives the variable an object of its own."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "set"
        and module.place(node.func.value) == place
        for node in module.within(function)
    )


def _never_reset(module: Module) -> Iterator[Hit]:
    known = variables(module)
    reset = {place for place, _ in calls(module, known, "reset")}
    for place, call in calls(module, known, "set"):
        function = module.function_of(call)
        if place in reset or function is None or not isinstance(module.parents[call], ast.Expr):
            continue
        if _brackets(module, function, call):
            yield Hit(
                call,
                f"`{place}` keeps this value after `{function.name}` is done: whatever runs next "
                "in the same context takes it for its own",
            )


def _brackets(module: Module, function: Function, call: ast.Call) -> bool:
    """Whether a function sets the variable for what it calls: it hands on control afterwards."""
    if function.name in {"__enter__", "__aenter__"}:
        return True
    return any(
        isinstance(each, ast.Await | ast.Yield) and each.lineno > call.lineno
        for each in module.within(function)
    )


RULES = (
    Rule(
        "ISO105",
        "a mutable default of a ContextVar",
        "The default is not copied: every context that has set nothing reads the same object.",
        "leave the default out, or make it None or an immutable value, and `set` a new object",
        _default,
    ),
    Rule(
        "ISO106",
        "a ContextVar's object changed in place",
        "A task inherits the reference, not a copy: once a common ancestor has set the object, "
        "users who run side by side write into the same one.",
        "copy, change the copy, and `set` it: `var.set({**var.get(), key: value})`",
        _changed_in_place,
    ),
    Rule(
        "ISO107",
        "a ContextVar that is set and never reset",
        "The value outlives its request where the context does: in a connection's loop, a "
        "worker, a test.",
        "keep the token: `token = var.set(...)`, and `var.reset(token)` in a `finally`",
        _never_reset,
    ),
)
