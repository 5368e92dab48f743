"""iso-28: a token is refreshed for the wrong session.

identity: alice, presenting 'token-6858b5d25dbd5a33be6827d1284192f9', was taken for bob.

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="identity",
    at="whoami",
    defects=["iso-28"],
    fidelity="stock",
    operations=[
        do("alice.1", "refresh"),
        do("bob.1", "refresh"),
    ],
    schedule=[
        # When alice.1 has taken 2 steps, bob.1 starts.
        switch(after="alice.1", step=2, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
