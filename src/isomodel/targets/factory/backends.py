"""What the layer needs from outside: the interfaces that in-memory and live back ends implement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from isomodel.values.facts import Fact


def _ignore(*_: Any) -> None:
    """Do nothing: what a live service passes where it keeps no audit."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Where components report facts, and objects that must be gone in the end.

    What is started inside a ``nobodys`` block is work for all users, and no single user's.
    """

    note: Callable[[Fact], None] = _ignore
    watch: Callable[[Any, str], None] = _ignore
    nobodys: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True, slots=True)
class Event:
    """One message to a user's clients; ``run`` groups the events of one agent run."""

    id: str
    kind: str
    run: str
    payload: str


class Transport(Protocol):
    """The server's end of one client connection."""

    async def open(self) -> None:
        """Finish the handshake; raises TransportLost."""

    async def drain(self) -> None:
        """Wait until the client can take more; raises TransportLost."""

    def write(self, batch: Sequence[tuple[str, Event]]) -> None:
        """Hand over events with their delivery ids, after ``drain``."""

    def close(self) -> None:
        """Close at once; may be called twice."""


class DatabaseConnection(Protocol):
    """One connection to the database; a transaction is invisible until it is committed."""

    closed: bool

    async def ping(self) -> None:
        """Connect, or check that a pooled connection still lives; raises DatabaseError."""

    def begin(self, transaction: str) -> None:
        """Open a transaction; the first statement carries it to the server."""

    async def insert(self, user: str, text: str) -> None:
        """Add a row of this user; raises DatabaseError."""

    async def add(self, user: str, account: str, amount: int) -> int:
        """Change an account and return its new balance; raises DatabaseError."""

    async def rows(self, user: str) -> list[str]:
        """Return the rows of this user; raises DatabaseError."""

    async def commit(self) -> None:
        """Make the transaction durable; raises DatabaseError and then has no effect."""

    def terminate(self) -> None:
        """Drop the connection at once; the server rolls back what was open."""


class Database(Protocol):
    """Makes connections."""

    def connection(self) -> DatabaseConnection:
        """Return a new connection, not yet connected."""


class KeyValue(Protocol):
    """A store of values by key; every command is atomic and raises StoreError."""

    async def get(self, key: Any) -> Any:
        """Return the value, or None."""

    async def put(self, key: Any, value: Any) -> None:
        """Set the value."""

    async def append(self, key: Any, item: Any) -> None:
        """Add an item to the tuple at this key."""

    async def discard(self, key: Any) -> None:
        """Remove the key if it is there."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token stands for, and in which conversation."""

    user: str
    session: str


class TokenStore(Protocol):
    """Tokens and whom they identify; every command is atomic and raises StoreError."""

    async def put(self, token: str, identity: Identity) -> None:
        """Make this token stand for this identity."""

    async def get(self, token: str) -> Identity | None:
        """Return the identity, or None for an unknown token."""

    async def rotate(self, old: str, new: str) -> Identity | None:
        """Let ``new`` stand for what ``old`` does; the token before ``old`` dies, ``old`` stays.

        A call already under way with ``old`` is thus not cut off.
        """

    async def revoke(self, user: str) -> None:
        """Forget every token of this user."""


class Tools(Protocol):
    """The tools agents may call."""

    async def call(self, name: str, argument: str) -> str:
        """Run a tool; raises ToolFailed."""


class Prompts(Protocol):
    """The prompts agents are made from."""

    async def load(self, name: str) -> str:
        """Return the prompt of this agent, or about the "tools"; raises StoreError."""


@dataclass(frozen=True, slots=True)
class Backends:
    """Everything outside the layer."""

    database: Database
    requests: KeyValue
    state: KeyValue
    analytics: KeyValue
    tokens: TokenStore
    tools: Tools
    prompts: Prompts
    audit: Audit
    log: Callable[[str, str], None] = _ignore
    """Takes a user and a line of the log; never waits."""
