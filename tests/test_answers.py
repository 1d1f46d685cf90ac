"""
How a refusal travels over HTTP: as a status, a body, and a header from which Solvent's own hooks make it again.
"""

from datetime import UTC, datetime

import pytest

from solvent._answers import ERROR_HEADER, answer_to, error_in
from solvent.errors import (
    BudgetExceeded,
    DeadlinePassed,
    IdConflict,
    LoopDetected,
    OutcomeUnknown,
    PriceUnknown,
    SettingsError,
    StoreUnavailable,
    Unbounded,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ERRORS = {
    BudgetExceeded(
        scope="team:a", meter="usd", limit=5, spent=2, reserved=1, requested=9, window="day@UTC", open_count=3,
        source="solvent.yaml:7 “é”", resets_at=NOON, now=NOON, output_tokens_affordable=7,
    ): 402,
    BudgetExceeded(scope="run:a", meter="calls", limit=5, held=True): 429,
    LoopDetected(scope="run:a", limit=3, spent=3, cycle=1, within_seconds=60.0, fingerprint="f", source=""): 402,
    DeadlinePassed(scope="run:a", seconds=60, ended=True): 402,
    PriceUnknown(model="m", provider="openai", close=("m1", "m2"), what="web_search"): 402,
    Unbounded(part="a\nb", meter="usd", remedy="c"): 402,
    SettingsError(where="--ledger", expected="a file"): 402,
    StoreUnavailable(ledger="sqlite:///a.db", reason="locked"): 503,
    OutcomeUnknown(ledger="sqlite:///a.db", id="1", reason="locked"): 503,
}  # fmt: skip


@pytest.mark.parametrize(("error", "status"), ERRORS.items(), ids=lambda value: type(value).__name__)
def test_an_error_comes_back_from_its_header_as_it_was(error, status):
    answer = answer_to(error)
    header = dict(answer.headers)[ERROR_HEADER]
    again = error_in(header)
    assert answer.status == status
    assert header.isascii()
    assert header.isprintable()
    assert (type(again), vars(again), str(again), again.code) == (type(error), vars(error), str(error), error.code)


@pytest.mark.parametrize("error", [IdConflict(id="1"), Unbounded(part="x" * 5_000, meter="usd", remedy="c")], ids=type)
def test_what_no_header_can_hold_or_nobody_asked_for_is_not_told_there(error):
    assert ERROR_HEADER not in dict(answer_to(error).headers)


@pytest.mark.parametrize(
    "header",
    ["", "none", "[]", "{}", '{"error": "Exit"}', '{"error": 1}', '{"error": "BudgetExceeded", "now": "soon"}',
     '{"error": "BudgetExceeded", "scope": "run:a"}'],
)  # fmt: skip
def test_a_header_of_another_version_is_no_error(header):
    assert error_in(header) is None


@pytest.mark.parametrize(
    ("scope", "header"),
    [("run:a/step:b-1", "run:a/step:b-1"), ("run:日本", "run:%E6%97%A5%E6%9C%AC"), ("run:a\nb%", "run:a%0Ab%25")],
)
def test_a_header_holds_a_scope_of_any_letters(scope, header):
    answer = answer_to(BudgetExceeded(scope=scope, meter="calls", limit=0))
    assert dict(answer.headers)["x-solvent-scope"] == header
    assert answer.metadata["scope"] == error_in(dict(answer.headers)[ERROR_HEADER]).scope == scope
