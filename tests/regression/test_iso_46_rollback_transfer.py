"""iso-46: a rollback undoes what others have written.

rollback: bob.2 did not succeed but changed the state of bob from {'rows': [], 'checking': 2,
'savings': 1} to {'rows': [], 'checking': 3, 'savings': 0}.

2 users, 3 operations, 2 switches, no fault; found under stock: only orders the stock asyncio
loop can produce. It showed on the ordinary event loop, too.
"""

import pytest

from isomodel.testing import Story, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="rollback",
    at="transfer",
    defects=["iso-46"],
    fidelity="stock",
    operations=[
        do("alice.1", "transfer", amount=9),
        do("bob.1", "transfer", amount=1),
        do("bob.2", "transfer", amount=9),
    ],
    schedule=[
        # When alice.1 has taken 3 steps, bob.1 starts.
        switch(after="alice.1", step=3, to="bob.1 start 0"),
        # When bob.2 has taken 1 step, the update of alice.1 arrives.
        switch(after="bob.2", step=1, to="alice.1 update 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
