"""liveness broke in submit.

liveness: alice.3 (submit) of alice never ends: _wait_failed waits at Scheduler._wait_failed >
Queue.get; alice.3 waits at Works.submit > Scheduler.spawn > Queue.put.

1 user, 3 operations, no switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, do

STORY = Story(
    target="target:Works",
    property="liveness",
    at="submit",
    fidelity="stock",
    operations=[
        do("alice.1", "submit"),
        do("alice.2", "submit"),
        do("alice.3", "submit"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
