"""iso-18: the cancellation of one who waits poisons what is loaded for all.

noninterference: alice sees something else when bob acts too.

2 users, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="noninterference",
    at="run_agent",
    defects=["iso-18"],
    fidelity="stock",
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-1-0fe3232b"),
        do("bob.1", "run_agent", task="bob's-secret-1-8115f613"),
    ],
    faults=[
        # bob.1 is cancelled after 1 step.
        cancel("bob.1", after=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
