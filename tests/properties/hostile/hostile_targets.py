"""Targets that do to their process what a test of them must survive."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

from isomodel import io, observe, operation


class Calm:
    """Two operations without harm; the hostile targets below add a third."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    @operation
    async def count(self, user: str) -> int:
        await io("count")
        self.counts[user] = self.counts.get(user, 0) + 1
        return self.counts[user]

    @observe
    async def counted(self, user: str) -> int:
        return self.counts.get(user, 0)


class Exits(Calm):
    """Ends the process once two users have met in the middle of it."""

    inside = 0

    @operation
    async def meet(self, user: str) -> str:
        self.inside += 1
        await io("meet")
        if self.inside == 2:
            os._exit(3)
        self.inside -= 1
        return "met nobody"


class Killed(Calm):
    @operation
    async def die(self, user: str) -> str:
        print(f"{user} dies", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        return "alive"


class Spins(Calm):
    @operation
    async def spin(self, user: str) -> str:
        await io("before")
        while True:
            pass


class Locked(Calm):
    """A real lock is held across an await: whoever wants it next blocks the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    @operation
    async def guarded(self, user: str) -> str:
        with self.lock:
            await io("inside")
        return "done"


class Quits(Calm):
    @operation
    async def quit(self, user: str) -> str:
        raise SystemExit(4)


class Stubborn(Calm):
    @operation
    async def stay(self, user: str) -> str:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue


class Endless(Calm):
    @operation
    async def wait(self, user: str) -> str:
        await asyncio.Event().wait()
        return "never"


class NoStart(Calm):
    async def start(self) -> None:
        raise ConnectionError("no server")


class QuitsAtStart(Calm):
    async def start(self) -> None:
        raise SystemExit(5)


class Once(Calm):
    """Ends its first process only."""

    @operation
    async def once(self, user: str) -> str:
        mark = os.environ["HOSTILE_MARK"]
        if not os.path.exists(mark):
            open(mark, "w").close()
            os._exit(6)
        return "fine"


class Leaks(Calm):
    """Shows the last user's name to the next: a finding in the ordinary way."""

    last = ""

    @operation
    async def look(self, user: str) -> str:
        before, self.last = self.last, user
        await io("look")
        return before


class LeaksHere(Leaks):
    """Leaks in processes with one hash seed only."""

    @operation
    async def look(self, user: str) -> str:
        if os.environ.get("PYTHONHASHSEED") == "0":
            return await super().look(user)
        return ""


class Lingers(Calm):
    """Says who it is, and blocks."""

    @operation
    async def linger(self, user: str) -> str:
        with open(os.environ["HOSTILE_MARK"], "w") as file:
            file.write(str(os.getpid()))
        while True:
            pass


class ExitsAlone(Calm):
    """Ends the process where one user acts alone, which no joint execution is."""

    @observe
    async def company(self, user: str) -> int:
        if len(self.counts) == 1:
            os._exit(7)
        return len(self.counts)


class DiesSmaller(ExitsAlone):
    """Hangs; but what is smaller ends the process."""

    @operation
    async def hang(self, user: str) -> None:
        await self.count(user)
        if len(self.counts) > 1:
            await asyncio.Event().wait()
