from datetime import UTC, datetime

import pytest

from solvent._limits import Limit, Scope, matches, resets_at, show_amount, span


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def bucket(window, text):
    return span(window, int(at(text).timestamp()) * 10**9)[1]


@pytest.mark.parametrize(
    "text", ["run:42", "org:acme/team:search/run:42", "run:a/agent:x/step:y/agent:z", "run:a%2Fb%3A%25", "run:Zürich"]
)
def test_a_scope_is_written_as_it_is_read(text):
    assert str(Scope.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("triage", "kind:name"),
        ("job:1", "kind is one of"),
        ("run:1/org:acme", "cannot stand below"),
        ("run:1/run:2", "cannot stand below"),
        ("run:", "1 to 256 bytes"),
        ("run:" + "x" * 257, "1 to 256 bytes"),
        ("/".join(["run:1"] + ["step:s"] * 16), "1 to 16 segments"),
    ],
)
def test_what_is_no_scope_says_why(text, problem):
    with pytest.raises(ValueError, match=problem):
        Scope.parse(text)


def test_a_header_can_only_add_below():
    assert str(Scope.parse("run:1").below("agent:a/step:b")) == "run:1/agent:a/step:b"
    with pytest.raises(ValueError, match="cannot stand below"):
        Scope.parse("run:1").below("org:other")


@pytest.mark.parametrize(
    ("pattern", "scope", "expected"),
    [
        ("run:*", "run:a", True),
        ("run:*", "org:acme/run:a", True),
        ("run:*", "run:a/agent:b", False),
        ("org:acme/run:*", "org:acme/run:a", True),
        ("org:other/run:*", "org:acme/run:a", False),
        ("agent:researcher", "run:a/agent:researcher", True),
        ("team:*/run:*", "run:a", False),
        ("run:nightly-*", "run:nightly-42", True),
        ("run:nightly-*", "run:nightly-", True),
        ("run:nightly-*", "run:nightly", False),
        ("run:nightly-*", "agent:nightly-42", False),
        ("team:se*/run:n*", "org:acme/team:search/run:nightly", True),
        ("team:se*/run:n*", "org:acme/team:sales/run:nightly", False),
        ("run:a%2Fb*", "run:a%2Fbc", True),
        ("run:a%2*", "run:a%2Fb", False),  # Half an encoded character is none.
        ("run:50%-*", "run:50%25-off", True),
        ("run:a%2fb", "run:a%2Fb", True),
        ("run:a%2A", "run:a*", True),
        ("run:a%2A", "run:ab", False),
    ],
)
def test_a_pattern_names_scopes_by_their_last_segments(pattern, scope, expected):
    assert matches(pattern, Scope.parse(scope)) is expected


def test_calendar_windows_begin_in_their_time_zone():
    assert bucket("day@UTC", "2026-03-01T23:59:59") + 1 == bucket("day@UTC", "2026-03-02T00:00:00")
    assert bucket("day@Europe/Berlin", "2026-03-01T22:59:59") + 1 == bucket("day@Europe/Berlin", "2026-03-01T23:00:00")
    assert bucket("month@UTC", "2026-12-31T23:59:59") + 1 == bucket("month@UTC", "2027-01-01T00:00:00")
    assert bucket("week@UTC", "2026-03-01T23:59:59") + 1 == bucket("week@UTC", "2026-03-02T00:00:00")  # A Monday.


def test_a_rolling_minute_counts_the_running_second_and_sixty_before():
    assert span("minute", 500 * 10**9 + 7) == (440, 500, 501 * 10**9)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("hour@UTC", "2026-03-28T13:00"),
        ("day@UTC", "2026-03-29T00:00"),
        ("day@Europe/Berlin", "2026-03-28T23:00"),
        ("week@UTC", "2026-03-30T00:00"),
        ("month@UTC", "2026-04-01T00:00"),
    ],
)
def test_a_window_says_when_it_begins_anew(window, expected):
    assert resets_at(window, now=at("2026-03-28T12:34:56")) == at(expected)


def test_a_day_of_clock_change_has_its_own_length():
    assert resets_at("day@Europe/Berlin", now=at("2026-03-29T12:00")) == at("2026-03-29T22:00")


def test_the_life_of_a_scope_never_begins_anew():
    assert resets_at("", now=at("2026-03-01")) is None


def test_a_rolling_minute_has_surely_begun_anew_after_61_seconds():
    assert resets_at("minute", now=at("2026-03-01T12:00:00")) == at("2026-03-01T12:01:01")


def test_a_limit_in_a_time_zone_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="time_zone must be a name such as UTC"):
        Limit(meter="usd", amount=1, window="day", time_zone="Mars/Base")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"meter": "dollars", "amount": 1}, "meter must be one of"),
        ({"meter": "usd", "amount": -1}, "limit of usd must be within"),
        ({"meter": "usd", "amount": True}, "whole number"),
        ({"meter": "usd", "amount": 1, "window": "daily"}, "window must be one of"),
    ],
)
def test_what_is_no_limit_is_refused(wrong, problem):
    with pytest.raises(ValueError, match=problem):
        Limit(**wrong)


@pytest.mark.parametrize(
    ("meter", "amount", "shown"),
    [
        ("usd", 42_000_000, "$0.0420"),
        ("calls", 1, "1 call"),
        ("retries", 1, "1 retry"),
        ("output_tokens", 1_024, "1,024 output tokens"),
        ("parallel", 1, "1 parallel"),
    ],
)
def test_an_amount_is_shown_in_the_words_of_its_meter(meter, amount, shown):
    assert show_amount(meter, amount) == shown
