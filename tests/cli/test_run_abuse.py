"""
A program that abuses the gateway it runs behind: refused, nothing recorded, nothing sent on, and no key told.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_provider import Answer, Fake
from knocking import CHAT, Knocked, knock, request
from machine import PRICE, REAL_KEY, Machine

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

OPTIONS = ("--usd", "1", "--price", PRICE, "--name", "x")
CHUNKED = "Transfer-Encoding: chunked"
ABUSES = [
    # (what is sent, the status of the answer)
    (request("/wrong/openai/v1/chat/completions"), 403),
    (request("/SECRETx/openai/v1/chat/completions"), 403),
    (request("/openai/v1/chat/completions"), 403),
    (request("/"), 400),
    (request(host="evil.example"), 421),
    (request(host="127.0.0.1"), 421),
    (request(CHAT, "Host: evil.example"), 400),
    (request("http://127.0.0.1:PORT" + CHAT), 400),
    (request("http://evil.example" + CHAT, host="evil.example"), 400),
    (request("/" + CHAT), 400),
    (request("127.0.0.1:PORT", method="CONNECT"), 400),
    (request("*", method="OPTIONS"), 400),
    (request("/SECRET/openai/v1/../v1/chat/completions"), 400),
    (request("/SECRET/openai/v1/%2e%2e/v1/chat/completions"), 400),
    (request("/SECRET/openai/v1/.%2E%2fchat/completions"), 400),
    (request("/SECRET/openai/v1/%252e%252e/chat/completions"), 400),
    (request("/SECRET/openai/v1\\..\\chat/completions"), 400),
    (request("/SECRET/openai//chat/completions"), 400),
    (request("/SECRET/openai/v1/chat/completions%00"), 400),
    (request("/SECRET/openai/v1/chat/completions%0d%0aX-Injected:%20yes"), 400),
    (request(CHAT, "X-Injected: yes\rX-More: yes"), 400),
    (request(CHAT, "X-Injected: yes\x00"), 400),
    (request(CHAT, "X-Injected : yes"), 400),
    (request(CHAT, "Content-Length: 3"), 400),
    (request(CHAT, CHUNKED), 400),
    (request(CHAT, "x-solvent-scope: org:other"), 400),
    (request(CHAT, "x-solvent-scope: agent:a\tb", "x-solvent-scope: agent:c"), 400),
    (request(length=1 << 30, body=""), 413),
    (request(length=1 << 99, body=""), 400),
    (request(CHAT, "Upgrade: websocket", "Connection: Upgrade"), 400),
    (request(CHAT, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"), 400),
    (request(CHAT, "Content-Encoding: gzip"), 415),
    (request("/SECRET/nobody/v1/chat/completions"), 404),
    (request("/SECRET/openai/v1/no/such/path"), 403),
    (request("/SECRET/solvent/no-such-address"), 404),
    (request(body="{"), 400),
    (request(body="[]"), 400),
    (request(body='{"a":' * 5_000), 400),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a greeting of TLS\r\n\r\n", 400),
]


def no_key_is_told(knocked: Knocked, folder: Path) -> None:
    for reply in knocked.replies:
        assert REAL_KEY not in reply
        assert knocked.key not in reply
        assert knocked.secret not in reply
    assert REAL_KEY not in knocked.done.out + knocked.done.err
    assert knocked.secret not in knocked.done.err
    for path in folder.glob("ledger.db*"):
        content = path.read_bytes()
        assert not [name for name in (REAL_KEY, knocked.key, knocked.secret) if name.encode() in content], path


def test_what_no_honest_client_sends_is_refused_and_leaves_no_trace(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer())
    machine.provider_at(fake.url)
    knocked = knock(machine, *(raw for raw, _ in ABUSES), options=OPTIONS)
    assert [(raw, knocked.status(number)) for number, (raw, _) in enumerate(ABUSES)] == ABUSES
    assert fake.seen == []
    assert machine.entries() == ["open", "close"]
    assert " requests turned away (" in knocked.done.err
    # What the server itself cannot read as HTTP is no request, and who does not know the run's address is anybody.
    assert machine.json("report")["turned_away"] == {
        "content_encoding": 1,
        "denied": 1,
        "invalid_json": 3,
        "invalid_path": 9,
        "invalid_request": 1,
        "invalid_scope": 2,
        "not_found": 1,
        "too_large": 1,
        "unknown_provider": 1,
        "upgrade": 2,
    }
    no_key_is_told(knocked, machine.folder)


def test_the_door_is_open_to_others_after_an_abuse(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=50))
    machine.provider_at(fake.url)
    abuses = [raw for raw, _ in ABUSES[::7]]
    knocked = knock(machine, request(length=1 << 30, body=""), request(), *abuses, request(), options=OPTIONS)
    assert [knocked.status(0), knocked.status(1), knocked.status(-1)] == [413, 200, 200]
    assert [seen.path for seen in fake.seen] == ["/v1/chat/completions"] * 2
    assert machine.json("report")["total"]["cost_nanodollars"] == str(2 * 50 * 10_000)


def test_a_zip_bomb_is_never_opened_whole_and_costs_its_bound(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(bomb_bytes=65 << 20))
    machine.provider_at(fake.url)
    knocked = knock(machine, request(), options=OPTIONS)
    # The reply was paid for, so it is passed on as it came, a thousandth of what it would become.
    assert knocked.status() == 200
    assert "\r\ncontent-encoding: gzip\r\n" in knocked.replies[0]
    assert len(knocked.replies[0]) < 200_000
    report = machine.json("report")
    assert report["estimated"] == [
        {"reason": "usage_absurd", "count": 1, "nanodollars": "1000000", "dollars": "0.001000000"}
    ]
    assert report["limits"][0]["spent"] == str(100 * 10_000)
    no_key_is_told(knocked, machine.folder)


@pytest.mark.parametrize("status", [200, 401])
def test_a_real_key_stays_between_solvent_and_the_provider(machine: Machine, fake_provider: Fakes, status: int) -> None:
    fake = fake_provider(Answer(status=status))
    machine.provider_at(fake.url)
    knocked = knock(machine, request(), options=(*OPTIONS, "--live"))
    assert knocked.status() == status
    [seen] = fake.seen
    assert seen.headers["authorization"] == f"Bearer {REAL_KEY}"
    assert knocked.key.startswith("sk-solvent-")
    assert not [name for name, value in seen.headers.items() if "solvent" in f"{name} {value}"]
    assert not [name for name, value in knocked.environment.items() if REAL_KEY in value]
    assert knocked.environment["OPENAI_API_KEY"] == knocked.key
    no_key_is_told(knocked, machine.folder)
    for words in (("report",), ("report", "--json"), ("ledger", "show", "--json")):
        done = machine(*words)
        assert not [secret for secret in (REAL_KEY, knocked.key, knocked.secret) if secret in done.out + done.err]


def test_keys_are_the_real_ones_where_that_is_asked_for(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer())
    machine.provider_at(fake.url)
    knocked = knock(machine, request(), options=(*OPTIONS, "--keys", "pass"))
    assert (knocked.status(), knocked.key) == (200, REAL_KEY)
    assert REAL_KEY not in knocked.done.err + knocked.replies[0]
    assert not [path for path in machine.folder.glob("ledger.db*") if REAL_KEY.encode() in path.read_bytes()]
