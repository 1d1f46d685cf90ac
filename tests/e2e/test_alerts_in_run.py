"""
Alerts under ``solvent run``: told once by whoever settles, on standard error and to the webhook.
"""

import sys
from collections.abc import Callable

import pytest
import standardwebhooks
from fake_provider import Answer, Fake
from solvent_run import PROGRAMS, Desk, Ran
from webhook_receiver import SECRET, Receiver, receiver

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

POLICY = """
alert: {{at: [50%, 100%], webhook: '{url}', secret_env: ALERT_SECRET}}
prices: {{m: {{input: 0, output: 10.00}}}}
wait: 0s
"""
CALL = """
import openai

def call(client=None, tokens=3_000):
    client = client or openai.OpenAI(max_retries=0)
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], max_tokens=tokens)
"""


def run(desk: Desk, server: Receiver, text: str, *options: str, url: str) -> Ran:
    desk.providers_at(url)
    desk.env |= {"ALERT_SECRET": SECRET, "PAST_THE_GATEWAY": f"{url}/v1", "PYTHONPATH": str(PROGRAMS)}
    path = desk.folder / "solvent.yaml"
    path.write_text(POLICY.format(url=server.url))
    return desk.run("--policy", str(path), "--name", "nightly", *options, command=[sys.executable, "-c", CALL + text])


def alerts(ran: Ran) -> list[str]:
    return [line for line in ran.stderr.splitlines() if "used" in line]


USED_UP = """
for _ in range(2):
    call()
try:
    call()
except openai.APIStatusError as error:
    assert error.status_code == 402
else:
    raise AssertionError
"""


def test_a_run_tells_its_alerts_to_the_person_and_to_the_webhook(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000))
    with receiver(503, 200) as server:
        ran = run(desk, server, USED_UP, "--usd", "0.08", url=fake.url)
    assert ran.code == 0, ran.stderr
    assert alerts(ran) == [
        "solvent: run:nightly has used 50 % of $0.08: $0.06 spent, $0.00 reserved. To go on: raise the limit (--usd).",
        "solvent: run:nightly has used up $0.08: $0.06 spent, $0.00 reserved, and a call that did not fit was refused. "
        "To go on: raise the limit (--usd).",
    ]
    library = standardwebhooks.Webhook(SECRET)
    told = [library.verify(body, headers)["data"] for _, headers, body in server.got]
    assert [(data["share"], data["by"]) for data in told] == [
        ("50%", "settled"),
        ("50%", "settled"),
        ("100%", "refused"),
    ]


def test_a_run_tells_the_person_what_its_webhook_did_not_take(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000))
    with receiver(404) as server:
        ran = run(desk, server, "call()", "--usd", "0.06", url=fake.url)
    address = f"http://127.0.0.1:{server.server_port}"
    assert f"solvent: an alert was not delivered to {address}: status 404. It said: run:nightly has used" in ran.stderr
    assert "team=a" not in ran.stderr


def test_a_quiet_run_tells_the_webhook_alone(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000))
    with receiver(200) as server:
        ran = run(desk, server, USED_UP, "--usd", "0.08", "--quiet", url=fake.url)
    assert alerts(ran) == []
    assert len(server.got) == 2


def test_budgets_of_its_programs_have_alerts_at_the_gateway_and_beside_it(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=3_000))
    text = """
import os, solvent
solvent.install()
past = openai.OpenAI(max_retries=0, base_url=os.environ["PAST_THE_GATEWAY"])
with solvent.budget("inner", usd="0.10", alert=["30%", "60%"]):
    call()
    call(past)
"""
    with receiver(200) as server:
        ran = run(desk, server, text, "--usd", "0.40", url=fake.url)
    assert ran.code == 0, ran.stderr
    told = {(alert["data"]["scope"].partition("-")[0], alert["data"]["share"]) for alert in server.alerts()}
    assert told == {("run:nightly/step:inner", share) for share in ("30%", "50%", "60%")}
    assert len(alerts(ran)) == 3


def test_nothing_is_started_where_the_webhooks_secret_is_missing(desk: Desk) -> None:
    path = desk.folder / "solvent.yaml"
    path.write_text(POLICY.format(url="https://alerts.example.com/"))
    done = desk.solvent("run", "--policy", str(path), "--", "touch", str(desk.folder / "started"))
    assert done.returncode == 4
    assert "solvent.yaml:2: alert.secret_env: expected a secret in the environment variable ALERT_SECRET" in done.stderr
    assert not (desk.folder / "started").exists()
