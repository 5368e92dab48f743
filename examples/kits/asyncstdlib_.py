"""asyncstdlib's cache under the kit."""

from __future__ import annotations

from typing import Any

from asyncstdlib import lru_cache

from isomodel import kits


@kits.cache(forget=lambda get, key: get.cache_discard(key))
def bounded(load: Any) -> Any:
    """The two values used last are kept; nothing is said of loading one twice."""
    return lru_cache(maxsize=2)(load)


KNOWN = {"bounded": [("promise", "what was forgotten", "docs/findings/asyncstdlib-discard.md")]}
