"""What should be gone once all users have left, and is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from isomodel.targets.factory.layer import Layer
from isomodel.targets.factory.memory import MemoryDatabase, MemoryTokens, MemoryTransport
from isomodel.values.execution import Leftover


def leftovers_of(layer: Layer, transports: Iterable[MemoryTransport]) -> Iterator[Leftover]:
    """Everything that is left, by kind."""
    for user in layer.connections.users():
        yield Leftover("connection", "in the routing table", user)
    for context in layer.contexts.live.values():
        yield Leftover("context", "still live", context.user_id)
    for session in layer.sessions.open.values():
        yield Leftover("session", "still open", session.user_id)
    for _ in layer.pool.slots.taken:
        yield Leftover("slot", "of the connection pool")
    database, tokens = layer.backends.database, layer.backends.tokens
    assert isinstance(database, MemoryDatabase)
    assert isinstance(tokens, MemoryTokens)
    if sum(not each.closed for each in database.connections) > layer.pool.idle:
        yield Leftover("database connection", "open, and not in the pool")
    for identity in tokens.known.values():
        yield Leftover("token", "still valid", identity.user)
    for user in layer.workspaces:
        yield Leftover("workspace", "still kept", user)
    for user in layer.rates.users():
        yield Leftover("rate limit", "entry still kept", user)
    for user in layer.profiles.users():
        yield Leftover("profile", "still cached", user)
    for transport in transports:
        if not transport.closed:
            yield Leftover("transport", "still open", transport.user)
