"""
The webhook: an alert is posted, signed, until it is taken or given up, and nobody waits for it.
"""

import json
import logging
import socket
import threading
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from fractions import Fraction

import pytest
import standardwebhooks
from guard_world import THREE_CENTS, World
from test_guard_sync import admit, settle
from webhook_receiver import PATIENCE_SECONDS, SECRET, cut, drip, hang, receiver

from solvent import _webhook
from solvent.errors import BudgetExceeded, SettingsError
from solvent.events import CallClosed, ShareReached
from solvent.policy._alert import Alert


@pytest.fixture(autouse=True)
def warnings_only(caplog):
    caplog.set_level(logging.WARNING, "solvent")


def reached(share=Fraction(4, 5), **more):
    return ShareReached(
        **{
            "id": "01J9ZK",
            "scope": "run:x",
            "meter": "usd",
            "window": "",
            "share": share,
            "limit": 2_000_000_000,
            "spent": 1_610_000_000,
            "reserved": 30_000_000,
            "by": "settled",
            "at": datetime(2026, 11, 22, 11, 5, 3, 250_000, UTC),
            "source": "--usd",
            "resets_at": None,
            "alert_id": "5eed",
            **more,
        }
    )


def sent(server, *events, secret=None):
    """
    Deliver alerts; between which attempts it waited for how long.
    """
    waits = []
    webhook = _webhook.Webhook(server.url, secret, wait=waits.append)
    for event in events:
        webhook.hear(event)
    assert webhook.flush(PATIENCE_SECONDS)
    webhook.close()
    return waits


def logged(caplog):
    return [record.getMessage() for record in caplog.records]


def test_an_alert_is_posted_as_json_with_exact_amounts():
    with receiver(204) as server:
        assert sent(server, reached()) == []
    ((path, headers, body),) = server.got
    assert path == "/alerts?team=a"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "5eed"
    assert "webhook-signature" not in headers
    assert json.loads(body) == {
        "type": "budget.share_reached",
        "timestamp": "2026-11-22T11:05:03.250000Z",
        "schema_version": 1,
        "text": "run:x has used 80 % of $2.00: $1.61 spent, $0.03 reserved.",
        "data": {
            "scope": "run:x",
            "meter": "usd",
            "window": "",
            "share": "80%",
            "by": "settled",
            "unit": "nanodollars",
            "limit": "2000000000",
            "spent": "1610000000",
            "reserved": "30000000",
            "remaining": "360000000",
            "dollars": {
                "limit": "2.000000000",
                "spent": "1.610000000",
                "reserved": "0.030000000",
                "remaining": "0.360000000",
            },
            "resets_at": None,
            "source": "--usd",
            "call_id": "01J9ZK",
        },
    }


def test_counts_have_no_dollars():
    told = json.loads(
        _webhook.payload(reached(meter="calls", window="day@UTC", resets_at=datetime(2026, 11, 23, tzinfo=UTC)))
    )
    assert (told["data"]["unit"], told["data"]["dollars"]) == ("count", None)
    assert told["data"]["resets_at"] == "2026-11-23T00:00:00Z"


def test_the_receivers_own_library_finds_the_signature_right():
    alert = Alert(at=(Fraction(1),), webhook="http://127.0.0.1:1", secret_env="ALERT_SECRET")
    secret = _webhook.webhook_of(alert, {"ALERT_SECRET": SECRET})._secret
    with receiver(200) as server:
        sent(server, reached(), secret=secret)
    ((_, headers, body),) = server.got
    library = standardwebhooks.Webhook(SECRET)
    assert library.verify(body, headers)["data"]["scope"] == "run:x"
    for wrong in (body + b" ", body.replace(b"1610000000", b"0610000000")):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            library.verify(wrong, headers)


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), "whsec_" + "A" * 32 + "AA=="])
def test_a_secret_is_read_as_the_convention_writes_it(secret):
    alert = Alert(at=(), webhook="http://127.0.0.1:1", secret_env="ALERT_SECRET")
    assert len(_webhook.webhook_of(alert, {"ALERT_SECRET": secret})._secret) >= 24


@pytest.mark.parametrize(
    ("environ", "got"),
    [
        ({}, "in base64; it is not set\nTo go on: export ALERT_SECRET=$("),
        ({"ALERT_SECRET": ""}, "in base64; it is empty\nTo go on: export ALERT_SECRET=$("),
        ({"ALERT_SECRET": "hunter2"}, "got something else"),
        ({"ALERT_SECRET": "whsec_c2hvcnQ="}, "got something else"),
        ({"ALERT_SECRET": "whsec_" + "A" * 100}, "got something else"),
        ({"ALERT_SECRET": "whsec_ü" + "A" * 40}, "got something else"),
    ],
    ids=["missing", "empty", "no base64", "short", "long", "no ASCII"],
)
def test_a_secret_that_is_none_is_an_error_before_anything_runs(environ, got):
    alert = Alert(at=(), webhook="http://127.0.0.1:1", secret_env="ALERT_SECRET", source="solvent.yaml:9")
    with pytest.raises(SettingsError) as error:
        _webhook.webhook_of(alert, environ)
    text = str(error.value)
    assert text.startswith(
        "solvent.yaml:9: alert.secret_env: expected a secret in the environment variable ALERT_SECRET"
    )
    assert got in text
    assert not any(value and value in text for value in environ.values())


def test_without_a_webhook_there_is_none():
    assert _webhook.webhook_of(None) is None
    assert _webhook.webhook_of(Alert(at=(Fraction(1),), secret_env="ALERT_SECRET"), {}) is None


