"""A service that keeps its users' notes through databases.Database."""

from __future__ import annotations

from databases import Database
from memory_backend import INSERT, URL

from isomodel import Secret, observe, operation


class Abort(Exception):
    """A user changes its mind in the middle of a transaction."""


class Notes:
    """Users who write to one table."""

    async def start(self) -> None:
        """Connect, and write a first row, as a service does that prepares its tables."""
        self.database = Database(URL)
        await self.database.connect()
        await self.database.execute(INSERT, {"owner": "nobody", "text": "welcome"})

    async def stop(self) -> None:
        """Disconnect."""
        await self.database.disconnect()

    @operation
    async def write(self, user: str, text: Secret) -> None:
        """Write a note: committed when this returns."""
        await self.database.execute(INSERT, {"owner": user, "text": text})

    @operation
    async def change(self, user: str, text: Secret, abort: bool) -> None:
        """Write a note in a transaction; all of it is undone where I change my mind."""
        async with self.database.transaction():
            await self.database.execute(INSERT, {"owner": user, "text": text})
            if abort:
                raise Abort

    @observe
    async def notes(self, user: str) -> list[str]:
        """My notes."""
        return [row["text"] for row in self.database._backend.rows if row["owner"] == user]
