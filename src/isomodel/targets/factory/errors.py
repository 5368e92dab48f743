"""The errors a user of the layer can meet, each typed, none naming another user."""

from __future__ import annotations


class LayerError(Exception):
    """Base of every error the layer raises on purpose."""


class InvalidId(LayerError):
    """An identifier is empty, blank or a placeholder."""


class ContextExpired(LayerError):
    """The request's context has been closed; nothing may be done in its name any more."""


class UnknownAgent(LayerError):
    """No agent has this name."""


class TooManyAgents(LayerError):
    """The user already runs as many agents as one user may."""


class ToolFailed(LayerError):
    """A tool could not be executed."""


class IllegalEvent(LayerError):
    """An event was emitted out of the life cycle of its run."""


class TransportLost(LayerError):
    """The connection to the client broke."""


class TooManyConnections(LayerError):
    """The user already has as many connections as one user may."""


class NoConnection(LayerError):
    """There is no such connection to go on with: it has ended."""


class PoolExhausted(LayerError):
    """No database connection became free within the time a request waits for one."""


class SessionClosed(LayerError):
    """The session has been closed, by its owner or because its context expired."""


class SessionBusy(LayerError):
    """The session is still busy with another statement: it serves one at a time."""


class DatabaseError(LayerError):
    """The database refused or lost a statement."""


class StoreError(LayerError):
    """The key-value store refused or lost a command."""


class Overdrawn(LayerError):
    """The account does not hold this amount."""


class InvalidToken(LayerError):
    """The token is unknown, revoked or expired."""


class RateLimited(LayerError):
    """The user made more calls than one user may within the window."""


class AccessDenied(LayerError):
    """Only the owner may read or write this."""