@pytest.mark.parametrize(
    "answer", [500, 502, 503, 599, 408, 425, 429, cut], ids=lambda answer: getattr(answer, "__name__", str(answer))
)
def test_what_may_pass_is_tried_again_with_the_same_id_and_a_new_time(answer):
    with receiver(answer, answer, 200) as server:
        assert sent(server, reached()) == [1, 2]
    assert {headers["webhook-id"] for _, headers, _ in server.got} == {"5eed"}
    assert len(server.got) == 3
    assert len({body for *_, body in server.got}) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 413, 422])
def test_what_will_not_pass_is_given_up_at_once_and_told(status, caplog):
    with receiver((status, {"location": "http://127.0.0.1:1/elsewhere"}), 200) as server:
        assert sent(server, reached()) == []
    assert len(server.got) == 1
    assert logged(caplog) == [
        f"an alert was not delivered to http://127.0.0.1:{server.server_port}: status {status}. "
        "It said: run:x has used 80 % of $2.00: $1.61 spent, $0.03 reserved."
    ]


def test_a_receiver_that_is_gone_is_told_of_nothing_more(caplog):
    with receiver(410) as server:
        sent(server, reached(), reached(alert_id="other"), reached(alert_id="third"))
    assert len(server.got) == 1
    (warning,) = logged(caplog)
    assert "status 410; it is told of none any more." in warning


def test_a_receiver_that_never_answers_well_is_given_up_after_some_minutes(caplog):
    with receiver(500) as server:
        waits = sent(server, reached())
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert len(server.got) == 11
    assert len(logged(caplog)) == 1


def test_an_alert_that_is_given_up_does_not_keep_the_next_one():
    with receiver(400, 200) as server:
        sent(server, reached(), reached(alert_id="next"))
    assert [headers["webhook-id"] for _, headers, _ in server.got] == ["5eed", "next"]


def in_two_minutes():
    return format_datetime(datetime.fromtimestamp(time.time() + 90, UTC), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("7", 7, 7), ("0", 1, 1), ("99999999999999999999", 120, 120), (in_two_minutes, 60, 90)],
    ids=["seconds", "at once", "for ever", "a date"],
)
def test_a_receiver_may_say_when_to_come_again_within_reason(retry_after, least, most):
    said = retry_after() if callable(retry_after) else retry_after
    with receiver((503, {"retry-after": said}), 200) as server:
        (wait,) = sent(server, reached())
    assert least <= wait <= most


@pytest.mark.parametrize("retry_after", ["soon", "-5", "1e9", "nan", "Thu, 99 Abc 2026"])
def test_what_is_no_time_to_come_again_is_left_alone(retry_after):
    with receiver((503, {"retry-after": retry_after}), 200) as server:
        assert sent(server, reached()) == [1]


@pytest.mark.parametrize("answer", [hang, drip])
def test_a_receiver_that_hangs_or_drips_is_left(answer, monkeypatch):
    monkeypatch.setattr(_webhook, "ANSWER_SECONDS", 0.2)
    with receiver(answer, 200) as server:
        assert sent(server, reached()) == [1]
    assert len(server.got) == 2


def test_a_receiver_that_is_not_there_is_asked_again():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        waits = []
        webhook = _webhook.Webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/", wait=waits.append)
        webhook.hear(reached())
        assert webhook.flush(PATIENCE_SECONDS)
    assert len(waits) == 10


def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with receiver(200) as server:
        assert sent(server, reached()) == []
    assert len(server.got) == 1


def test_when_the_program_ends_what_waits_is_tried_once_more_and_then_told(caplog):
    with receiver(500) as server:
        webhook = _webhook.Webhook(server.url)  # Which waits for real.
        first = threading.Event()
        server.answers = [lambda handler: (handler.send_response(500), handler.end_headers(), first.set()), 500]
        webhook.hear(reached())
        webhook.hear(reached(alert_id="next"))
        assert first.wait(PATIENCE_SECONDS)
        assert webhook.close(PATIENCE_SECONDS)
    assert [headers["webhook-id"] for _, headers, _ in server.got] == ["5eed", "5eed", "next"]
    assert len(logged(caplog)) == 2


def test_when_the_program_ends_nobody_waits_for_a_receiver_that_hangs(caplog):
    with receiver(hang) as server:
        webhook = _webhook.Webhook(server.url)
        webhook.hear(reached())
        webhook.hear(reached(alert_id="next"))
        assert not webhook.close(0.05)
        assert logged(caplog) == [f"2 alerts were not delivered to {webhook.address}: the program ended before"]
    assert webhook.flush(PATIENCE_SECONDS)


def test_only_scheme_and_host_of_an_address_are_shown():
    webhook = _webhook.Webhook("https://hooks.example.com:8443/services/T0/secret?key=1")
    assert webhook.address == "https://hooks.example.com:8443"


def test_no_call_waits_for_the_webhook():
    with receiver(hang) as server:
        webhook = _webhook.Webhook(server.url)
        world = World(usd="0.06", alert=Alert(at=(Fraction(1, 2), Fraction(1))))
        world.guard.listeners.add(webhook.hear)
        for _ in range(2):
            settle(world, admit(world), output_tokens=THREE_CENTS)
        assert sum(isinstance(event, CallClosed) for event in world.events) == 2
        assert not webhook.close(0)
    assert webhook.flush(PATIENCE_SECONDS)


def test_of_the_same_share_every_process_sends_the_same_id():
    alert = Alert(at=(Fraction(1),))
    world = World(usd="0.05", alert=alert)
    other = World(usd="0.05", alert=alert, store=world.store)
    settle(world, admit(world), output_tokens=THREE_CENTS)
    for each in (world, other):
        with pytest.raises(BudgetExceeded):
            admit(each)
    ids = [event.alert_id for event in (*world.events, *other.events) if isinstance(event, ShareReached)]
    assert len(ids) == 2
    assert len(set(ids)) == 1
