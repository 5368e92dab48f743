"""iso-48: a cancelled run cleans up the newer one.

noninterference: alice sees something else when bob acts too.

2 users, 2 operations, 1 switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, cancel, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="noninterference",
    at="run_agent",
    defects=["iso-48"],
    fidelity="stock",
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-1-0fe3232b"),
        do("bob.1", "run_agent", task="bob's-secret-1-8115f613"),
    ],
    schedule=[
        # When bob.1 has taken 3 steps, the put of alice.1 arrives.
        switch(after="bob.1", step=3, to="alice.1 put 0"),
    ],
    faults=[
        # bob.1 is cancelled after 3 steps.
        cancel("bob.1", after=3),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
