"""
What a random walk over the ledger may do next, and what has to have happened by its end.
"""

from hypothesis import strategies as st

from solvent._records import Account

ORG, TEAM, RUN, OTHER = "org:a", "org:a/team:é", "org:a/team:é/run:1", "org:a/run:2"
BERLIN = "@Europe/Berlin"
PATHS = (
    (Account(RUN, "usd"), Account(TEAM, "usd", "day" + BERLIN), Account(ORG, "usd", "month@UTC")),
    (Account(OTHER, "usd"), Account(OTHER, "calls"), Account(ORG, "usd", "month@UTC"), Account(OTHER, "parallel")),
    (Account(RUN, "tokens"), Account(RUN, "usd"), Account(ORG, "tokens", "minute"), Account(RUN, "tool_calls")),
    (Account(ORG, "calls", "hour" + BERLIN), Account(ORG, "calls", "minute"), Account(RUN, "usd", "week@UTC")),
    (Account(TEAM, "parallel"),),
)
ACCOUNTS = sorted({account for path in PATHS for account in path})
SECONDS = (0.4, 1, 7, 29, 60, 61, 130, 3_600, 40_000, 86_400, 15 * 86_400)

amounts = st.integers(0, 12)
limits = st.sampled_from((None, 0, 5, 12, 20, 30, 50))
recent = st.integers(0, 5)
used = st.dictionaries(
    st.sampled_from(("usd", "tool_calls", "tokens", "calls", "tool_calls", "parallel")), st.integers(0, 25), max_size=3
)
accounts = st.sampled_from((*ACCOUNTS, Account(RUN, "tokens"), Account(RUN, "tokens")))

RESERVATIONS = {
    "path": st.integers(0, len(PATHS) - 1),
    "amount": amounts,
    "more": st.booleans(),
    "base": limits,
    "unlimited": st.integers(0, 15),
    "ttl": st.sampled_from((5, 120, 100_000)),
}
# What may happen, as methods of the machine with their fields. One rule draws from all of them alike: with a rule for
# each, hypothesis leaves many out of an example, and what takes several of them together hardly ever happens.
STEPS = (
    ("reserve", RESERVATIONS),
    ("reserve", RESERVATIONS),
    ("a_batch", {**RESERVATIONS, "at": recent, "actual": used}),
    ("reserve_again", {"at": recent, "path": st.integers(0, 2 * len(PATHS)), "amount": amounts}),
    ("settle", {"at": recent, "actual": used}),
    ("settle", {"at": recent, "actual": used}),
    ("release", {"at": recent}),
    ("extend", {"at": recent, "so_far": used, "ttl": st.sampled_from((5, 120))}),
    ("note", {"kind": st.sampled_from(("open", "close", "refuse")), "at": recent}),
    (
        "change",
        {
            "kind": st.sampled_from(("again", "other", "set", "set", "give back", "top up")),
            "at": recent,
            "account": accounts,
            "limit": limits,
        },
    ),
    ("advance", {"seconds": st.sampled_from(SECONDS)}),
    ("step_the_wall", {"seconds": st.sampled_from((-40 * 86_400, -3_600, 3_600, 40 * 86_400))}),
    ("expire", {"late": st.booleans(), "at": recent, "actual": used}),
)
a_step = st.one_of(*(st.tuples(st.just(name), st.fixed_dictionaries(fields)) for name, fields in STEPS))

WHAT_HAS_TO_HAPPEN = {
    "IdConflict",
    "ReservationClosed",
    "ReservationNotFound",
    "admitted",
    "booked into a window that is over",
    "closed again",
    "corrected down",
    "corrected up",
    "expired",
    "expired above the reservation",
    "limit below what is spent",
    "limit given back",
    "overrun",
    "refused: by a limit of the store's own",
    "refused: day",
    "refused: hour",
    "refused: minute",
    "refused: month",
    "refused: only reserved",
    "refused: parallel",
    "refused: spent",
    "refused: tool_calls",
    "released",
    "repeated",
    "reserved beside spent",
    "settled",
    "the wall was set",
}
