"""aiocache's decorators over its memory cache, under the kit."""

from __future__ import annotations

from typing import Any

from aiocache import SimpleMemoryCache, cached, cached_stampede

from isomodel import kits


class Memory(SimpleMemoryCache):
    """A memory cache of its own: the original keeps its values in the class."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._cache: dict[str, Any] = {}
        self._handlers: dict[str, Any] = {}


@kits.cache()
def plain(load: Any) -> Any:
    """Load what is not there."""
    return cached(cache=Memory)(load)


@kits.cache(ttl=8.0)
def expiring(load: Any) -> Any:
    """Values are good for a while."""
    return cached(cache=Memory, ttl=8)(load)


@kits.cache()
def stampede(load: Any) -> Any:
    """One loads, and the others wait for it until its lease ends."""
    return cached_stampede(cache=Memory, lease=2)(load)
