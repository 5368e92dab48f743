"""iso-19: the one who loads for the others is cancelled, and they wait for ever.

liveness: alice.2 (run_agent) of alice never ends: alice.2 waits at FactoryLayer.run_agent >
Layer.run_agent > LedGuide.text.

1 user, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="liveness",
    at="run_agent",
    defects=["iso-19"],
    fidelity="stock",
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-1-0fe3232b"),
        do("alice.2", "run_agent", task="alice's-secret-2-c14a0d09"),
    ],
    faults=[
        # alice.1 is cancelled after 1 step.
        cancel("alice.1", after=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
