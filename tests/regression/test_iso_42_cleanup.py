"""iso-42: a slot is lost on a cancellation.

cleanup: slot of the connection pool is left after all users have left.

1 user, 1 operation, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="cleanup",
    at="",
    defects=["iso-42"],
    fidelity="stock",
    operations=[
        do("alice.1", "open_session"),
    ],
    faults=[
        # alice.1 is cancelled after 2 steps.
        cancel("alice.1", after=2),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
