"""414-07: check-then-act race in a factory: duplicate ids, limits exceeded.

uniqueness: agent id agent-1 was issued twice: in alice.1, and again in alice.2.

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="uniqueness",
    at="run_agent",
    defects=["414-07"],
    fidelity="stock",
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-1-0fe3232b"),
        beside("alice.2", "run_agent", task="alice's-secret-2-c14a0d09"),
    ],
    schedule=[
        # When alice.2 has taken 3 steps, the put of alice.1 arrives.
        switch(after="alice.2", step=3, to="alice.1 put 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
