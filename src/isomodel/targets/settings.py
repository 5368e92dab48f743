"""Settings: what a target says of itself in class attributes, read and checked once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from isomodel.values.errors import BadInput
from isomodel.values.schedule import RuntimeName

RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)


class Settings(msgspec.Struct, frozen=True):
    """What can be set, and what holds where nothing is."""

    together: tuple[tuple[str, ...], ...] = ()
    max_users: int = 3
    once: bool = False
    cancels: str = "operations"
    scopes: bool = False
    partitions: bool = False
    uncertain: tuple[type[Exception], ...] = ()
    errors: tuple[type[Exception], ...] | None = None
    """The only errors that its users may meet; None where it does not say."""
    within: tuple[str, ...] | None = None
    """Installed packages in whose code threads are interrupted, beside the target's own; None for
    the small ones that its module names."""
    defects: Mapping[str, str] = {}
    runtimes: tuple[RuntimeName, ...] = ("asyncio",)


def settings_of(name: str, cls: type) -> Settings:
    """The settings of this class, which the user calls ``name``. Raises BadInput."""
    runtimes = _runtimes(name, cls)
    return Settings(
        together=_together(name, cls),
        max_users=_max_users(name, cls),
        once=getattr(cls, "once", False) is True,  # a target may have a method of that name
        cancels=_cancels(name, cls),
        scopes=_scopes(name, cls),
        partitions=bool(getattr(cls, "partitions", False)),
        uncertain=_exceptions(name, cls, "uncertain") or (),
        errors=_exceptions(name, cls, "errors"),
        within=_within(name, cls, runtimes),
        defects=_defects(name, cls),
        runtimes=runtimes,
    )


def _runtimes(name: str, cls: type) -> tuple[RuntimeName, ...]:
    declared = getattr(cls, "runtime", "asyncio")
    if isinstance(declared, str):
        declared = (declared,)
    if not isinstance(declared, tuple) or not declared:
        raise BadInput(f"{name}: runtime is {declared!r}; write {_choices(RUNTIMES)}")
    for each in declared:
        if each not in RUNTIMES:
            raise BadInput(f"{name}: runtime {each!r} is not known; write {_choices(RUNTIMES)}")
    if len(set(declared)) < len(declared):
        raise BadInput(f"{name}: runtime is {declared!r}; name each once")
    if len(declared) > 1 and "threads" in declared:
        raise BadInput(f'{name}: runtime "threads" goes with no other; write it alone')
    if len(declared) > 1 and "trio" in declared:
        both = "to run on asyncio and on trio, a target is written for anyio"
        _need(name, "anyio", f"{both}, and anyio is not installed")
    return declared


def _choices(known: Sequence[str]) -> str:
    return ", ".join(f'"{each}"' for each in known) + ", or a tuple of several"


def _need(name: str, library: str, otherwise: str) -> None:
    """Import it now, and not in the middle of an execution. Raises BadInput, saying this."""
    try:
        importlib.import_module(library)
    except ImportError:
        raise BadInput(f"{name}: {otherwise}") from None


def _together(name: str, cls: type) -> tuple[tuple[str, ...], ...]:
    groups = getattr(cls, "together", ())
    if _is_row(groups) and all(_is_row(group) for group in groups):
        return tuple(tuple(group) for group in groups)
    raise BadInput(f'{name}: together is {groups!r}; write groups of users: (("alice", "bob"),)')


def _is_row(value: Any) -> bool:
    return isinstance(value, (tuple, list, set, frozenset))


def _max_users(name: str, cls: type) -> int:
    users = getattr(cls, "max_users", 3)
    if isinstance(users, int) and users > 0:
        return users
    raise BadInput(f"{name}: max_users is {users!r}; write a number of users, at least 1")


def _cancels(name: str, cls: type) -> str:
    cancels = getattr(cls, "cancels", "operations")
    if cancels not in ("operations", "any"):
        raise BadInput(f'{name}: cancels is {cancels!r}; write "operations" or "any"')
    return str(cancels)


def _exceptions(name: str, cls: type, key: str) -> tuple[type[Exception], ...] | None:
    errors = getattr(cls, key, None)
    if errors is None:
        return None
    if isinstance(errors, tuple) and all(
        isinstance(each, type) and issubclass(each, BaseException) for each in errors
    ):
        return errors
    raise BadInput(f"{name}: {key} is {errors!r}; write a tuple of exception classes")


def _scopes(name: str, cls: type) -> bool:
    if not getattr(cls, "scopes", False):
        return False
    _need(name, "anyio", "scopes needs anyio; install it, or leave scopes out")
    return True


def _within(name: str, cls: type, runtimes: Sequence[RuntimeName]) -> tuple[str, ...] | None:
    within = getattr(cls, "within", None)
    if within is None:
        return None
    if not isinstance(within, tuple) or not all(isinstance(each, str) for each in within):
        raise BadInput(f'{name}: within is {within!r}; write a tuple of names: ("package",)')
    if within and "threads" not in runtimes:
        raise BadInput(f"{name}: within says where threads are interrupted, and there are none")
    for package in within:
        try:
            importlib.import_module(package)  # now, so that its code is there to be rewritten
        except ImportError as error:
            raise BadInput(f"{name}: within names {package!r}: {error}") from None
    return within


def _defects(name: str, cls: type) -> dict[str, str]:
    defects = getattr(cls, "defects", {})
    if not isinstance(defects, Mapping):
        raise BadInput(f"{name}: defects is {defects!r}; write a dict of names to a line on each")
    if defects and not callable(getattr(cls, "arm", None)):
        raise BadInput(f"{name}: defects, and no way to arm them; write `def arm(self, name)`")
    return dict(defects)
