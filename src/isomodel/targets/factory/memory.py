"""The in-memory back ends: every wait is simulated I/O, every effect follows it in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isomodel.engine.world import acting_as, io, note, watch
from isomodel.targets.factory.backends import Audit, Backends, Event, Identity
from isomodel.targets.factory.errors import DatabaseError, StoreError, ToolFailed, TransportLost
from isomodel.values.facts import (
    Began,
    Broken,
    Connected,
    Delivered,
    Disconnected,
    Ended,
    Issued,
    Used,
    Wrote,
)

OPENING_BALANCE = 3


class MemoryTransport:
    """A client's socket: what is written arrives in the list its user keeps at home."""

    def __init__(self, user: str, connection: str, inbox: list[Event]) -> None:
        self.user = user
        self.connection = connection
        self.closed = False
        self.opened = False
        self._ready = False
        self._inbox = inbox
        note(Connected(user, connection))

    async def open(self) -> None:
        """Finish the handshake."""
        await io("handshake", fails=TransportLost)
        self.opened = True

    async def drain(self) -> None:
        """Wait until the client can take more."""
        await io("send", fails=TransportLost)
        if self.closed:
            note(Broken("nobody waits for a client that is gone", f"{self.connection} is closed"))
        self._ready = True

    def write(self, batch: Sequence[tuple[str, Event]]) -> None:
        """Put the events into the user's inbox."""
        if not (self.opened and self._ready):
            note(Broken("a client is sent what it can take", f"{self.connection} was not ready"))
        self._ready = False
        for delivery, event in batch:
            note(Delivered(delivery, self.user, self.connection))
            self._inbox.append(event)

    def close(self) -> None:
        """Close at once."""
        if not self.closed:
            self.closed = True
            note(Disconnected(self.connection))


class MemoryDatabase:
    """Rows and accounts, by user; ``most`` connections may be open at a time."""

    def __init__(self, most: int = 2) -> None:
        self.most = most
        self.connections: list[MemoryConnection] = []
        self.rows: dict[str, tuple[str, ...]] = {}
        self.accounts: dict[tuple[str, str], int] = {}
        self.connects_with: type[MemoryConnection] = MemoryConnection

    def connection(self) -> MemoryConnection:
        """Return a new connection."""
        self.connections = [each for each in self.connections if not each.closed]
        self.connections.append(self.connects_with(self))
        note(Used("connections of the database", len(self.connections), self.most))
        return self.connections[-1]

    def balance(self, user: str, account: str) -> int:
        """Return the committed balance."""
        opening = OPENING_BALANCE if account == "checking" else 0
        return self.accounts.get((user, account), opening)


class MemoryConnection:
    """Buffers what its transaction writes, and applies it in one step at the commit."""

    def __init__(self, database: MemoryDatabase) -> None:
        self.closed = False
        self.transaction = ""
        self._database = database
        self._connected = False
        self._inserted: list[tuple[str, str]] = []
        self._added: list[tuple[str, str, int]] = []

    async def ping(self) -> None:
        """Connect, or check that the connection lives."""
        self._connected = True
        await self._statement("connect")

    def begin(self, transaction: str) -> None:
        """Open a transaction."""
        self.transaction = transaction
        note(Issued("transaction", transaction))
        note(Began(transaction))

    async def insert(self, user: str, text: str) -> None:
        """Add a row of this user."""
        await self._change("insert")
        self._inserted.append((user, text))
        note(Wrote(self.transaction, text, user))

    async def add(self, user: str, account: str, amount: int) -> int:
        """Change an account and return its new balance."""
        await self._change("update")
        self._added.append((user, account, amount))
        note(Wrote(self.transaction, f"{account} {amount:+d}", user))
        pending = sum(n for who, where, n in self._added if (who, where) == (user, account))
        return self._database.balance(user, account) + pending

    async def rows(self, user: str) -> list[str]:
        """Return the rows of this user, its own uncommitted ones included."""
        await self._statement("select")
        own = [text for who, text in self._inserted if who == user]
        return [*self._database.rows.get(user, ()), *own]

    async def commit(self) -> None:
        """Make the transaction durable."""
        await self._statement("commit")
        database = self._database
        for user, text in self._inserted:
            database.rows[user] = (*database.rows.get(user, ()), text)
        for user, account, amount in self._added:
            database.accounts[user, account] = database.balance(user, account) + amount
        self._forget()
        note(Ended(self.transaction, "commit"))
        self.transaction = ""

    def terminate(self) -> None:
        """Drop the connection; what was open is rolled back."""
        self.closed = True
        self._forget()
        if self.transaction:
            note(Ended(self.transaction, "rollback"))
            self.transaction = ""

    async def _statement(self, name: str) -> None:
        if not self._connected:
            note(Broken("a connection is opened before it is used", f"{name} came first"))
        await io(name, fails=DatabaseError)
        if self.closed:
            raise DatabaseError("the connection was closed")

    async def _change(self, name: str) -> None:
        if not self.transaction:
            note(Broken("changes are made in transactions", f"{name} outside any"))
        await self._statement(name)

    def _forget(self) -> None:
        self._inserted.clear()
        self._added.clear()


