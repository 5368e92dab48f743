"""What a user can learn of a context: its child ends, and cannot change it, nor be revived."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from isomodel.targets.factory.account import expect
from isomodel.targets.factory.contexts import UserExecutionContext


def described(context: UserExecutionContext) -> dict[str, Any]:
    """What a user can learn of a context: its child ends, and cannot change it, nor be revived."""
    inner: list[str] = []
    child = context.create_child(step="one", inner=inner)
    inner.append("too late")
    child.lifetime.end()
    seen = {
        "child": child.depth,
        "metadata": child.metadata,
        "user": child.user_id,
        "conversation": child.session_id,
        "own request": child.request_id != context.request_id,
        "over": [child.lifetime.over, context.lifetime.over],
        "parent": context.metadata,
        "frozen": not _can_change(context.metadata) and not _can_change(child.metadata),
    }
    inherited = {**context.metadata, "step": "one", "inner": ()}
    wanted = {
        "child": 1,
        "metadata": inherited,
        "user": context.user_id,
        "conversation": context.session_id,
        "own request": True,
        "over": [True, False],
        "parent": context.metadata,
        "frozen": True,
    }
    expect(seen == wanted, "a child is like its parent, and leaves it intact", f"it is {seen}")
    return seen


def _can_change(value: Any) -> bool:
    """Whether anything in this metadata is of a type that can be changed."""
    if isinstance(value, MappingProxyType):
        return any(map(_can_change, value.values()))
    if isinstance(value, tuple):
        return any(map(_can_change, value))
    return not isinstance(value, str | int)
