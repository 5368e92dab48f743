"""``isomodel targets``: what can be hunted, and how isomodel reads a declaration."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from isomodel.edges import documents, exits
from isomodel.edges.options import ALIASES
from isomodel.edges.output import Grid, Line, Part, Screen
from isomodel.targets.declare import Argument, OperationSpec, TargetSpec
from isomodel.targets.resolve import BUILTIN, resolve
from isomodel.tracking.scope import packages_under_test

MEMBERS = ("start", "stop", "leave", "leftovers", "roots", "common", "state", "shared")
"""The optional members of a target, in the order of the documentation of ``declare``."""


def run(name: str | None, path: tuple[str, ...], screen: Screen) -> int:
    """Describe one target, or all that are built in."""
    names = BUILTIN if name is None else (name,)
    specs = [resolve(each, path) for each in names]
    for position, spec in enumerate(specs):
        screen.show(([""] if position else []) + _described(spec))
    if name is None:
        screen.show(["", "Describe your own: isomodel targets module:Class"])
    described = [_document(spec) for spec in specs]
    screen.document(documents.document("targets", exits.OK, targets=described))
    return exits.OK


def warnings(spec: TargetSpec) -> Iterator[str]:
    """What this declaration leaves unchecked, each with how to check it."""
    cls = spec.cls
    if spec.once:
        return
    if not spec.observations:
        yield "observes nothing in the end: only results of operations are compared; add @observe"
    if not any(a.secret for o in spec.operations.values() for a in o.arguments):
        yield "no argument is a Secret: leaked data cannot be traced to its owner"
    if spec.max_users < 2:
        yield "max_users is less than 2: no user can reach another"
    if not hasattr(cls, "leave"):
        yield "no `leave`: nobody logs out, so clean-up after a user is not checked"
    elif not hasattr(cls, "leftovers"):
        yield "no `leftovers`: of clean-up only tasks that remain are checked"
    if not hasattr(cls, "roots"):
        yield "no `roots`: objects that two users share are not looked for"
    atomic = [o.name for o in spec.operations.values() if o.atomic]
    if atomic and not hasattr(cls, "state"):
        yield f"no `state`: that {', '.join(atomic)} is atomic cannot be checked"
    taken = {a.made for o in spec.operations.values() for a in o.arguments}
    for operation in spec.operations.values():
        if operation.makes and operation.makes not in taken:
            yield (
                f"{operation.name} makes a {operation.makes}, which no operation takes: "
                f"an argument that gets it is named `{operation.makes}`"
            )
    if spec.defects and not hasattr(cls, "arm"):
        yield "`defects` without `arm(name)`: they cannot be armed"


def _described(spec: TargetSpec) -> list[Part]:
    declared, absent = _members(spec)
    alias = next((f" (short: {a})" for a, full in ALIASES.items() if full == spec.name), "")
    parts: list[Part] = [Line(spec.name + alias, "bold")]
    summary = (inspect.getdoc(spec.cls) or "").splitlines()[:1]
    parts += [f"  {line}" for line in summary]
    parts += ["", Grid(("operation", "arguments", "remarks"), tuple(_rows(spec))), ""]
    parts.append(f"observations: {', '.join(spec.observations) or 'none'}")
    parts.append(f"users: at most {spec.max_users}")
    parts.append(f"runs on: {', '.join(spec.runtimes)}")
    if "threads" in spec.runtimes:
        within = packages_under_test(spec.cls) if spec.within is None else spec.within
        parts.append(f"interrupted, beside the target's own code: {', '.join(within) or 'nothing'}")
    parts += [f"judged together: {' + '.join(group)}" for group in spec.together]
    parts.append(f"optional members declared: {', '.join(declared) or 'none'}")
    parts.append(f"not declared: {', '.join(absent) or 'none'}")
    if spec.defects:
        parts += ["", Grid(("defect", "what is wrong"), tuple(spec.defects.items()))]
    parts += [Line(f"warning: {each}", "yellow") for each in warnings(spec)]
    return parts


def _rows(spec: TargetSpec) -> Iterator[tuple[str, ...]]:
    for operation in spec.operations.values():
        arguments = ", ".join(f"{each.name}: {_kind(each)}" for each in operation.arguments)
        yield operation.name, arguments or "none", ", ".join(_remarks(operation))


def _kind(argument: Argument) -> str:
    if argument.secret:
        return "a secret"
    if argument.made:
        return f"a {argument.made} made before"
    return str(argument.strategy)


def _remarks(operation: OperationSpec) -> Iterator[str]:
    if operation.makes:
        yield f"makes a {operation.makes}"
    if operation.ends:
        yield f"ends the {operation.ends}"
    if operation.atomic:
        yield "atomic"
    if operation.accepts is not None:
        yield "must refuse invalid arguments"


def _members(spec: TargetSpec) -> tuple[list[str], list[str]]:
    declared = [name for name in MEMBERS if hasattr(spec.cls, name)]
    return declared, [name for name in MEMBERS if name not in declared]


def _document(spec: TargetSpec) -> dict[str, Any]:
    declared, absent = _members(spec)
    return {
        "target": spec.name,
        "operations": [
            {
                "name": operation.name,
                "arguments": {each.name: _kind(each) for each in operation.arguments},
                "makes": operation.makes,
                "ends": operation.ends,
                "atomic": operation.atomic,
                "validated": operation.accepts is not None,
            }
            for operation in spec.operations.values()
        ],
        "observations": list(spec.observations),
        "max_users": spec.max_users,
        "runtimes": list(spec.runtimes),
        "together": [list(group) for group in spec.together],
        "declared": declared,
        "not_declared": absent,
        "defects": dict(spec.defects),
        "warnings": list(warnings(spec)),
    }
