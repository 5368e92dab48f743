"""State that outlives a call and is reached from every call: of the module, a class, a default."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from isomodel.scan.flow import line
from isomodel.scan.module import Function, Module, Scope, changes, last, names, parameters, written
from isomodel.scan.values import Hit, Rule
from isomodel.scan.words import REMOVES, is_set_up

_REGISTRY = re.compile(
    r"registr|instances?$|agents$|sessions$|connections$|clients$|users$|contexts$|engines$", re.I
)
_NOTED = re.compile(r"seen|warn|logged|shown|emitted|background|lock|features|deferred", re.I)
_OF_SOMEBODY = re.compile(r"current|active|last_|user|tenant|account|session|request|owner", re.I)
_KINDS = re.compile(
    r"^(cls|klass|class_|type_?|tp|typ|func|fn|function|f|method|callback|handler|plugin|module|"
    r"obj_type|origin|owner|decorat\w*)$|_(cls|class|type|func|fn)$"
)


def _registry(module: Module) -> Iterator[Hit]:
    for place, writers in _shared_containers(module).items():
        if not _REGISTRY.search(place.replace(".", "_")):
            continue
        getter = _getter(module, place)
        if getter is not None:
            function, node = writers[0]
            yield Hit(
                node,
                f"`{place}` is filled by `{function.name}` and read by `{getter.name}` for "
                "everybody: who asks by the same name gets the same object",
            )


def _getter(module: Module, place: str) -> Function | None:
    """A function that returns an element of a container by a key it is given."""
    for function in module.functions:
        given = {each.arg for each in parameters(function)}
        for node in module.within(function):
            if isinstance(node, ast.Return) and node.value is not None:
                for part in ast.walk(node.value):
                    key = _looked_up(module, part, place)
                    if key is not None and names(key) & given:
                        return function
    return None


def _looked_up(module: Module, node: ast.AST, place: str) -> ast.expr | None:
    if isinstance(node, ast.Subscript) and module.place(node.value) == place:
        return node.slice
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        found = node.func.attr in {"get", "setdefault"} and module.place(node.func.value) == place
        return node.args[0] if found else None
    return None


def _module_state(module: Module) -> Iterator[Hit]:
    found = _shared_containers(module)
    for place, writers in found.items():
        if "." in place or (_REGISTRY.search(place) and _getter(module, place)):
            continue
        function, node = writers[0]
        yield Hit(
            node,
            f"`{place}` belongs to the module, and `{function.name}` writes what it is given into "
            "it: it is the same for every user",
        )
    yield from _rebound(module)


def _rebound(module: Module) -> Iterator[Hit]:
    """``global current`` that is given a call's own argument."""
    for function in module.functions:
        declared = {
            name
            for node in module.within(function)
            if isinstance(node, ast.Global)
            for name in node.names
        }
        if not declared or _set_up(module, function):
            continue
        given = _own(module, function)
        for node in module.within(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                own = isinstance(function, ast.AsyncFunctionDef) or _OF_SOMEBODY.search(name)
                if own and name in declared and _roots(node.value, given):
                    yield Hit(
                        node,
                        f"`{name}` belongs to the module, and `{function.name}` puts what it is "
                        "given there: the next call's replaces it",
                    )


def _class_state(module: Module) -> Iterator[Hit]:
    for place, writers in _shared_containers(module).items():
        if "." not in place or (
            _REGISTRY.search(place.replace(".", "_")) and _getter(module, place)
        ):
            continue
        function, node = writers[0]
        yield Hit(
            node,
            f"`{place}` belongs to the class, and `{function.name}` writes what it is given into "
            "it: all instances share it",
        )


def _shared_containers(module: Module) -> dict[str, list[tuple[Function, ast.AST]]]:
    """Containers of the module and of its classes, and who writes their arguments into them."""
    return module.once("shared containers", lambda: _written_containers(module))


def _known_containers(module: Module) -> dict[str, str]:
    """Places that lead to a container of the module or of a class, with that container's name."""
    known = {name: name for name, value in module.globals.items() if module.is_container(value)}
    for owner in module.classes.values():
        held = module.attributes(owner).items()
        shared = [name for name, value in held if module.is_container(value)]
        if not shared:
            continue
        own = {each for method in module.methods(owner) for each in _set_on_self(module, method)}
        for name in shared:
            known[f"{owner.name}.{name}"] = f"{owner.name}.{name}"
            if name not in own:
                known[f"self.{name} of {owner.name}"] = f"{owner.name}.{name}"
    return {place: name for place, name in known.items() if not _NOTED.search(name)}


def _written_containers(module: Module) -> dict[str, list[tuple[Function, ast.AST]]]:
    known = _known_containers(module)
    found: dict[str, list[tuple[Function, ast.AST]]] = {}
    for function in module.functions if known else ():
        owner = module.owner_of(function)
        for place, target, node in module.writes(function):
            full = f"{place} of {owner.name}" if place.startswith("self.") and owner else place
            if (
                full in known
                and changes(target, node)
                and not _set_up(module, function)
                and _takes(module, target, node, _own(module, function))
                and not _until_done(module, function, place)
            ):
                found.setdefault(known[full], []).append((function, node))
    return found


def _set_up(module: Module, function: Function) -> bool:
    return is_set_up(function.name) or _at_import(module, function)


def _until_done(module: Module, function: Function, place: str) -> bool:
    """Whether what is put there leaves again by itself: ``task.add_done_callback(X.discard)``."""
    return any(
        isinstance(node, ast.Call)
        and last(node.func) == "add_done_callback"
        and any(
            isinstance(each, ast.Attribute) and module.place(each.value) == place
            for each in node.args
        )
        for node in module.within(function)
    )


def _set_on_self(module: Module, method: Function) -> Iterator[str]:
    for place, target, node in module.writes(method):
        if place.startswith("self.") and not changes(target, node):
            yield place.removeprefix("self.")


def _own(module: Module, function: Function) -> dict[str, set[str]]:
    """The names that hold what a call is given, with the parameters that each is made from.

    Types and functions are left out: a table of those is filled once, whoever calls.
    """
    receiver = module.receiver(function)
    found = {
        each.arg: {each.arg}
        for each in parameters(function)
        if not _KINDS.search(each.arg)
        and not _of_kinds(each.annotation)
        and (receiver is None or each.arg != receiver[0])
    }
    for _ in range(2):  # once more for what stands before its source in a loop
        for node in module.within(function):
            made = _roots(node.value, found) if isinstance(node, ast.Assign) else set()
            if isinstance(node, ast.Assign) and made:
                for target in node.targets:
                    for each in ast.walk(target):
                        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                            found[each.id] = found.get(each.id, set()) | made
    return found


def _of_kinds(annotation: ast.expr | None) -> bool:
    text = "" if annotation is None else ast.unparse(annotation)
    return bool(re.search(r"\b([Tt]ype\[|type$|Callable|Module)", text))


def _roots(node: ast.AST, given: dict[str, set[str]]) -> set[str]:
    """The parameters that an expression is made from."""
    return set().union(*(given[name] for name in names(node) & given.keys()))


def _takes(module: Module, target: ast.expr, node: ast.AST, given: dict[str, set[str]]) -> bool:
    """Whether what is written depends on the call, and on more than its key."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in REMOVES:
            return False
        written = (*node.args, *(each.value for each in node.keywords))
        return any(_roots(each, given) for each in written)
    value = getattr(node, "value", None)
    made = _roots(value, given) if value is not None else set()
    if not made:
        return False
    if isinstance(value, ast.Call) and last(value.func)[:1].isupper():
        return True  # a live object, whatever its key
    key = _roots(target.slice, given) if isinstance(target, ast.Subscript) else set()
    pure = isinstance(module.function_of(node), ast.FunctionDef)
    return not (pure and made <= key)


def _at_import(module: Module, function: Function) -> bool:
    """Whether a function runs while modules are imported: as a decorator, or called right there."""
    if function.name in {"__init_subclass__", "__set_name__", "__class_getitem__", "__new__"}:
        return True
    owner = module.class_of(function)
    if owner is not None and any(
        last(base) in {"type", "ABCMeta", "EnumMeta"} for base in owner.bases
    ):
        return True
    if any(
        isinstance(each, Function) and _returns(each, function.name)
        for each in module.enclosing(function)
    ):
        return True  # the inner part of a decorator
    own = [each.arg for each in parameters(function)]
    if any(_returns(function, name) for name in own if name not in {"self", "cls"}):
        return True
    return function.name in module.once("called at import", lambda: _called_at_import(module))


def _called_at_import(module: Module) -> frozenset[str]:
    """The names of what a module calls while it is imported."""
    return frozenset(
        last(node.func)
        for node in module.nodes
        if isinstance(node, ast.Call)
        and not any(isinstance(each, Scope) for each in module.enclosing(node))
    )


def _returns(function: Function, name: str) -> bool:
    return any(
        isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id == name
        for node in ast.walk(function)
    )


def _mutable_default(module: Module) -> Iterator[Hit]:
    for function in module.functions:
        for name, default in _defaults(function):
            if module.is_container(default) and (use := _use(module, function, name)):
                yield Hit(
                    default,
                    f"the default of `{name}` is made once, and {use}: calls without it share it",
                )
    for owner in module.classes.values():
        yield from _field_defaults(module, owner)


def _defaults(function: Function) -> Iterator[tuple[str, ast.expr]]:
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    if args.defaults:
        for parameter, default in zip(
            positional[-len(args.defaults) :], args.defaults, strict=True
        ):
            yield parameter.arg, default
    for parameter, value in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        if value is not None:
            yield parameter.arg, value


def _use(module: Module, function: Function, name: str) -> str | None:
    """How a function changes a parameter's object, or lets it out; None if it only reads."""
    if any(
        isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
        for node in module.within(function)
    ):
        return None
    for node in module.within(function):
        for target in written(node):
            if isinstance(target, ast.Name | ast.Subscript) and last(target) == name:
                return f"changed in line {line(node)}"
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is(node.value, name):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Attribute) for target in targets):
                return f"kept in line {node.lineno}"
        if isinstance(node, ast.Return | ast.Yield) and _is(node.value, name):
            return f"handed out in line {node.lineno}"
    return None


