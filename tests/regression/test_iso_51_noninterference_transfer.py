"""iso-51: an error carries the data of another user.

noninterference: bob sees something else when alice acts too.

2 users, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="noninterference",
    at="transfer",
    defects=["iso-51"],
    fidelity="stock",
    operations=[
        do("alice.1", "transfer", amount=1),
        do("bob.1", "transfer", amount=9),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
