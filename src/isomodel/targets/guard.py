"""Resources shared by design: who holds what, and whether a refusal was justified.

The resource's own ``acquire`` and ``release`` are wrapped for one execution. In a projected alone
run a refusal that was justified jointly is repeated as an input, at its recorded place, without
asking the resource.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from isomodel.targets.declare import Resource
from isomodel.values.errors import BadInput
from isomodel.values.execution import Refusal


class Host(Protocol):
    """The execution, as guards see it."""

    def whose(self) -> tuple[str, str]:
        """Label and user of the operation now running."""

    def holds_rightly(self, label: str) -> bool:
        """Whether this operation may still hold a unit."""

    def idles(self) -> int:
        """At how many moments nothing was ready to run."""

    def running(self) -> str:
        """The name of the task that takes a step now."""

    def proceeds(self, task: str, label: str) -> bool:
        """Whether this task of the operation can go on, or waits for an own arrival."""

    def under_repair(self) -> bool:
        """Whether work that belongs to no user, such as a pool's own, is under way."""

    def time(self) -> float:
        """The virtual time, in seconds."""

    def counts(self) -> dict[str, int]:
        """How many timers and I/O of each kind the operation now running has begun."""

    def refused(self) -> None:
        """A justified refusal happens now."""

    def refusal(self, spent: Mapping[str, int]) -> Awaitable[None]:
        """Wait until a refusal that happened jointly is due alone."""


class _Units:
    """Who holds a unit of one resource, who is about to, and when one was last given back."""

    def __init__(self, resource: Resource, host: Host) -> None:
        self.holders: list[tuple[str, Any]] = []
        self.asking: list[tuple[str, str]] = []
        self.freed_at = -1
        self._resource = resource
        self._host = host

    def used(self) -> int:
        """How many are not free now: held, handed over, or being set up by who will hold it."""
        in_use = self._resource.in_use
        known = len(self.holders) + self._coming()
        return known if in_use is None else max(in_use(), known)

    def _coming(self) -> int:
        """How many requests wait for nobody: what they asked for is on its way to them."""
        now = self._host.running()
        return sum(task != now and self._host.proceeds(task, label) for label, task in self.asking)

    def full(self) -> bool:
        """Whether none is free."""
        return self.used() >= self._resource.capacity


class _Request(NamedTuple):
    """One request for a unit: whether none was free when it began, and what its owner had done."""

    key: str
    full: bool
    began: tuple[int, float]
    counts: Mapping[str, int]


class Guards:
    """The declared resources of one execution.

    A unit that was freed in the very moment of a refusal (nothing was idle in between) is told
    from one that lay idle; so is one for which the resource's own work still waits, such as a
    connection that is being made anew, from one that nobody will ever give back. ``forced`` maps
    the key of a request to the refusal it must get.
    """

    def __init__(
        self, resources: list[Resource], host: Host, forced: Mapping[str, Refusal]
    ) -> None:
        self.refusals: list[Refusal] = []
        self._host = host
        self._forced = forced
        self._numbers: dict[str, int] = {}
        for resource in resources:
            self._wrap(resource)

    def _wrap(self, resource: Resource) -> None:
        if not isinstance(resource, Resource):
            raise BadInput(
                f"shared() gave {type(resource).__name__}; give isomodel.Resource(name, owner, ...)"
            )
        acquire = getattr(resource.owner, resource.acquire, None)
        if acquire is None:
            raise BadInput(
                f"shared resource {resource.name!r}: {type(resource.owner).__name__} has no "
                f"method {resource.acquire!r}; name the method that acquires a unit"
            )
        units = _Units(resource, self._host)
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

    def _asynchronous(
        self, resource: Resource, acquire: Callable[..., Any], units: _Units
    ) -> Callable[..., Any]:
        async def guarded(*args: Any, **options: Any) -> Any:
            key = self._key(resource)
            if key in self._forced:
                await self._host.refusal(self._forced[key].spent)
                raise resource.refuses(self._forced[key].error)
            request = self._request(key, units)
            asking = (self._host.whose()[0], self._host.running())
            units.asking.append(asking)
            try:
                unit = await acquire(*args, **options)
            except resource.refuses as error:
                self._refused(resource, request, units, error)
                raise
            finally:
                units.asking.remove(asking)
            units.holders.append((self._host.whose()[0], unit))
            return unit

        return guarded

    def _plain(
        self, resource: Resource, acquire: Callable[..., Any], units: _Units
    ) -> Callable[..., Any]:
        def guarded(*args: Any, **options: Any) -> Any:
            key = self._key(resource)
            if key in self._forced:
                raise resource.refuses(self._forced[key].error)
            request = self._request(key, units)
            try:
                unit = acquire(*args, **options)
            except resource.refuses as error:
                self._refused(resource, request, units, error)
                raise
            units.holders.append((self._host.whose()[0], unit))
            return unit

        return guarded

    def _key(self, resource: Resource) -> str:
        prefix = f"{self._host.whose()[0]} {resource.name}"
        number = self._numbers.get(prefix, 0)
        self._numbers[prefix] = number + 1
        return f"{prefix} {number}"

    def _request(self, key: str, units: _Units) -> _Request:
        return _Request(key, units.full(), self._moment(), self._host.counts())

    def _moment(self) -> tuple[int, float]:
        return self._host.idles(), self._host.time()

    def _refused(
        self, resource: Resource, request: _Request, units: _Units, error: BaseException
    ) -> None:
        label, user = self._host.whose()
        holders = [holder for holder, _ in units.holders]
        over = [holder for holder in holders if not self._host.holds_rightly(holder)]
        waited = request.began != self._moment()
        just_freed = (request.full or waited) and units.freed_at == self._host.idles()
        repaired = waited and self._host.under_repair()
        if over:
            why = f"a unit is held by {', '.join(over)}, which is over"
        elif not units.full():
            why = f"only {units.used()} of {resource.capacity} units were in use"
        else:
            why = f"all {resource.capacity} units were in use"
        justified = (units.full() or just_freed or repaired) and not over
        spent = {
            kind: number - request.counts.get(kind, 0)
            for kind, number in self._host.counts().items()
            if number > request.counts.get(kind, 0)
        }
        if justified and inspect.iscoroutinefunction(getattr(resource.owner, resource.acquire)):
            self._host.refused()
        self.refusals.append(
            Refusal(
                request.key,
                resource.name,
                label,
                user,
                justified,
                why,
                str(error),
                spent,
                overdue=bool(over),
            )
        )

    def _releasing(self, release: Callable[..., Any], units: _Units) -> Callable[..., Any]:
        def released(*args: Any, **options: Any) -> Any:
            label = self._host.whose()[0]
            for index, (holder, unit) in enumerate(units.holders):
                if (args and unit is args[0]) or (not args and holder == label):
                    del units.holders[index]
                    units.freed_at = self._host.idles()
                    break
            return release(*args, **options)

        return released
