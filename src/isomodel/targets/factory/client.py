"""Clients: what each user keeps at home, and holds against what the layer does for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from isomodel.targets.factory.account import Account, expect
from isomodel.targets.factory.backends import Event
from isomodel.targets.factory.errors import SessionBusy, SessionClosed
from isomodel.targets.factory.layer import Layer
from isomodel.targets.factory.sessions import Session


class Client:
    """What arrived, the token, the sessions with when they were opened, and the account."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.conversation = f"home-of-{user}"
        self.inbox: list[Event] = []
        self.token: str | None = None
        self.sessions: dict[Session, float] = {}
        self.account = Account()
        self._doubtful: set[Session] = set()

    @contextmanager
    def using(self, session: Session, ttl: float) -> Iterator[None]:
        """A statement: the session serves it while nothing has ended it, one at a time."""
        now = asyncio.get_running_loop().time
        try:
            with self.account.one_of(session.id, 1, SessionBusy):
                yield
        except SessionBusy:
            raise
        except BaseException as error:
            if isinstance(error, SessionClosed):
                over = session in self._doubtful or now() - self.sessions[session] >= ttl
                expect(over, "an open session serves", str(error))
            self._doubtful.add(session)
            raise

    def gives_up(self, *sessions: Session) -> None:
        """These sessions end, or what they hang on does."""
        self._doubtful.update(sessions)

    def settled(self, layer: Layer, now: float) -> None:
        """What holds when nothing of the user is under way any more."""
        workspace = layer.workspaces.get(self.user)
        alive = 0 if workspace is None else workspace.agents.alive
        expect(not alive, "a run that is over leaves no agent", f"{alive} left")
        contexts = [each for each in layer.contexts.live.values() if each.user_id == self.user]
        over = [each for each in contexts if each.request_id not in layer.sessions.open]
        expect(not over, "a request that is over leaves no context", f"{len(over)} left")
        for session, since in self.sessions.items():
            late = now - since > layer.limits.context_ttl
            expect(session.closed or not late, "a session ends in time", "it is still open")
