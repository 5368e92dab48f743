"""iso-29: a lock stays taken when its holder is cancelled.

liveness: alice.2 (refresh) of alice never ends: alice.2 waits at FactoryLayer.refresh >
LockedRefresh.refresh > Lock.acquire.

1 user, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, fail

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="liveness",
    at="refresh",
    defects=["iso-29"],
    fidelity="stock",
    operations=[
        do("alice.1", "refresh"),
        do("alice.2", "refresh"),
    ],
    faults=[
        # The I/O number 1 of alice.1 fails.
        fail("alice.1", io=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
