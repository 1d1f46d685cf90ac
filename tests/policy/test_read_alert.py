"""
``alert:`` in ``solvent.yaml``: at which shares of a limit somebody is told, and where.
"""

from fractions import Fraction

import pytest

from solvent._limits import Scope
from solvent._outer import InForce, from_json, to_json
from solvent.errors import SettingsError
from solvent.policy._alert import Alert
from solvent.policy._read import read_policy


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "solvent.yaml"
        path.write_text(text)
        return read_policy(path)

    return read


def test_shares_are_read_exactly_and_come_smallest_first(read):
    policy = read("wait: 1s\nalert: {at: [100%, 12.5%, 80 %], webhook: 'https://example.com:8/a?b=c', secret_env: S_1}")
    assert policy.alert == Alert(
        at=(Fraction(1, 8), Fraction(4, 5), Fraction(1)),
        webhook="https://example.com:8/a?b=c",
        secret_env="S_1",
        source="solvent.yaml:2",
    )


def test_nobody_is_told_unless_it_is_said_and_no_webhook_is_needed(read):
    assert read("wait: 1s").alert is None
    assert read("alert: {at: [50%]}").alert == Alert(at=(Fraction(1, 2),), source="solvent.yaml:1")


def test_another_process_of_the_run_gets_the_alert_as_it_is(read):
    policy = read("alert: {at: [33.3%, 80%], webhook: http://localhost:9000/, secret_env: SECRET}")
    handed = InForce(scope=str(Scope.parse("run:a")), ledger="memory://", policy=policy)
    assert from_json(to_json(handed), InForce).policy.alert == policy.alert


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000/alerts", "http://localhost", "http://[::1]:9/", "http://127.8.9.1/", "https://example.com"],
)
def test_amounts_may_be_sent_over_https_and_to_this_machine(read, url):
    assert read(f"alert: {{at: [50%], webhook: '{url}'}}").alert.webhook == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "nothing"),
        ("hooks", "one that does not begin with https:// or http://"),
        ("ftp://example.com/a", "one that does not begin with https:// or http://"),
        ("file:///etc/passwd", "one that does not begin with https:// or http://"),
        ("https:///a", "one without a host"),
        ("https://", "one without a host"),
        ("https://user:secret@example.com/a", "one with a user's name or a password"),
        ("https://@example.com/a", "one with a user's name or a password"),
        ("http://127.0.0.1@example.com/a", "one with a user's name or a password"),
        ("https://example.com/a#b", "one with a fragment (`#`)"),
        ("https://example.com/a#", "one with a fragment (`#`)"),
        ("http://example.com/a", "plain http to another machine"),
        ("http://127.0.0.1.example.com/a", "plain http to another machine"),
        ("http://10.0.0.1/a", "plain http to another machine"),
        ("http://LOCALHOST/a", "one with a host in capitals"),
        ("https://example.com:99999/a", "one whose host or port is none"),
        ("https://[::1/a", "one whose host or port is none"),
        ("https://exa mple.com/a", "one with characters that no address has"),
        ("https://example.com/\u00e9", "one with characters that no address has"),
        ("http://127.0.0.1\\.example.com/", "one with characters that no address has"),
    ],
)
def test_an_address_that_others_could_read_is_refused_and_never_shown(read, url, problem):
    with pytest.raises(SettingsError) as refused:
        read(f"wait: 1s\nalert:\n  at: [50%]\n  webhook: '{url}'")
    said = str(refused.value)
    assert said.endswith(
        f"solvent.yaml:4: alert.webhook: expected an address such as https://example.com/alerts, got {problem}"
    )
    assert "secret" not in said


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "sk-123", "\u00c9", "A" * 129])
def test_a_secret_is_named_and_not_written_into_the_file(read, name):
    with pytest.raises(SettingsError) as refused:
        read(f"alert: {{at: [50%], webhook: https://example.com, secret_env: '{name}'}}")
    assert str(refused.value).endswith(
        "alert.secret_env: expected the name of an environment variable such as ALERT_SECRET, got something else"
    )
