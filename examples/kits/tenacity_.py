"""tenacity under the kit: one retrying object serves all calls."""

from __future__ import annotations

from typing import Any

import tenacity

from isomodel import kits


@kits.wrapper(attempts=3)
def decorated(call: Any) -> Any:
    """Three attempts with a pause between."""
    return tenacity.retry(
        stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(1), reraise=True
    )(call)


@kits.wrapper(attempts=3)
def iterated(call: Any) -> Any:
    """The same retrying object, iterated over by every call."""
    retrying = tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3))

    async def answer(text: str) -> str:
        async for attempt in retrying.copy():
            with attempt:
                return str(await call(text))
        raise AssertionError

    return answer
