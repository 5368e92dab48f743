"""A document that many may read, or one may write, under aiorwlock's RWLock."""

from __future__ import annotations

from aiorwlock import RWLock

import isomodel
from isomodel import operation


class Document:
    """Users of one document."""

    async def start(self) -> None:
        """Make the lock."""
        self.lock = RWLock()
        self.writing = False

    @operation
    async def read(self, user: str) -> bool:
        """Read; whether nobody wrote meanwhile."""
        async with self.lock.reader_lock:
            before = self.writing
            await isomodel.io("read")
            return not (before or self.writing)

    @operation
    async def write(self, user: str) -> str:
        """Write."""
        async with self.lock.writer_lock:
            self.writing = True
            try:
                await isomodel.io("write")
            finally:
                self.writing = False
        return "written"
