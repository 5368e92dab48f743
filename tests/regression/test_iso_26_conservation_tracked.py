"""iso-26: an analytics row loses its tag when it is tried again.

conservation: counter events of alice shows 0 after counts of 1.

1 user, 1 operation, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, fail

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="conservation",
    at="tracked",
    defects=["iso-26"],
    fidelity="stock",
    operations=[
        do("alice.1", "track", what="alice's-secret-1-0fe3232b"),
    ],
    faults=[
        # The I/O number 0 of alice.1 fails.
        fail("alice.1", io=0),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
