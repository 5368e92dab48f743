"""iso-27: a request answers with what the last request read.

identity: alice, presenting 'token-52ac1c74d7a273acef2371178cd3f779', was taken for bob.

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="identity",
    at="call",
    defects=["iso-27"],
    fidelity="stock",
    operations=[
        do("alice.1", "call"),
        do("bob.1", "call"),
    ],
    schedule=[
        # When alice.1 has taken 3 steps, bob.1 starts.
        switch(after="alice.1", step=3, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
