"""iso-41: a delivery is repeated after an error.

conservation: event
request-607023aea3ea40b9a858b5d25dbd5a33/1@ws-52ac1c74d7a243acaf2371178cd3f779 for alice was
delivered 2 times (in alice.1).

1 user, 1 operation, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, do, fail

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="conservation",
    at="run_agent",
    defects=["iso-41"],
    fidelity="stock",
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-1-0fe3232b"),
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
