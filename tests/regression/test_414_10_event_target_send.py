"""414-10: an event is delivered to the wrong user under load.

event target: message event
request-8203cc08e4084796adc01aaaeb36a89c/1@ws-141f7cf3d9ec46968348ae6bd9dcd925 was sent to bob
but was delivered to alice.

2 users, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="event target",
    at="send",
    defects=["414-10"],
    fidelity="stock",
    operations=[
        do("alice.1", "send", message="alice's-secret-1-0fe3232b", times=1),
        do("bob.1", "send", message="bob's-secret-1-8115f613", times=1),
    ],
    schedule=[
        # When alice.1/_write has taken 1 step, bob.1 starts.
        switch(after="alice.1/_write", step=1, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
