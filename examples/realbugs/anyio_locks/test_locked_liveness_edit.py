"""liveness broke in edit.

liveness: alice.2 (edit) of alice never ends: alice.2 waits at Locked.edit > Lock.__aenter__ >
Lock.acquire > Event.wait > Event.wait.

1 user, 2 operations, no switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce.
"""

from isomodel.testing import Story, cancel, do

STORY = Story(
    target="target:Locked",
    property="liveness",
    at="edit",
    fidelity="stock",
    operations=[
        do("alice.1", "edit"),
        do("alice.2", "edit"),
    ],
    faults=[
        # alice.1 is cancelled after no step.
        cancel("alice.1", after=0),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
