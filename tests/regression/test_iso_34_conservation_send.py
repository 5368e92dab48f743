"""iso-34: a message is taken for a repetition of somebody else's.

conservation: event
request-a9ad0f5c9bb64be6bcac04ab68b5dd56/1@ws-52ac1c74d7a243acaf2371178cd3f779 for alice was
lost: neither delivered nor dropped (in alice.2).

1 user, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="conservation",
    at="send",
    defects=["iso-34"],
    fidelity="stock",
    operations=[
        do("alice.1", "send", times=1, message="alice's-secret-1-0fe3232b"),
        do("alice.2", "send", times=1, message="alice's-secret-2-c14a0d09"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
