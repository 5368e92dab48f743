"""iso-30: a third user makes the first one unknown.

noninterference: alice sees something else when bob, carol act too.

3 users, 3 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="noninterference",
    at="whoami",
    defects=["iso-30"],
    fidelity="stock",
    operations=[
        do("alice.1", "refresh"),
        do("bob.1", "call"),
        do("carol.1", "call"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
