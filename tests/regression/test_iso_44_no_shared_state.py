"""iso-44: clean-up runs twice.

no shared state: alice and bob share one MemoryConnection:
alice.client.sessions[0]._lease.connection is bob.client.sessions[0]._lease.connection.

2 users, 3 operations, no switch, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="no shared state",
    at="",
    defects=["iso-44"],
    fidelity="stock",
    operations=[
        do("alice.1", "transfer", amount=1),
        do("alice.2", "open_session"),
        do("bob.1", "open_session"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
