"""iso-21: two users collide in a key made by joining names.

no leaked secret: bob saw alice's secret "alice's-secret-1-0fe3232b", given to alice.1, in
bob.stored (stored): "alice's-secret-1-0fe3232b".

2 users, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="no leaked secret",
    at="stored",
    defects=["iso-21"],
    fidelity="stock",
    operations=[
        do("alice.1", "save", about="bob", memory="alice's-secret-1-0fe3232b"),
        do("bob.1", "save", about="bob", memory="bob's-secret-1-8115f613"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
