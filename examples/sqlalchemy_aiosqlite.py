"""A threaded driver under asyncio: SQLAlchemy's asyncio engine over aiosqlite.

aiosqlite runs each connection in a thread of its own, with a queue between it and the event loop.
Event loop and threads are searched together:

    python examples/sqlalchemy_aiosqlite.py

Two users deposit at the same time, each in a session of their own. Both sessions read the balance
before either writes it: one deposit is lost, and the two statements are named. With the sum made
by the database, none is.
"""

from __future__ import annotations

import asyncio
import tempfile

from sqlalchemy import update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from isomodel.search.threads import explore_threads


class Base(DeclarativeBase):
    """Of the tables."""


class Account(Base):
    """One row for each account."""

    __tablename__ = "account"
    name: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(default=0)


class Bank:
    """A database in a file of its own."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{self.folder.name}/bank.db")
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    async def open(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with self.sessions() as session:
            session.add(Account(name="shared", balance=0))
            await session.commit()

    async def deposit(self, amount: int) -> None:
        async with self.sessions() as session:
            account = await session.get_one(Account, "shared")
            account.balance = account.balance + amount
            await session.commit()

    async def deposit_in_one_statement(self, amount: int) -> None:
        async with self.sessions() as session:
            await session.execute(update(Account).values(balance=Account.balance + amount))
            await session.commit()

    async def close(self) -> int:
        async with self.sessions() as session:
            balance = (await session.get_one(Account, "shared")).balance
        await self.engine.dispose()
        self.folder.cleanup()
        return balance


def two_users_deposit(bank: Bank) -> None:
    """Each reads the balance, and writes it."""

    async def main() -> None:
        await bank.open()
        await asyncio.gather(bank.deposit(10), bank.deposit(5))
        assert await bank.close() == 15, "a deposit is lost"

    asyncio.run(main())


def two_users_deposit_in_one_statement(bank: Bank) -> None:
    """The database adds."""

    async def main() -> None:
        await bank.open()
        await asyncio.gather(bank.deposit_in_one_statement(10), bank.deposit_in_one_statement(5))
        assert await bank.close() == 15, "a deposit is lost"

    asyncio.run(main())


if __name__ == "__main__":
    for program in (two_users_deposit, two_users_deposit_in_one_statement):
        outcome = explore_threads(program, setup=Bank, executions=50)
        print(f"{program.__name__}: {outcome.verdict.status}")
        print(outcome.counterexample or outcome.verdict.reason)
