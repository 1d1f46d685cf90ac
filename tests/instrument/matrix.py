"""
What tests share that hold every way of calling a model, and all that may become of a call, to a server that others
wrote: the server, its prices, and what its bytes say.
"""

import json

import pytest
from aimock import Fixture
from e2e.served import served
from fake_provider import Rates

import solvent
from solvent.policy import Policy
from solvent.prices import UserPrice

RATES, RATES_OF_MINI = Rates(input=100_000, output=400_000), Rates(input=1_000, output=4_000)
CAP, CAP_MAX = 500, 4_096
BOUND = CAP * RATES.output  # Of the output alone.
HALF_OF_IT = "0.10"
CAPS = {"max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens", "num_predict"}


@pytest.fixture
def policy():
    def price(rates):
        return UserPrice.per_million_tokens(
            input=str(rates.input // 1_000),
            output=str(rates.output // 1_000),
            output_tokens_max=CAP_MAX,
            input_tokens_max=100_000,
        )

    return Policy(prices={"m": price(RATES), "mini": price(RATES_OF_MINI)}, wait_seconds=0)


@pytest.fixture
def server(aimock, recording_proxy):
    """
    Starts the server, told what to answer, with a recorder before it.
    """

    def start(**told):
        aimock.answers(Fixture(**told))
        return recording_proxy(aimock.url)

    return start


def used(rates=RATES):
    """
    By a fixture as it is.
    """
    return 10 * rates.input + 120 * rates.output


def cost(exchange, rates=RATES):
    tokens = served(exchange)
    return tokens.input_tokens * rates.input + tokens.output_tokens * rates.output


def sent_cap(exchange):
    """
    The output cap that a request names, by whatever name and wherever.
    """
    body = json.loads(exchange.body)
    places = [body, *(value for value in body.values() if isinstance(value, dict))]
    (cap,) = (place[name] for place in places for name in CAPS & place.keys())
    return cap


def called(way, url, cap=CAP):
    """
    What becomes of a call; that it is refused, callers of bare HTTP clients are told by the answer that they get.
    """
    try:
        reply = way.take(url, cap)
    except solvent.BudgetExceeded as error:
        return "held" if error.held else "refused"
    except solvent.SolventError:
        raise
    except Exception:  # What its SDK makes of it.
        return "failed"
    told = (reply[0] if way.streamed else reply[0].content) if way.sdk.startswith("httpx") and reply else b""
    return "refused" if b'"code":"budget_exceeded"' in told else "answered"
