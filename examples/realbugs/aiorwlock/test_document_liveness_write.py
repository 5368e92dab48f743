"""liveness broke in write.

liveness: alice.2 (write) of alice never ends: alice.2 waits at Document.write >
_ContextManagerMixin.__aenter__ > _WriterLock.acquire > _RWLockCore.acquire_write.

1 user, 3 operations, 1 switch, 1 fault; found under stock: only orders the stock asyncio loop
can produce. It showed on the ordinary event loop, too.
"""

from isomodel.testing import Story, beside, cancel, do, switch

STORY = Story(
    target="target:Document",
    property="liveness",
    at="write",
    fidelity="stock",
    operations=[
        do("alice.1", "write"),
        beside("alice.2", "write"),
        beside("alice.3", "read"),
    ],
    schedule=[
        # When alice.1 has taken 2 steps, alice.2 starts.
        switch(after="alice.1", step=2, to="alice.2 start 0"),
    ],
    faults=[
        # alice.3 is cancelled right behind its first step.
        cancel("alice.3", after=0),
    ],
)


def test_the_story_holds() -> None:
    STORY.holds()
