"""Resources shared by design: who holds what, and whether a refusal was justified.

The resource's own ``acquire`` and ``release`` are wrapped for one execution. In a projected alone
run a refusal that was justified jointly is repeated as an input, without asking the resource.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from isomodel.targets.declare import Resource
from isomodel.values.errors import BadInput
from isomodel.values.execution import Refusal


class _Units:
    """Who holds a unit of one resource, and at which idle moment one was last given back."""

    def __init__(self) -> None:
        self.holders: list[tuple[str, Any]] = []
        self.freed_at = -1


class Guards:
    """The declared resources of one execution.

    ``whose`` names the operation now running (label, user); ``holds_rightly`` says whether an
    operation may still hold a unit; ``idles`` counts the moments at which nothing was ready to
    run, so that a unit freed in the very moment of a refusal is told from one that lay idle.
    ``forced`` maps the key of a request to the message of
    the refusal it must get.
    """

    def __init__(
        self,
        resources: list[Resource],
        whose: Callable[[], tuple[str, str]],
        holds_rightly: Callable[[str], bool],
        idles: Callable[[], int],
        forced: Mapping[str, str],
    ) -> None:
        self.refusals: list[Refusal] = []
        self._whose = whose
        self._holds_rightly = holds_rightly
        self._idles = idles
        self._forced = forced
        self._counts: dict[str, int] = {}
        for resource in resources:
            self._wrap(resource)

    def _wrap(self, resource: Resource) -> None:
        acquire = getattr(resource.owner, resource.acquire, None)
        if acquire is None:
            raise BadInput(
                f"shared resource {resource.name!r}: {type(resource.owner).__name__} has no "
                f"method {resource.acquire!r}; name the method that acquires a unit"
            )
        units = _Units()
        wrapped = self._asynchronous if inspect.iscoroutinefunction(acquire) else self._plain
        try:
            setattr(resource.owner, resource.acquire, wrapped(resource, acquire, units))
            if resource.release is not None:
                release = getattr(resource.owner, resource.release)
                setattr(resource.owner, resource.release, self._releasing(release, units))
        except AttributeError:
            raise BadInput(
                f"shared resource {resource.name!r}: cannot wrap the methods of "
                f"{type(resource.owner).__name__} (slots?); declare the object that calls it"
            ) from None

    def _key(self, resource: Resource) -> str:
        prefix = f"{self._whose()[0]} {resource.name}"
        number = self._counts.get(prefix, 0)
        self._counts[prefix] = number + 1
        return f"{prefix} {number}"

    def _asynchronous(
        self, resource: Resource, acquire: Callable[..., Any], units: _Units
    ) -> Callable[..., Any]:
        async def guarded(*args: Any, **options: Any) -> Any:
            key = self._before(resource)
            full = len(units.holders) >= resource.capacity
            try:
                unit = await acquire(*args, **options)
            except resource.refuses as error:
                self._refused(resource, key, units, full, error)
                raise
            units.holders.append((self._whose()[0], unit))
            return unit

        return guarded

    def _plain(
        self, resource: Resource, acquire: Callable[..., Any], units: _Units
    ) -> Callable[..., Any]:
        def guarded(*args: Any, **options: Any) -> Any:
            key = self._before(resource)
            full = len(units.holders) >= resource.capacity
            try:
                unit = acquire(*args, **options)
            except resource.refuses as error:
                self._refused(resource, key, units, full, error)
                raise
            units.holders.append((self._whose()[0], unit))
            return unit

        return guarded

    def _before(self, resource: Resource) -> str:
        key = self._key(resource)
        if key in self._forced:
            raise resource.refuses(self._forced[key])
        return key

    def _refused(
        self, resource: Resource, key: str, units: _Units, was_full: bool, error: BaseException
    ) -> None:
        label, user = self._whose()
        holders = units.holders
        idle = [holder for holder, _ in holders if not self._holds_rightly(holder)]
        full = len(holders) >= resource.capacity
        just_freed = was_full and units.freed_at == self._idles()
        if idle:
            why = f"a unit is held by {', '.join(idle)}, which is over"
        elif not full:
            why = f"only {len(holders)} of {resource.capacity} units were in use"
        else:
            why = f"all {resource.capacity} units were in use"
        justified = (full or just_freed) and not idle
        self.refusals.append(Refusal(key, resource.name, label, user, justified, why, str(error)))

    def _releasing(self, release: Callable[..., Any], units: _Units) -> Callable[..., Any]:
        def released(*args: Any, **options: Any) -> Any:
            label = self._whose()[0]
            for index, (holder, unit) in enumerate(units.holders):
                if (args and unit is args[0]) or (not args and holder == label):
                    del units.holders[index]
                    units.freed_at = self._idles()
                    break
            return release(*args, **options)

        return released
