"""The sixteen failures of issue #414."""

from __future__ import annotations

from isomodel.targets.factory import (
    broken_agents,
    broken_events,
    broken_services,
    broken_sessions,
)
from isomodel.targets.factory.defect import ONE, OWN_RACE, OWN_TWO, RACE, THREE, TWO, Defect
from isomodel.values.case import Size

OF_THE_ISSUE = (
    Defect(
        "414-01",
        "a database session is shared by two users",
        "the session manager hands out the session it has open, whoever asks",
        {
            "no shared state": TWO,
            "ownership": TWO,
            "no leaked secret": THREE,
            "cleanup": ONE,
            "noninterference": TWO,
        },
        broken_sessions.share_session,
    ),
    Defect(
        "414-02",
        "the connection pool is exhausted and never recovers",
        "the slot of a failed session is not given back, and waiting for one has no end",
        {"liveness": Size(1, 3, 0, 0), "cleanup": ONE, "noninterference": THREE},
        broken_sessions.leak_slots,
    ),
    Defect(
        "414-03",
        "sessions outlive their context",
        "the session is not tied to its context, whose end no longer ends it",
        {"cleanup": ONE},
        broken_sessions.outlive_context,
    ),
    Defect(
        "414-04",
        "a transaction stays open after an error",
        "a failed session gives its connection back without a rollback",
        {"rollback": ONE, "promise": TWO, "noninterference": TWO},
        broken_sessions.skip_rollback,
    ),
    Defect(
        "414-05",
        "the agent factories share one internal state object",
        "the factory keeps its state on the class",
        {"no shared state": TWO, "no leaked secret": TWO, "noninterference": TWO},
        broken_agents.share_factory_state,
    ),
    Defect(
        "414-06",
        "expired contexts are never freed",
        "a list keeps every context that has ended",
        {"cleanup": ONE},
        broken_services.hoard_contexts,
    ),
    Defect(
        "414-07",
        "check-then-act race in a factory: duplicate ids, limits exceeded",
        "number and room of a new agent are read before a wait and used after it",
        {"uniqueness": OWN_RACE, "limits": OWN_RACE, "noninterference": TWO},
        broken_agents.race_in_factory,
    ),
    Defect(
        "414-08",
        "validation is skipped under load",
        "while another context is being opened, ids are not checked",
        {"validation": OWN_RACE, "promise": OWN_RACE, "noninterference": RACE},
        broken_services.skip_validation,
    ),
    Defect(
        "414-09",
        "an agent's state bleeds into another user's run",
        "the notes of agents are kept by agent name, for whoever runs it next",
        {"no leaked secret": TWO, "promise": OWN_TWO, "noninterference": TWO},
        broken_agents.keep_notes,
    ),
    Defect(
        "414-10",
        "an event is delivered to the wrong user under load",
        "events queue with whichever writer is at work, whoever it writes to",
        {"event target": RACE, "no leaked secret": RACE, "noninterference": RACE},
        broken_events.coalesce_writes,
    ),
    Defect(
        "414-11",
        "one execution engine serves several users",
        "the engine factory makes a few engines and deals them out in turn",
        {"no shared state": TWO, "ownership": TWO, "noninterference": TWO},
        broken_agents.share_engine,
    ),
    Defect(
        "414-12",
        "concurrent updates corrupt shared counters",
        "analytics read, change and write back a document that all users share",
        {"conservation": OWN_RACE, "noninterference": RACE},
        broken_services.lose_updates,
    ),
    Defect(
        "414-13",
        "a pooled connection is reused with a stale owner",
        "the channel of a closed connection is used again under its former owner",
        {
            "event target": THREE,
            "no leaked secret": THREE,
            "no shared state": TWO,
            "noninterference": TWO,
        },
        broken_events.recycle_channels,
    ),
    Defect(
        "414-14",
        "the routing table is corrupted between lookup and send",
        "all writers look their route up into one place, and use it after a wait",
        {"event target": RACE, "no leaked secret": RACE, "noninterference": RACE},
        broken_events.share_route,
    ),
    Defect(
        "414-15",
        "a full event queue drops events",
        "all users share one capacity, and what finds no room is lost without a word",
        {"conservation": ONE, "noninterference": RACE},
        broken_events.share_queue_room,
    ),
    Defect(
        "414-16",
        "an authentication token is reused for another user",
        "a spare token leaves the pool only after it has been stored",
        {"identity": RACE, "uniqueness": OWN_RACE, "noninterference": RACE},
        broken_services.reuse_tokens,
    ),
)
