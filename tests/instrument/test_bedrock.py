"""
Bedrock: by boto3, which is guarded before it signs, and by SDKs whose signed requests nothing may change.
"""

import asyncio
import gc
import io
from contextlib import suppress

import anthropic
import boto3
import botocore.awsrequest
import botocore.config
import botocore.exceptions
import botocore.parsers
import httpx2
import pytest
import urllib3
from bedrock_fake import KEY, REGION, SECRET, bedrock
from bedrock_ways import ASKED, BOTO3, SIGNED, runtime
from fake_provider import Answer
from inprocess import RATES
from servers import Gate

import solvent

pytestmark = pytest.mark.slow

CAP = 500
CONVERSE = {"modelId": "m", "messages": ASKED, "inferenceConfig": {"maxTokens": CAP}}
WAYS = [*BOTO3, *SIGNED]
STREAMED = [way for way in WAYS if way.streamed]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_amazon_bills_is_what_is_booked(way, guarded):
    with bedrock(Answer(output_tokens=120)) as fake, solvent.budget(usd="1.00"):
        assert way.take(fake.url, CAP)
        assert way.take(fake.url, CAP)
    assert [seen.is_signed for seen in fake.seen] == [True, True]
    assert guarded.spent() == sum(fake.bill) * RATES.output == 240 * RATES.output
    assert guarded.ends() == [("200", None), ("200", None)]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_refusal_is_solvents_own_error_and_reaches_no_server(way, guarded):
    with bedrock(Answer()) as fake, solvent.budget(usd="0.004"), pytest.raises(solvent.BudgetExceeded):
        way.take(fake.url, CAP)
    assert fake.seen == []
    assert guarded.kinds() == ["open", "refuse", "close"]


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_no_retry_mode_asks_twice_after_a_refusal(mode, guarded):
    with bedrock(Answer()) as fake, solvent.budget(usd="0.004"), pytest.raises(solvent.BudgetExceeded):
        runtime(fake.url, retries={"total_max_attempts": 4, "mode": mode}).converse(**CONVERSE)
    assert fake.seen == []
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", BOTO3, ids=str)
def test_boto3_signs_what_was_shrunk(way, guarded):
    with bedrock(Answer(output_tokens=16_384)) as fake, solvent.budget(usd="0.05"):
        assert way.take(fake.url, 10_000 if "invoke" in way.name else None)
    assert [seen.is_signed for seen in fake.seen] == [True]
    assert sum(fake.bill) == 5_000
    assert guarded.spent() == 50_000_000


@pytest.mark.parametrize("way", SIGNED, ids=str)
def test_what_is_signed_is_not_shrunk(way, guarded):
    with bedrock(Answer()) as fake, solvent.budget(usd="0.05"):
        with pytest.raises(solvent.BudgetExceeded):
            way.take(fake.url, 10_000)
        assert way.take(fake.url, 5_000)
    assert [seen.is_signed for seen in fake.seen] == [True]
    assert guarded.reserved() == 0


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("status", "tokens"), [(429, 0), (500, CAP)])
def test_errors_are_booked_by_their_status(way, status, tokens, guarded):
    with bedrock(Answer(status=status)) as fake, solvent.budget(usd="1.00"):
        with pytest.raises((botocore.exceptions.ClientError, anthropic.APIError)):
            way.take(fake.url, CAP)
    assert len(fake.seen) == 1
    assert guarded.spent() == tokens * RATES.output


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_a_stream_that_is_cut_is_booked_at_the_bound(way, guarded):
    with bedrock(Answer(output_tokens=CAP, cut_after=3)) as fake, solvent.budget(usd="1.00"):
        with suppress(anthropic.APIError, httpx2.HTTPError, urllib3.exceptions.HTTPError):
            way.take(fake.url, CAP)
    assert guarded.spent() == sum(fake.bill) * RATES.output == CAP * RATES.output


