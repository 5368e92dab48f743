"""414-08: validation is skipped under load.

validation: 'placeholder' was accepted as a user_id, which it is not.

1 user, 2 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce.
"""

import pytest

from isomodel.testing import Story, beside, do, switch

STORY = Story(
    target="isomodel.targets.factory.target:FactoryLayer",
    property="validation",
    at="create_context",
    defects=["414-08"],
    fidelity="stock",
    seed=3734053981,
    operations=[
        do("alice.1", "transfer", amount=2),
        beside("alice.2", "create_context", user_id="placeholder", tag="alice's-secret-2-c14a0d09"),
    ],
    schedule=[
        # When alice.1 has taken 1 step, alice.2 starts.
        switch(after="alice.1", step=1, to="alice.2 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()


@pytest.mark.parametrize("defect", STORY.defects)
def test_the_story_fails_when_armed(defect: str) -> None:
    STORY.fails(armed=defect)
