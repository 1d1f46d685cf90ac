"""
The page about events: every event has its line with its fields, its programs run, and its webhook is what is sent.
"""

import json
import re
import time
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
from doc_programs import run_programs
from test_docs_python import cells, led  # noqa: F401  # A fixture.
from webhook_receiver import SECRET

import solvent
from solvent import _courier, _listening, _webhook, events
from solvent.policy._alert import Alert

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "events.md"


def section(heading):
    return re.split(r"^## ", PAGE.read_text().partition(f"\n## {heading}\n")[2], flags=re.M)[0]


def test_every_event_has_its_line_with_its_fields():
    text = section("The events")
    told = {name: fields for (name,), fields in zip(cells(text, 0), cells(text, 1), strict=True)}
    assert told == {kind.__name__: list(kind.__struct_fields__) for kind in get_args(events.Event)}
    assert list(told) == sorted(told)


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
def test_every_field_of_an_event_is_documented_where_it_is_defined(kind):
    attributes = kind.__doc__.partition("Attributes:")[2]
    named = {name for line in re.findall(r"^ {8}(\w[\w, ]*):", attributes, flags=re.M) for name in line.split(", ")}
    assert named == set(kind.__struct_fields__)


def test_what_a_listening_has_is_told():
    assert [name for (name,) in cells(section("`listen`"), 0)] == ["stop", "flush", "dropped"]
    public = {name for name in vars(solvent.Listening) if not name.startswith("_")}
    assert public == {"stop", "flush", "dropped"}
    assert f"Up to {_listening.QUEUE_MAX:,} events wait" in PAGE.read_text()
    assert f"up to {_webhook.QUEUE_MAX:,} wait" in PAGE.read_text()
    assert _courier.EXIT_SECONDS == 5
    assert len(_webhook.WAITS_SECONDS) + 1 == 11


@pytest.mark.slow
@pytest.mark.usefixtures("led")
def test_its_programs_print_what_is_shown_and_check_what_is_sent():
    is_ours = run_programs(PAGE.read_text())["is_ours"]
    alert = Alert(at=(), webhook="https://example.com/", secret_env="ALERT_SECRET")
    body, secret = b"{}", _webhook.webhook_of(alert, {"ALERT_SECRET": SECRET})._secret
    headers = _webhook.headers("5eed", body, secret, time.time())
    assert is_ours(headers, body, SECRET)
    assert not is_ours(headers, b"[]", SECRET)
    assert not is_ours(_webhook.headers("5eed", body, secret, time.time() - 400), body, SECRET)


def test_the_payload_is_the_one_that_is_shown():
    (shown,) = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    event = events.ShareReached(
        id="01M81GDGVS6TGD82JRDV72TM8Z",
        scope="run:nightly",
        meter="usd",
        window="",
        share=Fraction(4, 5),
        limit=2_000_000_000,
        spent=1_610_000_000,
        reserved=30_000_000,
        by="settled",
        at=datetime(2026, 11, 22, 11, 5, 3, 250_000, UTC),
        source="--usd",
        resets_at=None,
        alert_id="5eed",
    )
    assert json.loads(_webhook.payload(event)) == json.loads(shown)
    assert event.message() in section("Alerts")
