"""iso-52: a hand-over is cancelled when half of it is done.

event order: delivery of event
request-a9ad0f5c9bb64be6bcac04ab68b5dd56/1@ws-52ac1c74d7a243acaf2371178cd3f779 to
ws-607023aea3ea40b9a858b5d25dbd5a33 came after it had been disconnected.

1 user, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="event order",
    at="run_agent",
    defects=["iso-52"],
    fidelity="stock",
    operations=[
        do("alice.1", "reconnect"),
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