class MemoryKeyValue:
    """A dictionary behind I/O."""

    def __init__(self) -> None:
        self.data: dict[Any, Any] = {}

    async def get(self, key: Any) -> Any:
        """Return the value, or None."""
        await io("get", fails=StoreError)
        return self.data.get(key)

    async def put(self, key: Any, value: Any) -> None:
        """Set the value."""
        await io("put", fails=StoreError)
        self.data[key] = value

    async def append(self, key: Any, item: Any) -> None:
        """Add an item to the tuple at this key."""
        await io("append", fails=StoreError)
        self.data[key] = (*self.data.get(key, ()), item)

    async def discard(self, key: Any) -> None:
        """Remove the key if it is there."""
        await io("discard", fails=StoreError)
        self.data.pop(key, None)


class MemoryRequests(MemoryKeyValue):
    """Which user made which request, and what each user made without a look at the others."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, set[str]] = {}

    async def put(self, key: str, value: str) -> None:
        """Record the request ``key`` as one of the user ``value``."""
        await io("put", fails=StoreError)
        before = self.data.get(key)
        if before is not None:
            self._made[before].discard(key)
        self.data[key] = value
        self._made.setdefault(value, set()).add(key)

    def made(self, user: str) -> int:
        """How many requests of this user are recorded."""
        return len(self._made.get(user, ()))


class MemoryTokens:
    """Tokens in order of issue, with whom they identify."""

    def __init__(self) -> None:
        self.known: dict[str, Identity] = {}

    async def put(self, token: str, identity: Identity) -> None:
        """Make this token stand for this identity."""
        await io("put token", fails=StoreError)
        self.known[token] = identity

    async def get(self, token: str) -> Identity | None:
        """Return the identity, or None for an unknown token."""
        await io("get token", fails=StoreError)
        return self.known.get(token)

    async def rotate(self, old: str, new: str) -> Identity | None:
        """Let ``new`` stand for what ``old`` does; ``old`` stays, its predecessors die."""
        await io("rotate token", fails=StoreError)
        identity = self.known.get(old)
        if identity is not None:
            before = [token for token, known in self.known.items() if known == identity]
            for token in before[: before.index(old)]:
                del self.known[token]
            self.known[new] = identity
        return identity

    async def revoke(self, user: str) -> None:
        """Forget every token of this user."""
        await io("revoke tokens", fails=StoreError)
        for token in [token for token, known in self.known.items() if known.user == user]:
            del self.known[token]


class MemoryTools:
    """Tools whose result tells what they were called with."""

    async def call(self, name: str, argument: str) -> str:
        """Run a tool."""
        await io(f"tool {name}", fails=ToolFailed)
        return f"{name}({argument})"


class MemoryPrompts:
    """One prompt for each agent, and one about the tools."""

    async def load(self, name: str) -> str:
        """Return the prompt of this name."""
        await io("load prompt", fails=StoreError)
        return f"Follow what is said of {name}."


class MemoryLog:
    """Lines of the log, by user."""

    def __init__(self) -> None:
        self.lines: dict[str, tuple[str, ...]] = {}

    def __call__(self, user: str, line: str) -> None:
        """Write a line."""
        self.lines[user] = (*self.lines.get(user, ()), line)


def memory_backends() -> Backends:
    """A fresh, empty world in memory, whose audit is the controlled execution."""
    return Backends(
        database=MemoryDatabase(),
        requests=MemoryRequests(),
        state=MemoryKeyValue(),
        analytics=MemoryKeyValue(),
        tokens=MemoryTokens(),
        tools=MemoryTools(),
        prompts=MemoryPrompts(),
        audit=Audit(note, watch, lambda: acting_as("")),
        log=MemoryLog(),
    )
