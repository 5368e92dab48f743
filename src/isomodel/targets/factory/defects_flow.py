"""Defects of what comes and goes: connections, queues, slots, transactions, clean-up."""

from __future__ import annotations

from isomodel.targets.factory import broken_cleanup, broken_connections
from isomodel.targets.factory.defect import FAULT, ONE, OWN_RACE, OWN_TWO, RACE, THREE, TWO, Defect
from isomodel.values.case import Size

OF_THE_FLOW = (
    Defect(
        "iso-32",
        "a queued message is copied shallowly",
        "envelopes are copied from an empty one, but not the body in them",
        {"no shared state": TWO, "no leaked secret": RACE, "noninterference": RACE},
        broken_connections.copy_shallowly,
    ),
    Defect(
        "iso-33",
        "a wake-up reaches the wrong one of those who wait",
        "progress on any connection wakes whoever has waited longest on all",
        {"liveness": OWN_RACE, "noninterference": RACE},
        broken_connections.wake_wrong_one,
    ),
    Defect(
        "iso-34",
        "a message is taken for a repetition of somebody else's",
        "events are sent once, known by their numbers within their requests",
        {"conservation": OWN_TWO, "noninterference": TWO},
        broken_connections.drop_repeated_numbers,
    ),
    Defect(
        "iso-35",
        "a limit is passed because the check and the act are apart",
        "room for a connection is looked for before the handshake, and taken after",
        {"limits": Size(1, 3, 1, 0)},
        broken_connections.pass_connection_limit,
    ),
    Defect(
        "iso-36",
        "clean-up does not run after a cancellation",
        "a handshake that fails closes its transport, one that is cancelled does not",
        {"cleanup": FAULT},
        broken_connections.leave_transport_open,
    ),
    Defect(
        "iso-37",
        "a late disconnect removes the newer connection",
        "a connection that ends is forgotten by its id, whoever has it by then",
        {"cleanup": ONE},
        broken_connections.remove_newer_connection,
    ),
    Defect(
        "iso-38",
        "two reconnects at once are crossed",
        "the transport that is about to take over is kept in one place for all",
        {
            "no shared state": RACE,
            "event target": Size(2, 3, 1, 0),
            "cleanup": OWN_RACE,
            "no leaked secret": Size(2, 3, 1, 0),
            "noninterference": Size(2, 3, 1, 0),
        },
        broken_connections.cross_reconnects,
    ),
    Defect(
        "iso-39",
        "a reconnect during a flush loses what is queued",
        "the queue is emptied before it is handed over",
        {"conservation": OWN_RACE},
        broken_connections.drop_at_reconnect,
    ),
    Defect(
        "iso-40",
        "an overflow during a disconnect goes to the dead connection",
        "who waited for room does not look whether the connection still lives",
        {"event order": FAULT},
        broken_connections.overflow_into_closed,
    ),
    Defect(
        "iso-41",
        "a delivery is repeated after an error",
        "what may have been lost is written again, and stays queued as well",
        {"conservation": FAULT},
        broken_connections.deliver_twice,
    ),
    Defect(
        "iso-42",
        "a slot is lost on a cancellation",
        "a connect that fails gives its slot back, one that is cancelled does not",
        {"cleanup": FAULT, "noninterference": Size(2, 3, 0, 1)},
        broken_cleanup.lose_slot,
    ),
    Defect(
        "iso-43",
        "a slot is handed to somebody who has given up waiting",
        "slots pass straight to whoever has waited longest, still there or not",
        {"cleanup": Size(1, 3, 0, 0)},
        broken_cleanup.lose_handed_slot,
    ),
    Defect(
        "iso-44",
        "clean-up runs twice",
        "the end of a context gives the lease back once more",
        {
            "no shared state": THREE,
            "rollback": Size(1, 3, 1, 0),
            "noninterference": THREE,
        },
        broken_cleanup.clean_up_twice,
    ),
    Defect(
        "iso-45",
        "clean-up runs in the wrong order",
        "a session gives its connection back, and closes it then",
        {"noninterference": TWO},
        broken_cleanup.clean_up_backwards,
    ),
    Defect(
        "iso-46",
        "a rollback undoes what others have written",
        "a rollback restores all tables as they were when the transaction began",
        {"rollback": Size(2, 3, 2, 0), "noninterference": RACE},
        broken_cleanup.roll_back_others,
    ),
    Defect(
        "iso-47",
        "a stale timer ends the newer context",
        "contexts are ended by numbered places, and timers are not cancelled",
        {"noninterference": Size(2, 3, 1, 0)},
        broken_cleanup.end_newer_context,
    ),
    Defect(
        "iso-48",
        "a cancelled run cleans up the newer one",
        "after an error the engine ends the context that was served last",
        {"noninterference": Size(2, 2, 1, 1)},
        broken_cleanup.end_newer_run,
    ),
    Defect(
        "iso-49",
        "transfers hold a connection while they wait for another",
        "a transfer takes a second connection, and waits for it as long as it takes",
        {"liveness": OWN_RACE, "noninterference": RACE},
        broken_cleanup.hold_and_wait,
    ),
    Defect(
        "iso-50",
        "the failures of one user shut out all",
        "after two statements that came to nothing the database is taken to be down",
        {"noninterference": Size(2, 3, 0, 2)},
        broken_cleanup.trip_breaker,
    ),
    Defect(
        "iso-51",
        "an error carries the data of another user",
        "a refused transfer quotes the statement before, whosesoever it was",
        {"no leaked secret": THREE, "noninterference": TWO},
        broken_cleanup.tell_others_statement,
    ),
    Defect(
        "iso-52",
        "a hand-over is cancelled when half of it is done",
        "a connection is handed over before the handshake of the new transport",
        {"event order": OWN_FAULT},
        broken_connections.hand_over_first,
    ),
)
