"""iso-35: a limit is passed because the check and the act are apart.

limits: 3 of connections of alice in use, where 2 is the most.

1 user, 3 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="limits",
    at="connect",
    defects=["iso-35"],
    fidelity="stock",
    operations=[
        do("alice.1", "connect"),
        do("alice.2", "connect"),
        beside("alice.3", "connect"),
    ],
    schedule=[
        # When alice.2 has taken 1 step, alice.3 starts.
        switch(after="alice.2", step=1, to="alice.3 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
