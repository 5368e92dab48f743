"""iso-23: a default that can be changed is shared by all requests.

no leaked secret: bob saw alice's secret "alice's-secret-1-0fe3232b", given to alice.1, in bob.1
(create_context): "alice's-secret-1-0fe3232b".

2 users, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="no leaked secret",
    at="create_context",
    defects=["iso-23"],
    fidelity="stock",
    operations=[
        do("alice.1", "create_context", user_id="me", tag="alice's-secret-1-0fe3232b"),
        do("bob.1", "create_context", user_id="me", tag="bob's-secret-1-8115f613"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
