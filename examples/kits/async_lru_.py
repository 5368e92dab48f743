"""async-lru's cache under the kit."""

from __future__ import annotations

from typing import Any

from async_lru import alru_cache

from isomodel import kits


@kits.cache(single_flight=True, forget=lambda get, key: get.cache_invalidate(key))
def unbounded(load: Any) -> Any:
    """Everything is kept."""
    return alru_cache(maxsize=None)(load)


@kits.cache(single_flight=True, ttl=8.0)
def expiring(load: Any) -> Any:
    """Values are good for a while."""
    return alru_cache(maxsize=None, ttl=8.0)(load)


@kits.cache(single_flight=True)
def bounded(load: Any) -> Any:
    """The two values used last are kept."""
    return alru_cache(maxsize=2)(load)


KNOWN = {"bounded": [("limits", "concurrent loads", "docs/findings/async-lru-eviction.md")]}
