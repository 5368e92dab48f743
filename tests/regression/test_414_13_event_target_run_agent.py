"""414-13: a pooled connection is reused with a stale owner.

event target: agent_started event
request-a9ad0f5c9bb64be6bcac04ab68b5dd56/1@ws-141f7cf3d9ec46968348ae6bd9dcd925 was sent to alice
but was delivered to bob.

2 users, 3 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="event target",
    at="run_agent",
    defects=["414-13"],
    fidelity="stock",
    operations=[
        do("alice.1", "disconnect"),
        do("alice.2", "run_agent", task="alice's-secret-2-c14a0d09"),
        do("bob.1", "disconnect"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, bob.1 starts.
        switch(after="alice.1", step=1, to="bob.1 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
