"""Declaring a target: an ordinary class whose decorated methods are what a user can do.

    class Mail:
        async def start(self) -> None:
            self.server = MailServer()

        @operation
        async def send(self, user: str, text: Secret) -> str:
            return await self.server.send(user, text)

        @observe
        async def inbox(self, user: str) -> list[str]:
            return await self.server.inbox(user)

Every execution makes a new instance. Besides operations and observations a target may have
these members, all optional:

``async start()``, ``async stop()``
    make the system before, and dismiss it after, an execution.
``async leave(user)``
    this user logs out; called for each user after the final observations.
``leftovers() -> iterable of Leftover or str``
    what should be gone once all users have left, and is not.
``roots(user) -> dict of name to object``
    the objects that are this user's own; what two users both reach, and can change, is shared.
``common() -> iterable of objects``
    objects shared by design (a pool, a registry): the search for shared state stops there.
``state(user) -> value``
    the durable state of this user; compared around operations declared ``atomic``.
``shared() -> iterable of Resource``
    resources shared by design, whose justified refusals are no interference.
``together``
    groups of users that share something by design: ``(("alice", "bob"),)``.
``max_users``
    the most users a scenario may have (default 3).
``once``
    True for a program: one operation is called once, so nobody is there who could be reached.
``cancels``
    whom cancellations strike: ``"operations"`` (the default: a request is given up), or ``"any"``
    task that an operation has started, too (a library closes, a time limit inside it passes).
``scopes``
    True where callers give operations up by leaving a cancel scope of anyio's, which cancels
    whatever still waits in it again and again.
``runtime``
    the library whose tasks the target runs on: ``"asyncio"`` (the default) or ``"trio"``; both,
    ``("asyncio", "trio")``, for one written for anyio, which is then hunted on both; or
    ``"threads"``, where operations are plain functions and each runs in a thread of its own.
``within``
    installed packages whose code belongs to what is tested: on ``"threads"``, operations are
    interrupted in it, too (default: the packages that the target's module names, if small).
``partitions``
    True where a connection may also go silent for good: whoever only waits for an answer on it
    waits for ever, as over a real network, so the system needs time limits of its own.
``uncertain``
    errors after which nobody knows whether the operation was done, as where a connection broke
    before the answer came: a tuple of exception classes.
``defects`` and ``arm(name)``
    known faults that can be armed, by name with a line that explains each.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints, overload

import msgspec

from isomodel.targets.hooks import check_hooks
from isomodel.targets.settings import RUNTIMES, Settings, settings_of
from isomodel.values.errors import BadInput
from isomodel.values.schedule import RuntimeName

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Method = TypeVar("Method", bound=Callable[..., Any])

USERS = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")

_SECRET = "isomodel.secret"

Secret = Annotated[str, _SECRET]
"""An argument that isomodel fills with an unforgeable marker of the acting user."""


class Ranked(msgspec.Struct, frozen=True):
    """A number of which a user may see only the order (a global sequence number)."""

    value: float


class Opaque(msgspec.Struct, frozen=True):
    """An identifier from outside the controlled streams: only equality is compared."""

    value: str


class Resource(msgspec.Struct, frozen=True):
    """A resource shared by design, whose refusals are inputs, not interference, when justified.

    ``owner`` is the object that has the ``acquire`` method (and ``release``, where units come
    back); ``acquire`` raises ``refuses`` when none of the ``capacity`` units is free. A refusal
    is justified while every unit is held by an operation still running, or for a handle not yet
    ended, or is on its way to another request, or is being made anew by work that belongs to no
    user. Otherwise it is a violation: at once if a holder is over, and else if the user is served
    alone. Where units are in use in ways that this cannot see, give ``in_use``, which says how
    many are not free now.
    """

    name: str
    owner: Any
    acquire: str
    refuses: type[BaseException]
    capacity: int
    release: str | None = None
    in_use: Callable[[], int] | None = None


class Argument(msgspec.Struct, frozen=True):
    """One argument of an operation: a secret, a handle of kind ``made``, or a drawn value."""

    name: str
    type: Any
    secret: bool = False
    made: str = ""
    strategy: SearchStrategy[Any] | None = None


class OperationSpec(msgspec.Struct, frozen=True):
    """A declared operation: its arguments, the handle it makes or ends, what it must refuse."""

    name: str
    arguments: tuple[Argument, ...]
    makes: str = ""
    ends: str = ""
    atomic: bool = False
    accepts: Callable[..., bool] | None = None


class TargetSpec(Settings, frozen=True, kw_only=True):
    """A target class, read and checked once."""

    name: str
    cls: type
    operations: Mapping[str, OperationSpec]
    observations: tuple[str, ...]
    runtime: RuntimeName = "asyncio"
    """The runtime it runs on, of those that it declares."""


def on(spec: TargetSpec, runtime: str) -> TargetSpec:
    """The target on one of the runtimes it declares; "" for the first.

    Raises BadInput if it does not declare this one.
    """
    if not runtime:
        return spec
    for known in spec.runtimes:
        if known == runtime:
            return msgspec.structs.replace(spec, runtime=known)
    if runtime not in RUNTIMES:
        raise BadInput(f"runtime {runtime!r} is not known; isomodel has {', '.join(RUNTIMES)}")
    declared = " and ".join(spec.runtimes)
    raise BadInput(
        f'{spec.name}: not declared for runtime "{runtime}", only for {declared}; '
        f'if its code can run there, write `runtime = ("{spec.runtimes[0]}", "{runtime}")`'
    )


class _Options(msgspec.Struct, frozen=True):
    makes: str
    ends: str
    atomic: bool
    accepts: Callable[..., bool] | None
    strategies: dict[str, SearchStrategy[Any]]


@overload
def operation(method: Method, /) -> Method: ...
@overload
def operation(
    *,
    makes: str = "",
    ends: str = "",
    atomic: bool = False,
    accepts: Callable[..., bool] | None = None,
    **strategies: SearchStrategy[Any],
) -> Callable[[Method], Method]: ...


def operation(
    method: Method | None = None,
    /,
    *,
    makes: str = "",
    ends: str = "",
    atomic: bool = False,
    accepts: Callable[..., bool] | None = None,
    **strategies: SearchStrategy[Any],
) -> Method | Callable[[Method], Method]:
    """Declare a method as something a user can do: ``async def name(self, user, ...)``.

    What it returns or raises is what the user observes. ``makes="session"`` keeps the result
    as a handle; an argument named ``session`` of another operation then receives one, and
    ``ends="session"`` says that the operation gives it up. ``atomic``: after an error it must
    be as if it never ran (needs ``state``). ``accepts`` is given the arguments by name (and the
    ``user``, if it has such a parameter) and says whether they are valid; an operation that
    succeeds with others breaks *validation*.
    Further keywords are Hypothesis strategies for arguments; those of common types need none.
    """
    options = _Options(makes, ends, atomic, accepts, strategies)

    def mark(function: Method) -> Method:
        function.__isomodel_operation__ = options  # type: ignore[attr-defined]
        return function

    return mark if method is None else mark(method)


def observe(method: Method) -> Method:
    """Declare a method as a final check: what ``user`` can see after the last operation."""
    method.__isomodel_observe__ = True  # type: ignore[attr-defined]
    return method


def spec_of(cls: type, name: str | None = None) -> TargetSpec:
    """Read and check a target class; ``name`` is how the user referred to it.

    Raises BadInput if it has no operation or no observable result, or if an argument has no
    strategy, a strategy no argument, or a handle no maker.
    """
    name = name or f"{cls.__module__}:{_bound_name(cls)}"
    marked = {
        key: member.__isomodel_operation__
        for key, member in inspect.getmembers(cls)
        if hasattr(member, "__isomodel_operation__")
    }
    if not marked:
        raise BadInput(f"{name}: declares no operation; decorate a method with @operation")
    kinds = {options.makes for options in marked.values() if options.makes}
    operations = {
        key: _operation_spec(name, cls, key, options, kinds) for key, options in marked.items()
    }
    observations = tuple(
        key for key, member in inspect.getmembers(cls) if hasattr(member, "__isomodel_observe__")
    )
    settings = settings_of(name, cls)
    threads = settings.runtimes == ("threads",)
    for key in (*marked, *observations):
        if not threads and not inspect.iscoroutinefunction(getattr(cls, key)):
            raise BadInput(
                f"{name}: {key} is not a coroutine; write `async def {key}`, "
                'or `runtime = "threads"` to have it run in a thread'
            )
    for key in observations:
        _check_observation(name, key, getattr(cls, key))
    check_hooks(name, cls, threads=threads)
    return TargetSpec(
        name=name,
        cls=cls,
        operations=operations,
        observations=observations,
        runtime=settings.runtimes[0],
        **msgspec.structs.asdict(settings),
    )


def _check_observation(target: str, name: str, method: Any) -> None:
    try:
        inspect.signature(method).bind(None, "user")
    except TypeError as error:
        raise BadInput(
            f"{target}: {name} cannot be called ({error}); write `async def {name}(self, user)`"
        ) from None


def _bound_name(cls: type) -> str:
    """The name under which its module knows the class: one made by a call cannot tell itself."""
    module = sys.modules.get(cls.__module__)
    names = [name for name, value in vars(module).items() if value is cls] if module else []
    return cls.__qualname__ if cls.__name__ in names else next(iter(names), cls.__qualname__)


def _operation_spec(
    target: str, cls: type, name: str, options: _Options, kinds: set[str]
) -> OperationSpec:
    method = getattr(cls, name)
    try:
        hints = get_type_hints(method, include_extras=True)
    except NameError as error:
        raise BadInput(f"{target}: an annotation of {name} is not known ({error})") from None
    parameters = list(inspect.signature(method).parameters)[1:]
    if not parameters:
        raise BadInput(f"{target}: {name} takes no user; write `async def {name}(self, user, ...)`")
    names = parameters[1:]
    for unknown in options.strategies.keys() - set(names):
        raise BadInput(f"{target}: {name} has a strategy for {unknown!r} but no such argument")
    if options.ends and options.ends not in names:
        raise BadInput(f"{target}: {name} ends {options.ends!r} but has no argument of that name")
    arguments = tuple(
        _argument(target, name, key, hints.get(key, Any), options.strategies.get(key), kinds)
        for key in names
    )
    return OperationSpec(
        name, arguments, options.makes, options.ends, options.atomic, options.accepts
    )


def _argument(
    target: str,
    operation_name: str,
    name: str,
    hint: Any,
    strategy: SearchStrategy[Any] | None,
    kinds: set[str],
) -> Argument:
    if strategy is not None:
        return Argument(name, hint, strategy=strategy)
    if _SECRET in getattr(hint, "__metadata__", ()):
        return Argument(name, str, secret=True)
    if name in kinds:
        return Argument(name, Any, made=name)
    # imported here: whoever only has the pytest plugin loaded shall not pay for Hypothesis
    from hypothesis import strategies as st
    from hypothesis.errors import HypothesisException

    try:
        strategy = None if hint is Any else st.from_type(hint)
        if strategy is not None:
            strategy.validate()
    except (HypothesisException, TypeError, NameError):
        strategy = None
    if strategy is None:
        raise BadInput(
            f"{target}: argument {name!r} of {operation_name} has no strategy; "
            f"write @operation({name}=st....) or annotate it with Secret or a plain type"
        )
    return Argument(name, hint, strategy=strategy)
