"""iso-50: the failures of one user shut out all.

noninterference: bob sees something else when alice acts too.

2 users, 3 operations, no switch, 2 faults; found under stock: only orders the stock asyncio
loop can produce.
"""

import pytest

from isomodel.testing import Story, beside, cancel, do

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="noninterference",
    at="transfer",
    defects=["iso-50"],
    fidelity="stock",
    operations=[
        do("alice.1", "transfer", amount=1),
        beside("alice.2", "transfer", amount=1),
        do("bob.1", "transfer", amount=1),
    ],
    faults=[
        # alice.1 is cancelled after 2 steps.
        cancel("alice.1", after=2),
        # alice.2 is cancelled after 2 steps.
        cancel("alice.2", after=2),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
