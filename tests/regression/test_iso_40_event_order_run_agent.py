"""iso-40: an overflow during a disconnect goes to the dead connection.

event order: delivery of event
request-607023aea3ea40b9a858b5d25dbd5a33/4@ws-52ac1c74d7a243acaf2371178cd3f779 to
ws-52ac1c74d7a243acaf2371178cd3f779 came after it had been disconnected.

1 user, 1 operation, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, fail, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="event order",
    at="run_agent",
    defects=["iso-40"],
    fidelity="stock",
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-1-0fe3232b"),
    ],
    schedule=[
        # When alice.1 has taken 5 steps, the tool search of alice.1 arrives.
        switch(after="alice.1", step=5, to="alice.1 tool search 0"),
    ],
    faults=[
        # The I/O number 3 of alice.1 fails.
        fail("alice.1", io=3),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
