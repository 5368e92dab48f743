"""Defects of what things are called and kept under: caches, keys, ids, tags, tokens, limits."""

from __future__ import annotations

from isomodel.targets.factory import broken_caches, broken_identity, broken_tags
from isomodel.targets.factory.defect import (
    FAULT,
    OWN_FAULT,
    OWN_RACE,
    OWN_TWO,
    RACE,
    TWO,
    TWO_FAULT,
    Defect,
)
from isomodel.values.case import Size

OF_NAMES = (
    Defect(
        "iso-17",
        "a cache is keyed without the user",
        "preferences are cached under one key, whosesoever they are",
        {"promise": TWO, "no leaked secret": TWO, "noninterference": TWO},
        broken_caches.cache_without_user,
    ),
    Defect(
        "iso-18",
        "the cancellation of one who waits poisons what is loaded for all",
        "the load of the guide is awaited unshielded, and kept however it ended",
        {"noninterference": TWO_FAULT},
        broken_caches.poison_single_flight,
    ),
    Defect(
        "iso-19",
        "the one who loads for the others is cancelled, and they wait for ever",
        "who comes first hands the guide on to the others, if nothing happens to it",
        {"liveness": OWN_FAULT, "noninterference": TWO_FAULT},
        broken_caches.lose_leader,
    ),
    Defect(
        "iso-20",
        "what should be made once is made twice",
        "analytics make their table at the first event, with a wait between look and make",
        {"conservation": OWN_RACE, "noninterference": RACE},
        broken_caches.initialise_twice,
    ),
    Defect(
        "iso-21",
        "two users collide in a key made by joining names",
        "state is kept under the joined names of its owner and of whom it is about",
        {"promise": TWO, "no leaked secret": TWO, "noninterference": TWO},
        broken_tags.join_keys,
    ),
    Defect(
        "iso-22",
        "ids are made from a clock",
        "the id of a request is the time at which it came",
        {
            "uniqueness": OWN_TWO,
            "event order": OWN_TWO,
            "conservation": OWN_TWO,
            "noninterference": TWO,
        },
        broken_tags.take_ids_from_clock,
    ),
    Defect(
        "iso-23",
        "a default that can be changed is shared by all requests",
        "the default metadata are copied, but not the tags in them",
        {"no leaked secret": TWO, "promise": OWN_TWO, "noninterference": TWO},
        broken_tags.share_default_tags,
    ),
    Defect(
        "iso-24",
        "a ContextVar holds a value that can be changed",
        "the log keeps the user it serves in one dict, which all tasks inherit",
        {"no leaked secret": RACE, "noninterference": RACE},
        broken_tags.share_log_fields,
    ),
    Defect(
        "iso-25",
        "a context outlives its request",
        "a background worker tags rows with the user in whose request it was started",
        {"no leaked secret": RACE, "conservation": RACE, "noninterference": RACE},
        broken_tags.outlive_request,
    ),
    Defect(
        "iso-26",
        "an analytics row loses its tag when it is tried again",
        "rows that failed are stored with the next one, under its name",
        {"no leaked secret": TWO_FAULT, "conservation": FAULT, "noninterference": TWO_FAULT},
        broken_tags.retry_under_other_name,
    ),
    Defect(
        "iso-27",
        "a request answers with what the last request read",
        "authentication keeps the identity it read while it looks again",
        {"identity": RACE, "noninterference": RACE},
        broken_identity.answer_with_last,
    ),
    Defect(
        "iso-28",
        "a token is refreshed for the wrong session",
        "the token under refresh is kept in one place for all",
        {"identity": RACE, "noninterference": RACE},
        broken_identity.refresh_other_session,
    ),
    Defect(
        "iso-29",
        "a lock stays taken when its holder is cancelled",
        "refreshes free their lock only when all went well",
        {"liveness": OWN_FAULT, "noninterference": TWO_FAULT},
        broken_identity.keep_lock,
    ),
    Defect(
        "iso-30",
        "a third user makes the first one unknown",
        "only the tokens of the two users who logged in last are kept",
        {"noninterference": Size(3, 3, 0, 0)},
        broken_identity.forget_third_user,
    ),
    Defect(
        "iso-31",
        "the burst of one user uses up the limit of another",
        "the calls of all users are counted together",
        {"promise": Size(2, 4, 0, 0), "noninterference": Size(2, 4, 0, 0)},
        broken_identity.limit_together,
    ),
)
