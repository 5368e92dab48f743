"""iso-33: a wake-up reaches the wrong one of those who wait.

liveness: alice.2 (send) of alice never ends: alice.2 waits at FactoryLayer.send > Layer.send >
WebSocketConnectionPool.flush > Channel.flush > wake_wrong_one.<locals>.WakeOne.wait.

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="liveness",
    at="send",
    defects=["iso-33"],
    fidelity="stock",
    operations=[
        do("alice.1", "send", message="alice's-secret-1-0fe3232b", times=1),
        beside("alice.2", "send", message="alice's-secret-2-c14a0d09", times=1),
    ],
    schedule=[
        # When alice.1/_write has taken 1 step, alice.2 starts.
        switch(after="alice.1/_write", step=1, to="alice.2 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
