"""414-16: an authentication token is reused for another user.

identity: bob, presenting 'token-52ac1c74d7a273acef2371178cd3f779', was taken for alice.

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="identity",
    at="whoami",
    defects=["414-16"],
    fidelity="stock",
    operations=[
        do("alice.1", "call"),
        do("bob.1", "call"),
    ],
    schedule=[
        # First, bob.1 starts, too.
        switch(after="", step=0, to="bob.1 start 0", nth=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
