"""Context-local values under the kit: asgiref's Local, structlog's context variables."""

from __future__ import annotations

from typing import Any

import structlog
from asgiref.local import Local

from isomodel import kits


@kits.context(
    set=lambda local, value: setattr(local, "value", value),
    get=lambda local: local.value,
    clear=lambda local: delattr(local, "value"),
)
def asgiref_local() -> Any:
    """A Local as Django uses it."""
    return Local()


@kits.context(
    set=lambda local, value: setattr(local, "value", value),
    get=lambda local: local.value,
    clear=lambda local: delattr(local, "value"),
)
def asgiref_thread_critical() -> Any:
    """A Local that no other thread may see."""
    return Local(thread_critical=True)


@kits.context(
    set=lambda log, value: log.bind_contextvars(value=value),
    get=lambda log: log.get_contextvars().get("value"),
    clear=lambda log: log.clear_contextvars(),
)
def structlog_contextvars() -> Any:
    """What log lines carry."""
    return structlog.contextvars
