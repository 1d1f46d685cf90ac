"""
Putting the hooks on and taking them off: at any time, any number of times, and in any process.
"""

import _thread
import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import aiohttp
import httpx
import httpx2
import openai
import pytest
import requests
from fake_provider import Answer
from inprocess import RATES
from sdk_ways import MESSAGES, chat, chat_streamed

import solvent
from solvent import instrument
from solvent.events import ContextLost
from solvent.instrument import HOOKS, Hook

pytestmark = pytest.mark.slow

CAP = 500
POINTS = [
    (httpx.Client, "send"),
    (httpx2.AsyncClient, "send"),
    (openai._base_client.SyncAPIClient, "request"),
    (aiohttp.ClientSession, "_request"),
    (requests.Session, "send"),
]


def program(text, **environment):
    """
    Run a program of its own; what it printed, as JSON.
    """
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "SOLVENT_LEDGER": "memory://", **environment}
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=env, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return json.loads(ran.stdout)


def test_install_twice_is_install_once(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    solvent.install()
    with solvent.budget(usd="1.00"):
        chat(fake.url, max_tokens=CAP)
    assert guarded.ends() == [("200", None)]
    assert guarded.spent() == fake.billed(RATES)


@pytest.mark.usefixtures("guarded")
def test_uninstall_leaves_the_libraries_as_they_were():
    put_on = [vars(owner)[name] for owner, name in POINTS]
    solvent.uninstall()
    originals = [vars(owner)[name] for owner, name in POINTS]
    assert not any(hasattr(original, "__wrapped__") for original in originals)
    solvent.uninstall()
    solvent.install()
    solvent.uninstall()
    assert [vars(owner)[name] for owner, name in POINTS] == originals
    assert all(one is not other for one, other in zip(put_on, originals, strict=True))


def test_calls_pass_unseen_after_uninstall(guarded, fake_provider):
    fake = fake_provider()
    solvent.uninstall()
    with solvent.budget(usd="0"):
        chat(fake.url, max_tokens=CAP)
    assert len(fake.seen) == 1
    assert guarded.kinds() == ["open", "close"]


def test_a_stream_that_is_open_at_uninstall_is_still_booked(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    with solvent.budget(usd="1.00"):
        stream = chat_streamed(fake.url, max_tokens=CAP)
        next(stream)
        solvent.uninstall()
        assert list(stream)
    assert guarded.spent() == fake.billed(RATES) == 120 * RATES.output


def in_a_thread_of_its_own(function):
    """
    Run it where no context leads, as a library in another language does; what it raised.
    """
    raised, done = [], threading.Event()

    def run():
        try:
            function()
        except Exception as error:
            raised.append(error)
        done.set()

    _thread.start_new_thread(run, ())
    assert done.wait(30)
    return raised[0] if raised else None


@pytest.mark.parametrize("strict", [False, True])
def test_a_call_that_lost_its_context_among_several_budgets_is_told_or_refused(strict, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    solvent.install(strict=strict)
    with solvent.budget("outer", usd="1.00") as outer, solvent.budget("inner") as inner:
        error = in_a_thread_of_its_own(lambda: chat(fake.url, max_tokens=CAP))
        assert not strict or (isinstance(error, solvent.Unbounded) and str(inner.scope) in str(error))
    told = [event for event in guarded.events if isinstance(event, ContextLost)]
    assert told == [ContextLost(scope=str(outer.scope), budgets=(str(outer.scope), str(inner.scope)), refused=strict)]
    assert len(fake.seen) == (0 if strict else 1)


def test_what_others_put_around_a_library_later_stays(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    hooked, seen = httpx2.Client.send, []

    def observed(client, request, **kwargs):
        seen.append(request.url.path)
        return hooked(client, request, **kwargs)

    httpx2.Client.send = observed
    try:
        solvent.uninstall()
        assert httpx2.Client.send is observed
        chat(fake.url, max_tokens=CAP)
        solvent.install()
        with solvent.budget(usd="1.00"):
            chat(fake.url, max_tokens=CAP)
        assert (len(seen), len(fake.seen)) == (2, 2)
        assert guarded.ends() == [("200", None)]
        solvent.uninstall()
        assert httpx2.Client.send is observed
    finally:
        httpx2.Client.send = hooked.__wrapped__


@pytest.mark.usefixtures("guarded")
def test_a_library_without_the_hooks_place_is_left_and_told_of(monkeypatch, caplog):
    changed = Hook("ruled", "colorsys", "stainless")  # Some module, and no SDK's.
    monkeypatch.setattr(instrument, "HOOKS", (*HOOKS, changed))
    __import__("colorsys")
    solvent.install()
    assert "ruled has no hook" in caplog.text


@pytest.mark.usefixtures("eager_switching")
def test_threads_that_install_at_once_put_the_hooks_on_once(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    solvent.uninstall()
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        solvent.install()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with solvent.budget(usd="1.00"):
        chat(fake.url, max_tokens=CAP)
    assert guarded.ends() == [("200", None)]
    solvent.uninstall()
    assert not hasattr(vars(httpx2.Client)["send"], "__wrapped__")


def test_install_loads_no_library():
    text = "import json, sys, solvent; solvent.install(); print(json.dumps(sorted(sys.modules)))"
    pythons_own = {"concurrent.futures", "os", "subprocess", "threading"}
    packages = {hook.package.replace("-", ".") for hook in HOOKS} - pythons_own
    assert not {name.split(".")[0] for name in program(text)} & {package.split(".")[0] for package in packages}


BELOW = {"anthropic": "httpx2", "openai": "aiohttp", "google.genai": "httpx"}  # What comes in the middle of its import.


@pytest.mark.parametrize(
    "module", ["aiohttp", "anthropic", "botocore.endpoint", "google.genai", "httpx", "httpx2", "openai", "requests"]
)
def test_each_library_loads_first_after_install(module):
    text = f"import json, solvent; solvent.install(); import {module}; from solvent.instrument import _STATE; "
    on = program(text + "print(json.dumps([loaded.__name__ for loaded in _STATE.unhooks]))")
    assert {each for each in on if each.startswith(module)}
    assert BELOW.get(module, module) in " ".join(on)


CALL = f"""
import json, solvent
from fake_provider import Answer, fake_provider
{{before}}
with fake_provider(Answer(output_tokens=120)) as fake:
    with solvent.budget(usd="1.00") as budget:
        client = openai.OpenAI(api_key="x", base_url=fake.url + "/v1")
        client.chat.completions.create(model="gpt-4o", messages={MESSAGES!r}, max_tokens={CAP})
        print(json.dumps([len(fake.seen), len(budget.report().models), budget.remaining()]))
"""


@pytest.mark.parametrize(
    "before",
    [
        "import openai; solvent.install()",
        "solvent.install(); import openai",
        "import httpx2; solvent.install(); import openai; solvent.install()",
        "import httpx2; httpx2.alias_httpx(); import httpx; solvent.install(); import openai",
        "solvent.install(); import httpx2; httpx2.alias_httpx(); import httpx, openai",
    ],
)
def test_the_order_of_install_and_imports_does_not_matter(before):
    seen, models, remaining = program(CALL.replace("{before}", before))
    assert (seen, models) == (1, 1)
    assert 10**9 - remaining == 120 * 10_000 + 12 * 2_500  # Of gpt-4o: $2.50 and $10 per million tokens.


def test_a_parents_open_calls_stay_the_parents(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    with solvent.budget(usd="1.00"):
        stream = chat_streamed(fake.url, max_tokens=CAP)
        next(stream)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # What it has is a copy, and closing it books nothing.
            before = len(list(solvent._runtime.PROCESS.runtime().ledger.store.entries()))
            stream.close()
            del stream
            after = len(list(solvent._runtime.PROCESS.runtime().ledger.store.entries()))
            os.write(write, json.dumps([before, after]).encode())
            os._exit(0)
        os.waitpid(child, 0)
        before, after = json.loads(os.read(read, 100))
        assert before == after
        assert list(stream)
    assert guarded.ends() == [("200", None)]
    assert guarded.spent() == fake.billed(RATES) == 120 * RATES.output


def test_a_child_makes_its_own_calls(fake_provider, tmp_path):
    fake = fake_provider(Answer(output_tokens=120))
    text = f"""
import json, os, openai, solvent
solvent.install()
with solvent.budget(usd="1.00") as budget:
    def call():
        with openai.OpenAI(api_key="x", base_url="{fake.url}/v1") as client:
            client.chat.completions.create(model="gpt-4o", messages={MESSAGES!r}, max_tokens={CAP})
    call()
    child = os.fork()
    if child == 0:
        call()
        os._exit(0)
    os.waitpid(child, 0)
    call()
    print(json.dumps(budget.remaining()))
"""
    remaining = program(text, SOLVENT_LEDGER=f"sqlite:///{tmp_path}/ledger.db")
    assert len(fake.seen) == 3
    assert 10**9 - remaining == 3 * (120 * 10_000 + 12 * 2_500)


def test_a_program_that_ends_with_open_streams_ends_quietly(fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    text = f"""
import json, openai, solvent
solvent.install()
client = openai.OpenAI(api_key="x", base_url="{fake.url}/v1")
solvent.budget(usd="1.00").__enter__()
stream = client.chat.completions.create(model="gpt-4o", messages={MESSAGES!r}, max_tokens={CAP}, stream=True)
print(json.dumps(next(iter(stream)).object))
"""
    assert program(text) == "chat.completion.chunk"


def test_a_cancelled_program_books_what_it_began(guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=CAP, hangs=True))

    async def leave():
        async with httpx2.AsyncClient() as client:
            body = {"model": "m", "messages": MESSAGES, "max_tokens": CAP}
            asyncio.create_task(client.post(f"{fake.url}/v1/chat/completions", json=body))  # noqa: RUF006  # Left.
            await asyncio.to_thread(fake.wait_until, lambda: fake.bill)

    with solvent.budget(usd="1.00"):
        asyncio.run(leave())  # Which cancels whatever is left, the booking of it too.
    solvent._runtime.PROCESS.runtime().guard.drain()
    assert guarded.spent() == fake.billed(RATES) == CAP * RATES.output


def test_the_gateway_of_a_run_counts_by_itself(guarded, fake_provider, monkeypatch):
    fake = fake_provider(Answer(output_tokens=120))
    monkeypatch.setenv("SOLVENT_GATEWAY", f"{fake.url}/secret")
    chat(f"{fake.url}/secret/openai", max_tokens=CAP)
    assert guarded.kinds() == []
    with solvent.budget(usd="0"), pytest.raises(solvent.BudgetExceeded):
        chat(f"{fake.url}/secret/openai", max_tokens=CAP)  # A budget of the program's own holds all the same.
    assert len(fake.seen) == 1
