"""
Errors: what happened, the limit, the amounts, how to go on; and they survive pickling.
"""

import copy
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from solvent._amounts import nanodollars
from solvent.errors import (
    BudgetExceeded,
    DeadlinePassed,
    IdConflict,
    LedgerCorrupt,
    LoopDetected,
    OutcomeUnknown,
    PriceUnknown,
    ReservationClosed,
    ReservationNotFound,
    SettingsError,
    SolventError,
    StoreUnavailable,
    Unbounded,
    UnknownBudget,
)

NOW = datetime(2026, 3, 1, 18, 48, tzinfo=UTC)
EXAMPLES = {
    BudgetExceeded(
        scope="team:search",
        meter="usd",
        window="day@UTC",
        limit=nanodollars("5.00"),
        spent=nanodollars("4.9502"),
        reserved=nanodollars("0.0385"),
        requested=nanodollars("0.0420"),
        open_count=3,
        resets_at=NOW + timedelta(hours=5, minutes=12),
        output_tokens_affordable=513,
        now=NOW,
    ): """\
team:search has $0.0113 left of $5.00 per day; this call needs up to $0.0420.
spent $4.9502, reserved $0.0385 (3 open); resets 2026-03-02 00:00 UTC, in 5 h 12 min.
To go on: ask for at most 513 output tokens, or raise the limit, or wait for the reset.""",
    DeadlinePassed(scope="run:a", seconds=600, source="--time"): """\
run:a had 10 min and they are over; no call is started.
To go on: allow more time (--time).""",
    DeadlinePassed(scope="run:a", seconds=600, source="--time", ended=True): """\
run:a had 10 min and they are over; the call was ended.
To go on: allow more time (--time).""",
    LoopDetected(
        scope="run:a",
        limit=5,
        spent=5,
        cycle=1,
        within_seconds=60,
        fingerprint="9f3a",
        source="solvent.yaml:9",
        fingerprints=("9f3a",),
        seconds_ago=(42.0, 30.5, 20.0, 9.5, 1.25),
    ): """\
run:a makes the same request 6 times within 1 min; 5 are allowed.
Nothing in them changed; the ones before came 42 s to 1.2 s ago. This one has the fingerprint 9f3a.
To go on: find what repeats them, or raise same_call (solvent.yaml:9).""",
    LoopDetected(scope="run:a", limit=5, spent=5, cycle=2, within_seconds=60, fingerprint="9f3a", source=""): """\
run:a makes the same 2 requests in turn, 6 calls within 1 min; 5 are allowed.
Nothing in them changed. This one has the fingerprint 9f3a.
To go on: find what repeats them, or raise same_call.""",
    BudgetExceeded(
        scope="run:a", meter="depth", limit=2, spent=0, reserved=0, requested=3, source="solvent.yaml:4"
    ): """\
run:a nests agents and steps 2 deep at most; this would be 3 deep.
To go on: raise the limit (solvent.yaml:4).""",
    BudgetExceeded(
        scope="run:a",
        meter="usd",
        limit=nanodollars("0.01"),
        requested=nanodollars("0.0105"),
        output_tokens_least=1_024,
        as_written=nanodollars("0.1640"),
    ): """\
run:a has $0.01 left of $0.01; this call needs up to $0.1640, and $0.0105 with its output cut to 1,024 tokens.
spent $0.00, reserved $0.00 (0 open).
To go on: raise the limit.""",
    BudgetExceeded(
        scope="run:a", meter="usd", limit=2_000_000, spent=1_000_000, requested=1_002_000, output_tokens_affordable=490
    ): """\
run:a has $0.001000000 left of $0.0020; this call needs up to $0.001002000.
spent $0.0010, reserved $0.00 (0 open).
To go on: ask for at most 490 output tokens, or raise the limit.""",
    BudgetExceeded(scope="run:a", meter="output_tokens", limit=10, requested=1_024, output_tokens_least=1_024): """\
run:a has 10 output tokens left of 10 output tokens; this call needs up to 1,024 output tokens with its output cut \
to 1,024 tokens.
spent 0 output tokens, reserved 0 output tokens (0 open).
To go on: raise the limit.""",
    BudgetExceeded(scope="run:a", meter="parallel", limit=1, reserved=1, requested=1, open_count=1, held=True): """\
run:a has 1 of 1 calls open at a time; this call would be one more.
To go on: try again when an open call has ended, or raise the limit.""",
    BudgetExceeded(scope="call", meter="usd", limit=1_000_000, requested=1_600_000, source="solvent.yaml:3"): """\
a call may need up to $0.0010; this call needs up to $0.0016.
To go on: raise the limit (solvent.yaml:3).""",
    PriceUnknown(model="gpt-9", close=("gpt-4", "gpt-5"), policy_file="~/.config/solvent/solvent.yaml"): """\
'gpt-9' has no price, and a limit in dollars is in force. Known and close: gpt-4, gpt-5.
To go on: give one under `prices:` in your own policy, ~/.config/solvent/solvent.yaml, or in one that \
SOLVENT_POLICY names, or `solvent run` one with --price gpt-9=INPUT/OUTPUT (dollars per million tokens).""",
    Unbounded(part="the provider's tool web_search", meter="usd", remedy="cap its uses"): """\
nothing bounds the provider's tool web_search, and a limit in dollars is in force.
To go on: cap its uses.""",
    Unbounded(part="images", meter="input_tokens", remedy="leave that part out"): """\
nothing bounds images, and a limit of input tokens is in force.
To go on: leave that part out.""",
    Unbounded(part="what passes over websocket to x.ai", meter="", remedy="leave it"): """\
what passes over websocket to x.ai has no bound, and strict mode refuses what it cannot see.
To go on: leave it.""",
    ReservationNotFound(id="01J9ZK"): """\
no reservation has the id 01J9ZK.
To go on: reserve before settling; a refusal binds no id.""",
    ReservationClosed(id="01J9ZK", state="settled", wanted="released"): """\
reservation 01J9ZK is settled and cannot be released; a reservation closes once.
To go on: keep what is recorded; a call that is made again is a new reservation with an id of its own.""",
    IdConflict(id="01J9ZK"): """\
the id 01J9ZK was used before, with other contents. Nothing was recorded.
To go on: make a new id for something new; the same id is for the same again.""",
    StoreUnavailable(ledger="sqlite:///l.db", reason="disk full"): """\
the ledger sqlite:///l.db did not answer: disk full. Nothing was recorded.
To go on: see that the file can be written, or name another with --ledger or SOLVENT_LEDGER.""",
    OutcomeUnknown(ledger="sqlite:///l.db", id="01J9ZK", reason="timed out"): """\
the ledger sqlite:///l.db did not answer: timed out; reservation 01J9ZK may have been recorded.
To go on: retry with the same id; it is counted once.""",
    LedgerCorrupt(ledger="l.db", found="it is a database of another program"): """\
l.db cannot be used as a ledger: it is a database of another program. The file was left as it is.
To go on: restore it from a copy, or name another with --ledger or SOLVENT_LEDGER.""",
    LedgerCorrupt(ledger="l.db", found="it is of version 9", remedy="use the Solvent that wrote it"): """\
l.db cannot be used as a ledger: it is of version 9. The file was left as it is.
To go on: use the Solvent that wrote it, or name another with --ledger or SOLVENT_LEDGER.""",
    SettingsError(where="solvent.yaml:7", expected="an amount", got='"x"', hint="write one"): """\
solvent.yaml:7: expected an amount, got "x"
To go on: write one.""",
    UnknownBudget(
        where="resume('run:x')",
        expected="a budget that the ledger memory:// knows",
        got="one that it does not",
        hint="name the ledger in which it was opened",
    ): """\
resume('run:x'): expected a budget that the ledger memory:// knows, got one that it does not
To go on: name the ledger in which it was opened.""",
}


@pytest.mark.parametrize(("error", "message"), EXAMPLES.items(), ids=lambda value: type(value).__name__)
def test_every_error_says_what_happened_and_how_to_go_on(error, message):
    assert str(error) == message


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling_and_copying(error, again):
    twin = again(error)
    assert type(twin) is type(error)
    assert twin.__dict__ == error.__dict__
    assert (str(twin), twin.args, twin.code) == (str(error), error.args, error.code)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_says_how_to_go_on(error):
    assert "\nTo go on: " in str(error)


def test_a_note_on_an_error_survives_pickling():
    error = IdConflict(id="01J9ZK")
    error.add_note("while the run was resumed")

    twin = pickle.loads(pickle.dumps(error))

    assert twin.__notes__ == ["while the run was resumed"]


def test_every_error_has_an_example():
    def below(kind):
        own = [child for child in kind.__subclasses__() if child.__module__.startswith("solvent")]
        return {kind}.union(*(below(child) for child in own))

    assert below(SolventError) - {SolventError} == {type(error) for error in EXAMPLES}
