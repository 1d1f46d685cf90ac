"""
Every way of calling a model: the provider's own bill is what is booked, and what is refused reaches no server.
"""

import pytest
from fake_provider import Answer
from inprocess import RATES
from sdk_ways import ANTHROPIC, HTTP, OPENAI, WAYS

import solvent

pytestmark = pytest.mark.slow

SDKS = [*OPENAI, *ANTHROPIC]
STREAMED = [way for way in WAYS if way.streamed]
CAP = 500


def take(way, url, cap=CAP, **more):
    """
    The reply, or the error that the SDK made of it: what is booked does not hang on it.
    """
    try:
        return way.take(url, cap, **more)
    except solvent.SolventError:
        raise
    except Exception as error:
        return error


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_the_provider_bills_is_what_is_booked(way, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    with solvent.budget(usd="1.00") as budget:
        assert way.take(fake.url, CAP)
        assert way.take(fake.url, CAP + 1)
    assert len(fake.seen) == 2
    assert fake.billed(RATES) == 240 * RATES.output
    assert guarded.spent() == fake.billed(RATES)
    assert budget.remaining() == 10**9 - fake.billed(RATES)
    assert guarded.ends() == [("200", None), ("200", None)]


@pytest.mark.parametrize("way", SDKS, ids=str)
def test_a_refusal_is_solvents_own_error_and_reaches_no_server(way, guarded, fake_provider):
    fake = fake_provider()
    with solvent.budget(usd="0.004"), pytest.raises(solvent.BudgetExceeded) as refused:
        way.take(fake.url, CAP)
    assert (refused.value.requested, refused.value.limit) == (CAP * RATES.output, 4_000_000)
    assert not refused.value.held
    assert fake.seen == []
    assert guarded.kinds() == ["open", "refuse", "close"]


@pytest.mark.parametrize("way", HTTP, ids=str)
def test_a_refusal_reaches_no_server_without_an_sdk_either(way, guarded, fake_provider):
    fake = fake_provider()
    with solvent.budget(usd="0.004"):
        if way.sdk.startswith(
            "httpx"
        ):  # Whoever calls may be an SDK that tries again after any exception but not this.
            reply = way.take(fake.url, CAP)[0]
            body = reply if way.streamed else reply.content
            assert b'"code":"budget_exceeded"' in body
            assert way.streamed or (reply.status_code, reply.headers["x-should-retry"]) == (402, "false")
        else:
            with pytest.raises(solvent.BudgetExceeded):
                way.take(fake.url, CAP)
    assert fake.seen == []
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_without_a_cap_gets_one_that_the_budget_can_pay(way, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=16_384))
    with solvent.budget(usd="0.05"):
        take(way, fake.url, 16_384 if way.sdk == "anthropic" else None)  # Anthropic's format cannot do without.
    assert [seen.body.get(way.cap) or seen.body.get("max_completion_tokens") for seen in fake.seen] == [5_000]
    assert fake.billed(RATES) == guarded.spent() == 50_000_000


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_error_before_any_output_costs_a_call_and_no_money(way, guarded, fake_provider):
    fake = fake_provider(Answer(status=429, headers={"retry-after": "0"}))
    with solvent.budget(usd="1.00", calls=5):
        take(way, fake.url)
    assert len(fake.seen) == guarded.spent("calls") == 1
    assert guarded.spent() == fake.billed(RATES) == 0


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_error_of_the_server_is_booked_at_the_bound(way, guarded, fake_provider):
    fake = fake_provider(Answer(status=500, bills_error=True, output_tokens=CAP))
    with solvent.budget(usd="1.00"):
        take(way, fake.url)
    assert len(fake.seen) == 1
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output
    assert guarded.ends() == [("500", "provider_error")]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_connection_that_is_cut_before_the_reply_is_booked_at_the_bound(way, guarded, fake_provider):
    fake = fake_provider(Answer(cut_after=0, output_tokens=CAP))
    with solvent.budget(usd="1.00"):
        assert isinstance(take(way, fake.url), Exception)
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output
    assert guarded.ends() == [("cut", "cut")]


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_a_stream_that_is_cut_is_booked_at_the_bound(way, guarded, fake_provider):
    fake = fake_provider(Answer(cut_after=4, output_tokens=CAP))
    with solvent.budget(usd="1.00"):
        take(way, fake.url)
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output
    assert guarded.ends()[0][1] == "cut"


@pytest.mark.parametrize("way", SDKS, ids=str)
def test_a_time_out_is_booked_at_the_bound(way, guarded, fake_provider):
    fake = fake_provider(Answer(hangs=True, output_tokens=CAP))
    with solvent.budget(usd="1.00"):
        assert "Timeout" in type(take(way, fake.url, timeout=0.15)).__name__
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output
    assert guarded.ends() == [("cut", "cut")]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_that_never_left_costs_nothing(way, guarded):
    with solvent.budget(usd="1.00", calls=5):
        assert isinstance(take(way, "http://127.0.0.1:9"), Exception)
    assert guarded.spent() == guarded.spent("calls") == 0
    assert guarded.ends() == [("not_sent", None)]


@pytest.mark.parametrize("way", [way for way in SDKS if way.name in ("chat", "messages")], ids=str)
def test_each_attempt_of_a_retry_is_a_call_of_its_own(way, guarded, fake_provider, monkeypatch):
    fake = fake_provider(
        [Answer(status=500, headers={"retry-after-ms": "1"}, bills_error=True, output_tokens=CAP)] * 2
        + [Answer(output_tokens=7)]
    )
    with solvent.budget(usd="1.00", calls=5):
        module = pytest.importorskip(way.sdk)
        client = {"openai": "OpenAI", "anthropic": "Anthropic"}[way.sdk]
        real = getattr(module, client)
        monkeypatch.setattr(module, client, lambda **options: real(**{**options, "max_retries": 2}))
        assert way.take(fake.url, CAP)
    assert len(fake.seen) == guarded.spent("calls") == 3
    assert guarded.spent() == fake.billed(RATES) == (2 * CAP + 7) * RATES.output
    assert [call.attempt for call in guarded.calls()] == [0, 1, 2]
