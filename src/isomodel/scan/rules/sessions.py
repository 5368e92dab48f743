"""Sessions, connections and their managers that exist once and serve everybody."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from isomodel.scan.module import Function, Module, changes, last, parameters
from isomodel.scan.values import Hit, Rule
from isomodel.scan.words import is_session_class, is_user, opens_session

_MANAGER = re.compile(
    r"(Socket|Connection|Session|Agent|Context|User|Conversation|Chat|Room|Notification|Event)s?"
    r"(Manager|Registry|Hub|Store|Engine|Dispatcher|Handler|Service|Broker|Router)$",
    re.I,
)
_OWN = re.compile(
    r"Session|Connection|Client|Transport|Protocol|Cursor|Transaction|Channel|Socket|Request|Context|Test",
    re.I,
)


def _kept_session(module: Module) -> Iterator[Hit]:
    for name, value in module.globals.items():
        made = _makes_session(value)
        if made and _used_in_function(module, name) and not _is_facade(module, value):
            assert value is not None
            yield Hit(value, f"`{name}` is one {made} for every user of the module")
    for owner in module.classes.values():
        if _OWN.search(owner.name):
            continue
        for name, value in module.attributes(owner).items():
            if (made := _makes_session(value)) and value is not None:
                yield Hit(value, f"`{owner.name}.{name}` is one {made} for all instances")
        yield from _in_init(module, owner)


def _in_init(module: Module, owner: ast.ClassDef) -> Iterator[Hit]:
    for method in module.methods(owner):
        if method.name != "__init__":
            continue
        for place, _, node in module.writes(method):
            value = getattr(node, "value", None)
            made = _makes_session(value)
            if not made or not place.startswith("self."):
                continue
            reason = _serves_many(module, owner, place)
            if reason:
                yield Hit(node, f"`{place}` is one {made}, made once in `__init__`; {reason}")


def _makes_session(value: ast.expr | None) -> str | None:
    """What an expression makes, if that is for one caller at a time."""
    if isinstance(value, ast.Await):
        value = value.value
    if not isinstance(value, ast.Call):
        return None
    name = last(value.func)
    if isinstance(value.func, ast.Call):  # sessionmaker(...)()
        return "session" if "session" in name.lower() else None
    if is_session_class(name):
        return f"`{name}`"
    return "connection" if opens_session(name) else None


def _serves_many(module: Module, owner: ast.ClassDef, place: str) -> str | None:
    """Why an object lives longer than one user's request; None if nothing says so."""
    for method in module.methods(owner):
        users = [each.arg for each in parameters(method)[1:] if is_user(each.arg)]
        if method.name != "__init__" and users and _reads(module, method, place):
            return f"`{method.name}` uses it for whichever `{users[0]}` it is given"
    for name, value in module.globals.items():
        if isinstance(value, ast.Call) and last(value.func) == owner.name:
            return f"`{name}` is one `{owner.name}` for the whole process"
    return None


def _reads(module: Module, method: Function, place: str) -> bool:
    return any(
        isinstance(node, ast.Attribute) and module.place(node) == place
        for node in module.within(method)
    )


def _is_facade(module: Module, value: ast.expr | None) -> bool:
    """Whether an object is of a class of this file that keeps nothing of its own."""
    owner = module.classes.get(last(value)) if value is not None else None
    return owner is not None and not any(
        place.startswith("self.")
        for method in module.methods(owner)
        for place, _, _ in module.writes(method)
    )


def _used_in_function(module: Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Name)
        and module.place(node) == name
        and module.function_of(node) is not None
        for node in module.nodes
    )


def _singleton(module: Module) -> Iterator[Hit]:
    for name, value in module.globals.items():
        if isinstance(value, ast.Call) and _manages_users(module, last(value.func)):
            yield Hit(value, f"`{name}` is one `{last(value.func)}` for the whole process")
    for function in module.functions:
        declared = {
            each
            for node in module.within(function)
            if isinstance(node, ast.Global)
            for each in node.names
        }
        for node in module.within(function):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            kept = _kept_for_all(module, node.targets[0], declared)
            made = _made(module, node.value)
            if kept and _manages_users(module, made):
                yield Hit(node, f"`{function.name}` keeps one `{made}` in `{kept}` for everybody")
        if _cached(module, function) and not parameters(function):
            yield from _returned(module, function)


def _returned(module: Module, function: Function) -> Iterator[Hit]:
    for node in module.within(function):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
            name = last(node.value.func)
            if _manages_users(module, name):
                yield Hit(node, f"`{function.name}` keeps one `{name}` for everybody")


def _kept_for_all(module: Module, target: ast.expr, declared: set[str]) -> str | None:
    """The global or class attribute that an assignment fills."""
    if isinstance(target, ast.Name):
        return target.id if target.id in declared else None
    place = module.place(target)
    if place is None or isinstance(target, ast.Subscript) or not isinstance(target, ast.Attribute):
        return None
    return place if place.split(".")[0] in module.classes else None


def _made(module: Module, call: ast.Call) -> str:
    """The class a call makes an instance of; ``cls()`` and ``super().__new__(cls)`` included."""
    name = last(call.func)
    function = module.function_of(call)
    receiver = module.receiver(function) if function is not None else None
    if receiver is not None and (name == receiver[0] or name == "__new__"):
        return receiver[1].name
    return name


def _cached(module: Module, function: Function) -> bool:
    return any(last(each) in {"lru_cache", "cache"} for each in function.decorator_list)


def _manages_users(module: Module, name: str) -> bool:
    """A manager of many users' things that, as far as can be seen, keeps them in containers."""
    if not _MANAGER.search(name):
        return False
    owner = module.classes.get(name)
    if owner is None:
        return True
    return any(
        changes(target, node)
        for method in module.methods(owner)
        for place, target, node in module.writes(method)
    )


RULES = (
    Rule(
        "ISO201",
        "one session or connection for everybody",
        "A session has one transaction, one cursor, one set of cookies: what one user began, "
        "another commits, rolls back or reads.",
        "make one for each request, from a pool or a factory, and close it when the request ends",
        _kept_session,
    ),
    Rule(
        "ISO202",
        "a singleton that manages many users",
        "Every user's connections and state are reached through one object; one wrong key "
        "delivers to somebody else.",
        "make it in the application's start-up and hand each request a view bound to its user",
        _singleton,
    ),
)
