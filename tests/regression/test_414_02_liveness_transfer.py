"""414-02: the connection pool is exhausted and never recovers.

liveness: alice.3 (transfer) of alice never ends: alice.3 waits at FactoryLayer.transfer >
Layer.transfer > RequestScopedSessionManager.create_session > SessionPool.acquire >
Guards._asynchronous.<locals>.guarded > Slots.take > PatientSlots._wait > Semaphore.acquire.

1 user, 3 operations, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="liveness",
    at="transfer",
    defects=["414-02"],
    fidelity="stock",
    operations=[
        do("alice.1", "transfer", amount=9),
        do("alice.2", "transfer", amount=9),
        do("alice.3", "transfer", amount=1),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
