"""iso-37: a late disconnect removes the newer connection.

cleanup: transport still open of alice is left after all users have left.

1 user, 1 operation, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="cleanup",
    at="",
    defects=["iso-37"],
    fidelity="stock",
    operations=[
        do("alice.1", "reconnect"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
