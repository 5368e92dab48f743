"""iso-49: transfers hold a connection while they wait for another.

liveness: alice.1 (transfer) of alice never ends: alice.1 waits at FactoryLayer.transfer >
Layer.transfer > TwoConnectionsSession.transfer > SessionPool.acquire >
Guards._asynchronous.<locals>.guarded > Slots.take > PatientSlots._wait > Semaphore.acquire;
alice.2 waits at FactoryLayer.transfer > Layer.transfer > TwoConnectionsSession.transfer >
SessionPool.acquire > Guards._asynchronous.<locals>.guarded > Slots.take > PatientSlots._wait >
Semaphore.acquire.

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="liveness",
    at="transfer",
    defects=["iso-49"],
    fidelity="stock",
    operations=[
        do("alice.1", "transfer", amount=1),
        beside("alice.2", "transfer", amount=1),
    ],
    schedule=[
        # When alice.1 has taken 2 steps, alice.2 starts.
        switch(after="alice.1", step=2, to="alice.2 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
