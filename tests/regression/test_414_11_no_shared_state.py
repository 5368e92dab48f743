"""414-11: one execution engine serves several users.

no shared state: alice and bob share one ExecutionEngine: alice.engine is bob.engine.

2 users, 2 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="no shared state",
    at="",
    defects=["414-11"],
    fidelity="stock",
    operations=[
        do("alice.1", "run_agent", task="alice's-secret-2-c14a0d09"),
        do("bob.1", "run_agent", task="bob's-secret-1-8115f613"),
    ],
    schedule=[
        # When alice.1/_write has taken 1 step, the send of alice.1 arrives.
        switch(after="alice.1/_write", step=1, to="alice.1 send 0"),
        # When alice.1/_write#2 has taken 1 step, the send (number 1) of alice.1 arrives.
        switch(after="alice.1/_write#2", step=1, to="alice.1 send 1"),
        # When bob.1/_write has taken 1 step, the send of bob.1 arrives.
        switch(after="bob.1/_write", step=1, to="bob.1 send 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
