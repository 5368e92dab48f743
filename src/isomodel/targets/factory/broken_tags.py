"""Defects of names: keys, ids, tags, and for whom a task works."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, ClassVar

from isomodel.targets.factory.analytics import Analytics
from isomodel.targets.factory.contexts import TAGS, LiveContexts
from isomodel.targets.factory.layer import Parts
from isomodel.targets.factory.logs import RequestLog
from isomodel.targets.factory.state import StateStore


class JoinedKeysStore(StateStore):
    """Makes its keys as names of chat rooms are made: by joining the two names in order."""

    def key(self, owner: str, kind: str) -> Hashable:
        """The same for what alice thinks of bob and what bob thinks of alice."""
        return "-".join(sorted((owner, kind)))


class ClockIdContexts(LiveContexts):
    """Takes the ids of requests from the clock."""

    def new_id(self) -> str:
        """The time, in milliseconds."""
        return f"request-{asyncio.get_running_loop().time():.3f}"


def share_default_tags(parts: Parts) -> Parts:
    """Tags that are added to a default which all contexts share."""

    class SharedTagsContexts(LiveContexts):
        """Copies the default metadata, but not what is in it."""

        _default: ClassVar[dict[str, list[str]]] = {"tags": list(TAGS)}

        def described(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
            """The default metadata, with these tags."""
            values = {**metadata, **copy.copy(self._default)}
            values["tags"].extend(metadata.get("tags", ()))
            return values

    return replace(parts, contexts=SharedTagsContexts)


class SharedFieldsLog(RequestLog):
    """Keeps whom it serves in a dict, and that dict in the context: all tasks inherit it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._fields: ContextVar[dict[str, str]] = ContextVar("fields")
        self._fields.set({"user": ""})

    @contextmanager
    def serving(self, user: str) -> Iterator[None]:
        """Write under this name, until another one is set."""
        self._fields.get()["user"] = user
        yield

    def write(self, line: str) -> None:
        """Write a line for whoever is served."""
        self._sink(self._fields.get()["user"], line)


ACTING: ContextVar[str] = ContextVar("acting", default="")


class BackgroundAnalytics(Analytics):
    """Lets a worker store the rows, which inherits the context of whoever started it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rows: list[str] = []
        self._worker: asyncio.Task[None] | None = None

    async def add(self, user_id: str, what: str) -> None:
        """Store one row of the acting user, soon."""
        ACTING.set(user_id)
        self._rows.append(what)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await asyncio.shield(self._worker)

    async def _work(self) -> None:
        while self._rows:
            await self._store.append(ACTING.get(), self._rows.pop(0))


class LateRetryAnalytics(Analytics):
    """Stores again, with the next row, what was not taken, under the name of that row."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._later: list[str] = []

    async def add(self, user_id: str, what: str) -> None:
        """Store one row, and what had to wait."""
        await super().add(user_id, what)
        while self._later:
            await super().add(user_id, self._later.pop(0))

    async def again(self, user_id: str, what: str) -> None:
        """Let it wait for the next row."""
        self._later.append(what)


def join_keys(parts: Parts) -> Parts:
    """Keys of joined names, by which two users collide."""
    return replace(parts, state=JoinedKeysStore)


def take_ids_from_clock(parts: Parts) -> Parts:
    """Ids that two requests of one moment have in common."""
    return replace(parts, contexts=ClockIdContexts)


def share_log_fields(parts: Parts) -> Parts:
    """A value that can be changed in a ContextVar."""
    return replace(parts, log=SharedFieldsLog)


def outlive_request(parts: Parts) -> Parts:
    """A context that lives on in a task which outlives the request."""
    return replace(parts, analytics=BackgroundAnalytics)


def retry_under_other_name(parts: Parts) -> Parts:
    """Rows that lose their tag when they are stored again."""
    return replace(parts, analytics=LateRetryAnalytics)
