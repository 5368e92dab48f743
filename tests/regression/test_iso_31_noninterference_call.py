"""iso-31: the burst of one user uses up the limit of another.

noninterference: bob sees something else when alice acts too.

2 users, 4 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="noninterference",
    at="call",
    defects=["iso-31"],
    fidelity="stock",
    operations=[
        do("alice.1", "call"),
        do("alice.2", "call"),
        do("bob.1", "call"),
        do("bob.2", "call"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
