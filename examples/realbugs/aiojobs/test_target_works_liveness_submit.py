"""liveness broke in submit.

liveness: alice.3 (submit) of alice never ends: _wait_failed waits at Scheduler._wait_failed >
Queue.get; alice.3 waits at Works.submit > Scheduler.spawn > Queue.put.

1 user, 3 operations, 1 switch, no fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, do, switch

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
    schedule=[
        # When alice.1/work has taken 1 step, alice.2 starts.
        switch(after="alice.1/work", step=1, to="alice.2 start 0"),
        # When alice.2 has taken 1 step, alice.3 starts.
        switch(after="alice.2", step=1, to="alice.3 start 0"),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