@pytest.mark.parametrize("way", STREAMED, ids=str)
def test_a_stream_that_is_closed_early_is_booked_at_the_bound(way, guarded):
    with bedrock(Answer(output_tokens=CAP, hold_after=(5, Gate()))) as fake, solvent.budget(usd="1.00"):

        async def begin():
            pieces = way.go(fake.url, max_tokens=CAP)
            await anext(pieces)
            await pieces.aclose()

        if way.asynchronous:
            asyncio.run(begin())
        else:
            pieces = way.go(fake.url, max_tokens=CAP)
            next(pieces)
            pieces.close()
        assert guarded.spent() == sum(fake.bill) * RATES.output == CAP * RATES.output
    assert guarded.ends() == [("client_gone", "client_gone")]


def test_a_stream_that_nobody_holds_any_more_is_booked_at_the_bound(guarded):
    with bedrock(Answer(output_tokens=CAP, hold_after=(5, Gate()))) as fake, solvent.budget(usd="1.00"):
        stream = runtime(fake.url).converse_stream(**CONVERSE)["stream"]
        next(iter(stream))
        del stream
        gc.collect()
        assert guarded.spent() == sum(fake.bill) * RATES.output == CAP * RATES.output


@pytest.mark.parametrize("way", BOTO3, ids=str)
def test_a_time_out_is_booked_at_the_bound(way, guarded):
    with bedrock(Answer(output_tokens=CAP, hangs=True)) as fake, solvent.budget(usd="1.00"):
        with pytest.raises(botocore.exceptions.ReadTimeoutError):
            way.take(fake.url, CAP, timeout=0.3)
    assert guarded.spent() == sum(fake.bill) * RATES.output == CAP * RATES.output


def test_each_attempt_of_a_retry_is_a_call_of_its_own(guarded):
    with bedrock(Answer(output_tokens=CAP, status=500)) as fake, solvent.budget(usd="1.00", calls=5):
        with pytest.raises(botocore.exceptions.ClientError):
            runtime(fake.url, retries={"total_max_attempts": 2}).converse(**CONVERSE)
    assert len(fake.seen) == guarded.spent("calls") == 2
    assert guarded.spent() == 2 * CAP * RATES.output


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_call_that_never_left_costs_nothing(way, guarded):
    with solvent.budget(usd="1.00", calls=5):
        with pytest.raises((botocore.exceptions.EndpointConnectionError, anthropic.APIConnectionError)):
            way.take("http://127.0.0.1:9", CAP)
    assert guarded.spent() == guarded.spent("calls") == 0


def test_what_a_handler_answers_in_amazons_place_costs_nothing(guarded):
    def answer(request, **_):
        raw = urllib3.HTTPResponse(io.BytesIO(b'{"metrics": {"latencyMs": 1}}'), status=200, preload_content=False)
        return botocore.awsrequest.AWSResponse(request.url, 200, {"content-type": "application/json"}, raw)

    with solvent.budget(usd="1.00"):
        client = runtime("http://127.0.0.1:9")
        client.meta.events.register("before-send.bedrock-runtime", answer)
        assert client.converse(**CONVERSE)["metrics"]
        gc.collect()
    assert guarded.ends() == [("not_sent", None)]
    assert guarded.spent() == 0


@pytest.mark.usefixtures("guarded")
def test_what_nobody_can_bound_is_refused_under_a_limit():
    with bedrock(Answer()) as fake, solvent.budget(usd="1.00"), pytest.raises(solvent.Unbounded):
        runtime(fake.url).apply_guardrail(
            guardrailIdentifier="g", guardrailVersion="1", source="INPUT", content=[{"text": {"text": "Hi"}}]
        )
    assert fake.seen == []


def test_other_services_of_amazon_are_left_alone(guarded):
    with bedrock(Answer()) as fake, solvent.budget(usd="0"):
        client = boto3.client(
            "sts", endpoint_url=fake.url, region_name=REGION, aws_access_key_id=KEY, aws_secret_access_key=SECRET
        )
        with pytest.raises(botocore.parsers.ResponseParserError):  # It answers no XML, but it was asked.
            client.get_caller_identity()
    assert len(fake.seen) == 1
    assert guarded.kinds() == ["open", "close"]
