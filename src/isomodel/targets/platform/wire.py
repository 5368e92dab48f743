"""What client and server say to each other: one JSON object a WebSocket message."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec


class Request(msgspec.Struct, frozen=True, tag="request"):
    """Do this; ``id`` is the client's own number for it."""

    id: int
    do: str
    args: dict[str, Any] = {}


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Nobody waits for the answer to this request any more."""

    id: int


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """So many events have been taken since the connection was made: there is room for more."""

    count: int


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """What a request came to."""

    id: int
    value: Any = None


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """Why a request failed."""

    id: int
    error: str
    message: str


class Pushed(msgspec.Struct, frozen=True, tag="event"):
    """An event for the user's clients."""

    id: str
    kind: str
    run: str
    payload: str


FromClient: TypeAlias = Request | Cancel | Taken
FromServer: TypeAlias = Reply | Failure | Pushed

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient)
_from_server: msgspec.json.Decoder[FromServer] = msgspec.json.Decoder(FromServer)


def encoded(message: FromClient | FromServer) -> str:
    """The message as text."""
    return _encoder.encode(message).decode()


def from_client(text: str | bytes) -> FromClient:
    """What a client said; raises ValueError if that is none of the messages."""
    return _from_client.decode(text)


def from_server(text: str | bytes) -> FromServer:
    """What a server said; raises ValueError if that is none of the messages."""
    return _from_server.decode(text)
