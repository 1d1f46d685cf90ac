"""
A server whose policy's file is edited: its next calls are held to what the file says now, through a real SDK.
"""

import logging
import os
import threading

import openai
import pytest
from fake_provider import Answer
from sdk_ways import MESSAGES

import solvent
from solvent import _reload
from solvent._runtime import PROCESS
from solvent.events import PolicyRejected, PolicyReloaded
from solvent.policy import _watch

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 30
PRICE = "prices: {m: {input: 0, output: 10.00}}\nwait: 0s\n"


class Server:
    """
    A process with a policy that it follows.
    """

    def __init__(self, path, ledger, url):
        self.path = path
        self.events = []
        self._told = threading.Condition()
        self._client = openai.OpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0)
        self.write(f"ledger: {ledger}\n{PRICE}")

    def hear(self, event):
        if isinstance(event, PolicyRejected | PolicyReloaded):
            with self._told:
                self.events.append(event)
                self._told.notify_all()

    def write(self, text):
        """
        All at once, for a file is taken to be whole here after 20 ms, which may pass between two steps of writing it.
        """
        part = self.path.with_suffix(".part")
        part.write_text(text)
        part.replace(self.path)

    def edit(self, text):
        """
        Edit the file, and wait until that is told.
        """
        with self._told:
            count = len(self.events)
            self.write(text)
            assert self._told.wait_for(lambda: len(self.events) > count, PATIENCE_SECONDS)
            return self.events[-1]

    def call(self):
        return self._client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=1_000)

    def calls(self, most):
        """
        How many calls are made until one is refused.
        """
        for number in range(most):
            try:
                self.call()
            except solvent.BudgetExceeded:
                return number
        return most


@pytest.fixture
def server(tmp_path, fake_provider, monkeypatch):
    monkeypatch.setattr(_reload, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr("solvent._runtime.LOOK_SECONDS", 0.05)
    monkeypatch.setattr(_watch, "SETTLED_NS", 20_000_000)
    monkeypatch.setenv("SOLVENT_POLICY", str(tmp_path / "solvent.yaml"))
    for name in ("SOLVENT_GATEWAY", "SOLVENT_LEDGER", "SOLVENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)
    PROCESS.close()
    server = Server(tmp_path / "solvent.yaml", "first.db", fake_provider(Answer(output_tokens=10)).url)
    with solvent.listen(server.hear):
        yield server
    solvent.uninstall()
    PROCESS.close()


@pytest.fixture
def told(caplog):
    """
    The warnings about the policy, a line each.
    """
    caplog.set_level(logging.INFO, logger="solvent")

    def told():
        lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "solvent"]
        return [(level, text) for level, text in lines if "policy" in text]

    return told


def test_calls_are_held_to_what_the_file_says_now(server, told):
    solvent.install(reload=True)
    with solvent.budget("server"):
        assert server.calls(3) == 3
        assert server.edit(f"{PRICE}budgets: {{run:*: {{calls: 4}}}}") == PolicyReloaded(
            files=(str(server.path),), ledger_waits=True
        )
        assert server.calls(3) == 1
        rejected = server.edit(f"{PRICE}budgets: {{run:*: {{calls: 5/daily}}}}")
        assert isinstance(rejected, PolicyRejected)
        assert server.calls(3) == 0
        server.edit(f"{PRICE}budgets: {{run:*: {{calls: 6}}}}")
        assert server.calls(3) == 2
    assert [type(event) for event in server.events] == [PolicyReloaded, PolicyRejected, PolicyReloaded]
    warned = [text for level, text in told() if level == "WARNING"]
    assert [text.partition(":")[0] for text in warned] == [
        "the policy names another ledger, which is taken at the next start",
        "the policy stays as it was, for its file cannot be followed",
        "the policy names another ledger, which is taken at the next start",
    ]
    assert warned[1].endswith(f"{rejected.error}")
    assert 'solvent.yaml:3: budgets."run:*".calls: expected an amount per minute' in warned[1]


def test_the_first_call_of_a_budget_is_held_to_what_the_file_says_by_then(server):
    solvent.install(reload=True)
    with solvent.budget("server"):
        server.edit(f"{PRICE}budgets: {{run:*: {{calls: 0}}}}")
        assert server.calls(1) == 0


def test_a_process_that_was_at_work_before_begins_to_look(server):
    solvent.install()
    with solvent.budget("server"):
        solvent.install(reload=True)
        server.edit(f"{PRICE}budgets: {{run:*: {{calls: 0}}}}")
        assert server.calls(1) == 0


def test_calls_stay_in_the_books_that_the_process_began_with(server):
    solvent.install(reload=True)
    with solvent.budget("server") as budget:
        server.call()
        books = PROCESS.runtime().ledger
        server.edit(f"ledger: other.db\n{PRICE}budgets: {{run:*: {{usd: 0}}}}")
        assert server.calls(1) == 0
        assert PROCESS.runtime().ledger is books
        assert budget.report().total.calls == 1
    assert not (server.path.parent / "other.db").exists()


def test_without_reload_the_file_is_read_once(server, monkeypatch):
    looked = []
    monkeypatch.setattr(PROCESS.reload, "look", lambda *_: looked.append(1))
    solvent.install()
    with solvent.budget("server"):
        server.call()
        server.write(f"{PRICE}budgets: {{run:*: {{calls: 0}}}}")
        os.utime(server.path, ns=(1, 1))
        assert server.calls(2) == 2
    assert not looked
    solvent.install(reload=True)
    assert PROCESS.reload.is_on
    solvent.install()
    assert not PROCESS.reload.is_on


def test_inside_a_run_nothing_is_read_again(server, monkeypatch):
    monkeypatch.setenv("SOLVENT_GATEWAY", "http://127.0.0.1:9/secret")
    PROCESS.reloads(True)
    assert not PROCESS.reload.is_on
    assert server.events == []


def test_an_alert_goes_where_the_file_says_now(server):
    solvent.install(reload=True)
    with solvent.budget("server"):
        server.call()
        listening = PROCESS.runtime().guard.listeners
        before = [*listening._listeners]
        rejected = server.edit(
            f"{PRICE}alert: {{at: [50%], webhook: 'http://127.0.0.1:9/a', secret_env: NO_SUCH_SECRET}}"
        )
        assert isinstance(rejected, PolicyRejected)
        assert [*listening._listeners] == before
        server.edit(f"{PRICE}alert: {{at: [50%], webhook: 'http://127.0.0.1:9/a'}}")
        assert len(listening._listeners) == len(before) + 1
        server.edit(f"{PRICE}alert: {{at: [60%], webhook: 'http://127.0.0.1:9/a'}}")
        assert len(listening._listeners) == len(before) + 1
        server.edit(PRICE)
        assert [*listening._listeners] == before
