"""The crew under way in this process, if any, and whether the caller belongs to it."""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isomodel.engine.threads.crew import Crew


class UnderWay:
    """Holds the crew whose threads run in this process."""

    __slots__ = ("crew",)

    def __init__(self) -> None:
        self.crew: Crew | None = None


here = UnderWay()


def active() -> Crew | None:
    """The crew of the caller: None outside an execution, in real threads, and in our machinery."""
    crew = here.crew
    if crew is None or crew.current is None or crew.os_thread != get_ident():
        return None
    return crew
