"""
aiobotocore: its signed requests are guarded on their way through aiohttp, and a refusal is Solvent's own error.
"""

import asyncio
import json

import pytest
from fake_provider import Answer
from inprocess import RATES

import solvent

aiobotocore_session = pytest.importorskip("aiobotocore.session")

from bedrock_fake import KEY, REGION, SECRET, bedrock  # noqa: E402  # It needs botocore, which comes with the SDK.

CAP = 500
ASKED = [{"role": "user", "content": [{"text": "Say something."}]}]


async def converse(client):
    reply = await client.converse(modelId="m", messages=ASKED, inferenceConfig={"maxTokens": CAP})
    return reply["output"]


async def converse_stream(client):
    reply = await client.converse_stream(modelId="m", messages=ASKED, inferenceConfig={"maxTokens": CAP})
    return [event async for event in reply["stream"]]


async def invoke(client):
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": CAP, "messages": []})
    reply = await client.invoke_model(modelId="m", body=body)
    return json.loads(await reply["body"].read())


def run(way, url):
    async def main():
        client = aiobotocore_session.get_session().create_client(
            "bedrock-runtime",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )
        async with client as opened:
            return await way(opened)

    return asyncio.run(main())


WAYS = [converse, converse_stream, invoke]


@pytest.mark.parametrize("way", WAYS)
def test_what_amazon_bills_is_what_is_booked(way, guarded):
    with bedrock(Answer(output_tokens=120)) as fake, solvent.budget(usd="1.00"):
        assert run(way, fake.url)
    assert [seen.is_signed for seen in fake.seen] == [True]
    assert guarded.spent() == sum(fake.bill) * RATES.output == 120 * RATES.output
    assert guarded.ends() == [("200", None)]


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_solvents_own_error_and_reaches_no_server(way, guarded):
    with bedrock(Answer()) as fake, solvent.budget(usd="0.004"), pytest.raises(solvent.BudgetExceeded):
        run(way, fake.url)
    assert fake.seen == []
    assert guarded.count("refuse") == 1


@pytest.mark.parametrize("way", [converse, invoke])
def test_a_server_of_others_sees_what_is_allowed_and_no_more(way, guarded, server, aimock):
    recorder = server()
    with solvent.budget(usd="0.0055"):  # After one call of 120 tokens there is no room for another one of 500.
        assert run(way, recorder.url)
        with pytest.raises(solvent.BudgetExceeded):
            run(way, recorder.url)
    assert len(recorder.exchanges) == len(aimock.heard()) == 1
    assert guarded.spent() == 120 * RATES.output
