"""A declaration is read once; what is wrong with it is one line before anything runs."""

from __future__ import annotations

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