def _is(node: ast.expr | None, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _field_defaults(module: Module, owner: ast.ClassDef) -> Iterator[Hit]:
    kinds = {last(each) for each in (*owner.decorator_list, *owner.bases)}
    tuples, records = (
        "NamedTuple" in kinds,
        kinds & {"dataclass", "define", "frozen", "attrs", "attr", "s"},
    )
    if not tuples and not records:
        return
    for statement in owner.body:
        value = getattr(statement, "value", None)
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or value is None:
            continue
        if isinstance(statement, ast.AnnAssign) and "ClassVar" in ast.unparse(statement.annotation):
            continue
        if isinstance(statement, ast.Assign) and not _is_field(value):
            continue  # of the class, no field
        if _is_field(value):
            value = next((each.value for each in value.keywords if each.arg == "default"), None)
        if module.is_container(value) or (records and _own_object(module, value)):
            assert value is not None
            yield Hit(value, f"a default of `{owner.name}` is made once: all instances share it")


def _is_field(value: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(value, ast.Call) and last(value.func) in {"field", "ib", "attrib"}


def _own_object(module: Module, value: ast.expr | None) -> bool:
    """Whether an expression makes an object of a class of this file that can be changed."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return False
    owner = module.classes.get(value.func.id)
    if owner is None or any("frozen" in ast.unparse(each) for each in owner.decorator_list):
        return False
    if any(
        last(base) in {"NamedTuple", "Enum", "IntEnum", "StrEnum", "str", "int"}
        for base in owner.bases
    ):
        return False
    return any(
        True
        for method in module.methods(owner)
        if method.name != "__init__"
        for _ in _set_on_self(module, method)
    )


RULES = (
    Rule(
        "ISO101",
        "a global registry of live objects",
        "Everybody who asks by the same name gets the same object, with whatever the last user "
        "left in it.",
        "make the object in the request that needs it, by a factory that is passed along",
        _registry,
    ),
    Rule(
        "ISO102",
        "module-level state that functions write",
        "A module exists once in a process: what one user's call leaves there, every other "
        "user's call finds.",
        "keep it in an object made for the user or request, or in a ContextVar; key it by user",
        _module_state,
    ),
    Rule(
        "ISO103",
        "class-level state that methods write",
        "A container in a class body exists once, not once an instance.",
        "make the container in `__init__`",
        _class_state,
    ),
    Rule(
        "ISO104",
        "a mutable default that is changed or kept",
        "A default is evaluated once; whoever relies on it shares the object with all others.",
        "default to None and make the object inside; in a dataclass use `default_factory`",
        _mutable_default,
    ),
)
