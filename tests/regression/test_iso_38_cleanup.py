"""iso-38: two reconnects at once are crossed.

cleanup: transport still open of alice is left after all users have left.

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="cleanup",
    at="",
    defects=["iso-38"],
    fidelity="stock",
    operations=[
        do("alice.1", "reconnect"),
        beside("alice.2", "reconnect"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, alice.2 starts.
        switch(after="alice.1", step=1, to="alice.2 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
