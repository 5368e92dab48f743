"""Keys and caches that do not tell users apart."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from isomodel.scan.module import Function, Module, last, parameters
from isomodel.scan.rules.context import calls, variables
from isomodel.scan.values import Hit, Rule
from isomodel.scan.words import is_identity, is_user, is_user_class

_CACHES = frozenset({"functools.lru_cache", "functools.cache"})
_AMBIENT = re.compile(r"^(get_)?current_(user|tenant|request|session|account|context)$", re.I)
_CLOCKS = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "datetime.now",
        "datetime.utcnow",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
    }
)
_KEYED = frozenset({"get", "set", "setex", "pop", "setdefault", "add", "delete", "exists"})
_CACHE_WORD = re.compile(r"cache|redis|store|memo|kv|registry|rooms|sessions|limits|locks", re.I)


def _decorator(module: Module, function: Function) -> str | None:
    """The cache of the standard library that a function is wrapped in."""
    for each in function.decorator_list:
        name = module.qualified(each.func if isinstance(each, ast.Call) else each)
        if name in _CACHES:
            return name.removeprefix("functools.")
    return None


def _cached_coroutine(module: Module) -> Iterator[Hit]:
    for function in module.coroutines:
        kinds = {module.qualified(each) for each in function.decorator_list}
        name = _decorator(module, function)
        if name is None and "functools.cached_property" in kinds:
            name = "cached_property"
        if name is not None:
            yield Hit(
                function,
                f"`{name}` keeps the coroutine of `{function.name}`, not its result: the second "
                "caller awaits it again and fails",
            )


def _cached_method(module: Module) -> Iterator[Hit]:
    for function in module.functions:
        receiver = module.receiver(function)
        if receiver is None or receiver[2] or isinstance(function, ast.AsyncFunctionDef):
            continue
        name = _decorator(module, function)
        if name is not None and _of_one_user(module, receiver[1]):
            yield Hit(
                function,
                f"`{name}` on `{function.name}` keeps every `{receiver[1].name}` alive, and drops "
                "one user's entries for another's",
            )


def _of_one_user(module: Module, owner: ast.ClassDef) -> bool:
    """Whether a class is made for a user or request: by its name, or by what it is made of."""
    if is_user_class(owner.name):
        return True
    made = (method for method in module.methods(owner) if method.name == "__init__")
    return any(is_user(each.arg) for method in made for each in parameters(method)[1:])


def _cached_for_all(module: Module) -> Iterator[Hit]:
    known = variables(module)
    reads = {call for _, call in calls(module, known, "get")}
    for function in module.functions:
        name = _decorator(module, function)
        if name is None:
            continue
        for node in module.within(function):
            if node in reads or _ambient(module, function, node):
                yield Hit(
                    node,
                    f"`{function.name}` is cached, but depends on `{ast.unparse(node)}`, which is "
                    "no part of the key: the first user's answer goes to all",
                )
                break


def _ambient(module: Module, function: Function, node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
    elif not isinstance(node, ast.Name):
        return False
    name = last(node)
    return bool(_AMBIENT.match(name)) and name not in {each.arg for each in parameters(function)}


def _joined(module: Module) -> Iterator[Hit]:
    for node in module.nodes:
        parts = _parts(node)
        if parts is None or len(parts) < 2 or not any(is_identity(last(each)) for each in parts):
            continue
        if all(_numeric(module, each) for each in parts[:-1]):
            continue
        use = _key_of(module, node)
        if use is not None:
            text = ", ".join(f"`{ast.unparse(each)}`" for each in parts)
            yield Hit(
                node,
                f"the key of `{use}` joins {text}: two users whose parts run together get the same",
            )


def _parts(node: ast.AST) -> list[ast.expr] | None:
    """The variable parts of a string put together."""
    if isinstance(node, ast.JoinedStr):
        return [each.value for each in node.values if isinstance(each, ast.FormattedValue)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        joins = isinstance(node.func.value, ast.Constant) and node.func.attr == "join"
        listed = node.args[0]
        return list(listed.elts) if joins and isinstance(listed, ast.List | ast.Tuple) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        leaves = list(_added(node))
        if any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in leaves):
            return [each for each in leaves if not isinstance(each, ast.Constant)]
    return None


def _added(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _added(node.left)
        yield from _added(node.right)
    else:
        yield node


def _numeric(module: Module, node: ast.expr) -> bool:
    """Whether a part cannot contain a separator: a number, an id of a type that says so."""
    if isinstance(node, ast.Call):
        return last(node.func) in {
            "int",
            "len",
            "id",
            "hash",
            "quote",
            "quote_plus",
            "hexdigest",
            "uuid4",
        }
    if not isinstance(node, ast.Name):
        return False
    function = module.function_of(node)
    if function is None:
        return False
    kind = next((each.annotation for each in parameters(function) if each.arg == node.id), None)
    return kind is not None and last(kind) in {"int", "UUID", "float", "bool"}


def _key_of(module: Module, node: ast.AST) -> str | None:
    """What a string is a key of: directly, or through a local variable."""
    direct = _container(module, node)
    if direct is not None:
        return direct
    parent, function = module.parents[node], module.function_of(node)
    if (
        not isinstance(parent, ast.Assign)
        or not isinstance(parent.targets[0], ast.Name)
        or function is None
    ):
        return None
    name = parent.targets[0].id
    for each in module.within(function):
        if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load):
            found = _container(module, each)
            if found is not None:
                return found
    return None


def _container(module: Module, node: ast.AST) -> str | None:
    parent = module.parents[node]
    if isinstance(parent, ast.Subscript) and parent.slice is node:
        place = module.place(parent.value)
        return (
            ast.unparse(parent.value)
            if place is not None or _CACHE_WORD.search(last(parent.value))
            else None
        )
    if (
        isinstance(parent, ast.Compare)
        and isinstance(parent.ops[0], ast.In | ast.NotIn)
        and parent.left is node
    ):
        target = parent.comparators[0]
        return ast.unparse(target) if module.place(target) is not None else None
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and parent.args:
        target = parent.func.value
        if parent.func.attr in _KEYED and parent.args[0] is node:
            return (
                ast.unparse(target)
                if _CACHE_WORD.search(last(target)) or module.place(target) in module.globals
                else None
            )
    return None


def _clock_id(module: Module) -> Iterator[Hit]:
    for node in module.nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.keyword) or node.value is None:
            continue
        if isinstance(node, ast.keyword):
            name = node.arg or ""
        else:
            name = last(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        if not re.search(r"(^|_)(id|uid|token|key)$", name):
            continue
        if _unique(node.value):
            continue
        clock = next((each for each in ast.walk(node.value) if _is_clock(module, each)), None)
        if clock is not None:
            yield Hit(
                clock, f"`{name}` is made from the clock: two users within one tick get the same"
            )


def _is_clock(module: Module, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and module.qualified(node.func) in _CLOCKS


def _unique(value: ast.expr) -> bool:
    """Whether something else in the expression makes it unique."""
    return bool(
        re.search(
            r"uuid|token_|random|secrets|count|next\(|urandom|getpid|hash", ast.unparse(value)
        )
    )


RULES = (
    Rule(
        "ISO501",
        "a cached coroutine",
        "A coroutine can be awaited once; everybody after the first gets RuntimeError.",
        "cache the result, or a Task or Future, keyed by the user; or use an async cache",
        _cached_coroutine,
    ),
    Rule(
        "ISO502",
        "a cache on a method",
        "The cache belongs to the class: it holds every instance with all that it refers to, so "
        "that an expired user is never freed.",
        "cache in the instance (`cached_property`, a dict made in `__init__`)",
        _cached_method,
    ),
    Rule(
        "ISO503",
        "a cache that does not know the user",
        "The key is made of the arguments alone; who asks is not among them.",
        "pass the user as an argument, so that it is part of the key",
        _cached_for_all,
    ),
    Rule(
        "ISO504",
        "a key made by joining strings",
        "`a:b` and `c` join to the same as `a` and `b:c`: a user who chooses the name well reads "
        "somebody else's entry.",
        "use a tuple as the key; or quote each part",
        _joined,
    ),
    Rule(
        "ISO505",
        "an id made from the clock",
        "The clock stands still between two calls of one tick, and goes back.",
        "use `uuid.uuid4()`, `secrets.token_hex()` or a counter",
        _clock_id,
    ),
)
