"""
Several processes on one ledger, and a program with the real SDK: each share is told once in all, and to the webhook.
"""

import json
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import openai
import pytest
import standardwebhooks
from fake_provider import Answer
from webhook_receiver import SECRET, receiver

import solvent
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, SettingsError
from solvent.events import ShareReached
from solvent.policy._read import read_policy

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
POLICY = """\
budgets: {{'run:*': {{usd: {usd}}}}}
alert: {{at: [50%, 80%, 100%], webhook: '{url}', secret_env: ALERT_SECRET}}
prices: {{m: {{input: 0, output: 10.00}}}}
wait: 0s
"""
MESSAGES = [{"role": "user", "content": "hello"}]


def test_four_processes_on_one_ledger_tell_each_share_once_in_all(tmp_path):
    words = [sys.executable, str(HERE / "alert_worker.py"), str(tmp_path / "ledger.db"), "10"]
    workers = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE) for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    told = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    found = sorted(each for one in told for each in one)
    cents = [spent for _, spent, _ in sorted(found, key=lambda each: each[1])]
    assert cents == [tenth * 10**8 for tenth in range(1, 9)]  # 40 calls of two cents.
    assert len({share for share, *_ in found}) == len({id for *_, id in found}) == 8


@pytest.fixture
def policy_file(tmp_path, monkeypatch):
    """
    Writes the policy that this process is held to; its hooks are on until the end of the test.
    """
    monkeypatch.setenv("ALERT_SECRET", SECRET)

    def write(url, *, usd="1.00"):
        path = tmp_path / "solvent.yaml"
        path.write_text(POLICY.format(url=url, usd=usd))
        PROCESS.policy, PROCESS.ledger = read_policy(path), f"sqlite:///{tmp_path}/ledger.db"
        solvent.install()

    yield write
    solvent.uninstall()
    PROCESS.close()
    PROCESS.ledger = None


def until_refused(client):
    calls = 0
    while True:
        try:
            client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=3_000)
        except BudgetExceeded:
            return calls
        calls += 1


def test_a_program_with_the_openai_sdk_has_its_alerts_heard_and_posted(fake_provider, policy_file):
    fake, heard = fake_provider(Answer(output_tokens=3_000)), []
    client = openai.OpenAI(api_key="x", base_url=f"{fake.url}/v1", max_retries=0)
    with receiver(500, 200) as server:
        policy_file(server.url)
        with solvent.listen(heard.append), solvent.budget("triage") as budget:
            assert until_refused(client) == 33
        PROCESS.close()  # Which sends what waits.
    shares = [event for event in heard if isinstance(event, ShareReached)]
    assert [(event.share * 100, event.by) for event in shares] == [(50, "settled"), (80, "settled"), (100, "refused")]
    assert {event.scope for event in shares} == {str(budget.scope)}
    library = standardwebhooks.Webhook(SECRET)
    told = [library.verify(body, headers) for _, headers, body in server.got]
    assert [alert["data"]["share"] for alert in told] == ["50%", "50%", "80%", "100%"]
    assert [alert["data"]["dollars"]["spent"] for alert in told[1:]] == ["0.510000000", "0.810000000", "0.990000000"]
    assert len(fake.bill) == 33  # What goes to the webhook is no call of a model.


def test_an_alert_in_code_is_told_with_the_budget_asked_in_the_listener(fake_provider, policy_file):
    fake, left = fake_provider(Answer(output_tokens=3_000)), []
    client = openai.OpenAI(api_key="x", base_url=f"{fake.url}/v1", max_retries=0)
    done = threading.Event()

    def hear(event):
        if isinstance(event, ShareReached) and event.share == Fraction(2, 5):
            left.append((budget.remaining(), len(budget.report().models)))
            client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=1_000)
            done.set()

    with receiver(200) as server:
        policy_file(server.url, usd="5.00")
        with solvent.listen(hear), solvent.budget("triage", usd="0.06", alert=["40%"]) as budget:
            client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=3_000)
            assert done.wait(30)
    assert left == [(30_000_000, 1)]


def test_a_webhook_whose_secret_is_missing_is_an_error_before_a_call_is_made(policy_file, monkeypatch):
    monkeypatch.delenv("ALERT_SECRET")
    policy_file("https://alerts.example.com/")
    budget = solvent.budget("triage")
    with pytest.raises(SettingsError, match=r"solvent.yaml:2: alert.secret_env.*ALERT_SECRET"):
        budget.__enter__()


PROGRAM = """
import openai, solvent
solvent.install()
with solvent.budget("triage"):
    openai.OpenAI(max_retries=0).chat.completions.create(model="m", messages=[], max_tokens=3_000)
"""


def test_what_waits_for_the_webhook_is_sent_when_the_program_ends(fake_provider, tmp_path):
    fake, path = fake_provider(Answer(output_tokens=3_000)), tmp_path / "solvent.yaml"
    with receiver(500, 200) as server:
        path.write_text(POLICY.format(url=server.url, usd="0.03"))
        env = {**os.environ, "SOLVENT_POLICY": str(path), "SOLVENT_LEDGER": "memory://", "ALERT_SECRET": SECRET}
        env |= {"OPENAI_BASE_URL": f"{fake.url}/v1", "OPENAI_API_KEY": "x"}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {alert["data"]["share"] for alert in server.alerts()} == {"50%", "80%", "100%"}
    assert "has used 100 % of $0.03" in done.stderr
