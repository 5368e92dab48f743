"""A declaration is read once; what is wrong with it is one line before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import strategies as st

from isomodel import Secret, observe, operation
from isomodel.targets.declare import spec_of
from isomodel.values.errors import BadInput


class Mail:
    together = (("alice", "bob"),)
    max_users = 2
    cancels = "any"
    defects = MappingProxyType({"loud": "shouts"})

    def arm(self, name: str) -> None: ...

    @operation(makes="session")
    async def log_in(self, user: str) -> str:
        return user

    @operation(ends="session", atomic=True, accepts=lambda text: bool(text))
    async def send(self, user: str, session: str, text: Secret, copies: int = 1) -> None: ...

    @operation(subject=st.sampled_from(["a", "b"]))
    async def search(self, user: str, subject: str) -> list[str]:
        return []

    @observe
    async def inbox(self, user: str) -> list[str]:
        return []


def test_a_declaration_is_read_as_it_is_written() -> None:
    spec = spec_of(Mail, "app:Mail")

    assert spec.name == "app:Mail"
    assert sorted(spec.operations) == ["log_in", "search", "send"]
    assert spec.observations == ("inbox",)
    assert spec.together == (("alice", "bob"),)
    assert (spec.max_users, spec.cancels, spec.scopes) == (2, "any", False)
    assert spec.defects == {"loud": "shouts"}


def test_arguments_are_secrets_handles_or_drawn() -> None:
    session, text, copies = spec_of(Mail).operations["send"].arguments
    (subject,) = spec_of(Mail).operations["search"].arguments

    assert (session.made, session.secret, session.strategy) == ("session", False, None)
    assert (text.made, text.secret, text.strategy) == ("", True, None)
    assert (copies.made, copies.secret) == ("", False)
    assert copies.strategy is not None
    assert subject.strategy is not None


def test_options_belong_to_their_operation_alone() -> None:
    operations = spec_of(Mail).operations

    assert (operations["log_in"].makes, operations["log_in"].ends) == ("session", "")
    assert (operations["send"].ends, operations["send"].atomic) == ("session", True)
    assert operations["send"].accepts is not None
    assert operations["search"].accepts is None


def test_defaults_are_those_of_the_page() -> None:
    class Least:
        @operation
        async def go(self, user: str) -> None: ...

    spec = spec_of(Least)

    assert (spec.max_users, spec.cancels, spec.scopes) == (3, "operations", False)
    assert (spec.together, dict(spec.defects), spec.observations) == ((), {}, ())
    assert spec.name.endswith(":test_defaults_are_those_of_the_page.<locals>.Least")


def test_what_a_base_class_declares_is_declared() -> None:
    class More(Mail):
        @operation
        async def delete(self, user: str) -> None: ...

    assert sorted(spec_of(More).operations) == ["delete", "log_in", "search", "send"]


def nothing() -> type:
    class Target:
        async def go(self, user: str) -> None: ...

    return Target


def no_coroutine() -> type:
    class Target:
        @operation
        def go(self, user: str) -> None: ...

    return Target


def an_observation_that_is_no_coroutine() -> type:
    class Target:
        @operation
        async def go(self, user: str) -> None: ...

        @observe
        def see(self, user: str) -> None: ...

    return Target


def no_user() -> type:
    class Target:
        @operation
        async def go(self) -> None: ...

    return Target


def no_strategy() -> type:
    class Target:
        @operation
        async def go(self, user: str, what) -> None: ...  # type: ignore[no-untyped-def]

    return Target


def no_such_argument() -> type:
    class Target:
        @operation(size=st.integers())
        async def go(self, user: str) -> None: ...

    return Target


def ends_what_it_is_not_given() -> type:
    class Target:
        @operation(makes="session")
        async def log_in(self, user: str) -> str:
            return user

        @operation(ends="session")
        async def log_out(self, user: str) -> None: ...

    return Target


def an_unknown_annotation() -> type:
    class Target:
        @operation
        async def go(self, user: str, what: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    return Target


def strange_cancels() -> type:
    class Target:
        cancels = "everything"

        @operation
        async def go(self, user: str) -> None: ...

    return Target


def strange_errors() -> type:
    class Target:
        errors = "LookupError"

        @operation
        async def go(self, user: str) -> None: ...

    return Target


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "declares no operation; decorate a method with @operation"),
        (no_coroutine, "go is not a coroutine; write `async def go`"),
        (an_observation_that_is_no_coroutine, "see is not a coroutine; write `async def see`"),
        (no_user, "go takes no user; write `async def go(self, user, ...)`"),
        (no_strategy, "argument 'what' of go has no strategy; write @operation(what=st....)"),
        (no_such_argument, "go has a strategy for 'size' but no such argument"),
        (ends_what_it_is_not_given, "log_out ends 'session' but has no argument of that name"),
        (an_unknown_annotation, "an annotation of go is not known (name 'Nowhere'"),
        (strange_cancels, 'cancels is \'everything\'; write "operations" or "any"'),
        (strange_errors, "errors is 'LookupError'; write a tuple of exception classes"),
    ],
)
def test_what_is_wrong_is_one_line_that_says_what_to_do(
    make: Callable[[], type], message: str
) -> None:
    with pytest.raises(BadInput) as raised:
        spec_of(make(), "app:Target")

    assert str(raised.value).startswith("app:Target: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_strategy_makes_up_for_a_missing_annotation() -> None:
    class Target:
        @operation(what=st.integers(0, 3))
        async def go(self, user: str, what: Any) -> None: ...

    (what,) = spec_of(Target).operations["go"].arguments

    assert what.strategy is not None


def chatting(**members: Any) -> type:
    """A target with these members besides an operation and an observation."""

    async def say(self: Any, user: str) -> None: ...

    async def heard(self: Any, user: str) -> list[str]:
        return []

    return type("Chat", (), {"say": operation(say), "heard": observe(heard), **members})


async def awaited(self: Any) -> None: ...


async def nobodys(self: Any) -> None: ...


async def awaited_with_user(self: Any, user: str) -> None: ...


def called(self: Any) -> None: ...


def called_with_user(self: Any, user: str) -> None: ...


@pytest.mark.parametrize(
    ("name", "hook", "line"),
    [
        ("start", awaited_with_user, "write `async def start(self)`"),
        ("stop", called_with_user, "write `async def stop(self)`"),
        ("leave", awaited, "write `async def leave(self, user)`"),
        ("leave", called_with_user, "leave is not a coroutine"),
        ("state", called, "write `def state(self, user)`"),
        ("state", awaited_with_user, "state is a coroutine, and nobody awaits it"),
        ("roots", called, "write `def roots(self, user)`"),
        ("common", called_with_user, "write `def common(self)`"),
        ("shared", {}, "shared is {}; write `def shared(self)`"),
        ("leftovers", called_with_user, "write `def leftovers(self)`"),
        ("arm", called, "write `def arm(self, name)`"),
        ("__init__", called_with_user, "cannot be made anew for each execution"),
        ("heard", observe(nobodys), "write `async def heard(self, user)`"),
        ("max_users", 0, "write a number of users, at least 1"),
        ("together", ("alice", "bob"), "write groups of users"),
        ("uncertain", TimeoutError, "write a tuple of exception classes"),
        ("defects", ["loud"], "write a dict of names"),
        ("defects", {"loud": "shouts"}, "no way to arm them"),
    ],
)
def test_a_member_that_could_not_be_used_is_refused_with_its_right_form(
    name: str, hook: object, line: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(line)):
        spec_of(chatting(**{name: hook}), "app:Chat")


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("start", called),
        ("stop", awaited),
        ("leave", awaited_with_user),
        ("state", called_with_user),
        ("roots", lambda self, user, depth=1: {}),
        ("common", staticmethod(list)),
        ("leftovers", None),
    ],
)
def test_a_member_that_can_be_called_is_taken_in_any_form(name: str, hook: object) -> None:
    assert spec_of(chatting(**{name: hook}), "app:Chat").observations == ("heard",)


def test_a_method_called_once_makes_no_program_of_a_target() -> None:
    assert not spec_of(chatting(once=called)).once
    assert spec_of(chatting(once=True)).once
