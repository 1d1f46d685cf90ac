"""
What the guard costs alone, with its ledger in memory; and a million guarded calls of one process.
"""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
from _goals import verdict
from _hooks_provider import MESSAGES, MODEL, OUTPUT_MAX, PLAIN
from _hooks_systems import CALLS_MAX, USD_MAX
from _ledger_memory import FLOOR, _floor
from _ledger_workload import Contender, Part, cpu_ns, interleaved, p10, ratio

import solvent
from solvent._booking import Replied
from solvent._ids import new_id
from solvent._operations import Reserve, Settle
from solvent.instrument._look import guarded, target
from solvent.wire import FORMATS
from solvent.wire._call import Call, Reading

STORE, GUARD = "the store alone: reserve, settle", "the guard alone: admit, settle"
HOOK = "a whole hook, but for its library's objects"
URL = "http://127.0.0.1/v1/chat/completions"
HEADERS = {"content-type": "application/json", "authorization": "Bearer none"}
REQUEST = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": OUTPUT_MAX}
BODY, REPLY = json.dumps(REQUEST).encode(), PLAIN["/chat/completions"].partition(b"\r\n\r\n")[2]


def guard_part(*, rounds: int) -> Part:
    with solvent.budget("bench", usd=USD_MAX, calls=CALLS_MAX, ledger="memory://") as budget:
        contenders: dict[str, Contender] = {
            FLOOR: _floor(),
            STORE: _store_alone(budget),
            GUARD: _guard_alone(budget),
            HOOK: _without_sdk,
        }
        pairs = 200
        found = interleaved(contenders, rounds=rounds, measure=partial(cpu_ns, pairs=pairs))
    lines = [f"  {'':44}{'p10':>10}{'median':>11}{'of the floor':>15}"]
    for name, values in found.items():
        low, middle, of_floor = p10(values) / 1e3, median(values) / 1e3, ratio(values, found[FLOOR])
        lines.append(f"  {name:44}{low:>7.2f} µs{middle:>8.2f} µs{of_floor:>13.1f} ×")
    return Part(
        title=f"memory://, a call without its SDK, processor time; {rounds} rounds of {pairs} calls",
        lines=lines,
        figures={"ns": found},
        goals=[verdict("memory://, the guard alone", median(found[GUARD]) / 1e3, " µs", 10, most=True)],
    )


def _described() -> tuple[Call, Reading]:
    format = FORMATS["openai-chat"]
    call = format.describe(msgspec.json.decode(BODY), provider="openai", path="v1/chat/completions", headers=HEADERS)
    reader = format.reader(call, status=200, stream=False)
    reader.feed(REPLY)
    return call, reader.finish()


def _store_alone(budget: solvent.Budget) -> Contender:
    """
    Reservations with the accounts, amounts and records that the guard gives them.
    """
    call, reading = _described()
    guard, ledger = budget.runtime.guard, budget.runtime.ledger
    admission = guard.admit(call, scope=budget.scope, fingerprint=b"bench", began=0.0)
    guard.settle(admission, Replied(status=200, reading=reading))
    terms, record, scope = admission.charges.terms, admission.record, str(budget.scope)
    amounts = {account.meter: 1 for account in terms.accounts}

    def pair() -> None:
        id = new_id()
        (reserved,) = ledger.store.apply([Reserve(id=id, scope=scope, terms=terms, amounts=amounts, call=record)])
        (closed,) = ledger.store.apply([Settle(id=id, actual=amounts, call=record)])
        assert reserved.state == "open"  # type: ignore[union-attr]  # An error or a refusal has no state, and fails.
        assert closed.state == "settled"  # type: ignore[union-attr]

    return pair


def _guard_alone(budget: solvent.Budget) -> Contender:
    call, reading = _described()
    guard, scope, outcome = budget.runtime.guard, budget.scope, Replied(status=200, reading=reading)

    def pair() -> None:
        guard.settle(guard.admit(call, scope=scope, fingerprint=b"bench", began=0.0), outcome)

    return pair


def _without_sdk() -> None:
    """
    All that a hook does for a call, but for what it does to the objects of its library.
    """
    found = target("POST", URL)
    assert found is not None
    call = guarded(found, HEADERS, BODY)
    assert call is not None
    call.admit()
    call.began(200, "application/json").feed(REPLY)
    settlement = call.settle(call.over())
    assert settlement is not None
    assert settlement.cost_nanodollars


def flat_part(*, calls: int) -> Part:
    """
    Calls of ``httpx2``, each with another prompt, through a transport that answers in the process.
    """
    command = [sys.executable, str(Path(__file__)), str(calls)]
    tenths = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    lines = [f"  {'calls':>14}{'CPU a call':>14}{'memory':>12}"]
    for number, tenth in enumerate(tenths, 1):
        lines.append(f"  {calls // 10 * number:>14,}{tenth['us']:>11,.0f} µs{tenth['bytes'] / 2**20:>8,.0f} MiB")
    slower = tenths[-1]["us"] / tenths[0]["us"]
    goals = [verdict("the last tenth of the calls, of the first", slower, " ×", 1.25, most=True)]
    if calls >= 1_000_000:  # Before, the journal and what is remembered of prompts are still filled.
        grown = (tenths[-1]["bytes"] - tenths[1]["bytes"]) / 2**20
        goals.append(verdict("memory grown after 200,000 calls", grown, " MiB", 8, most=True))
    return Part(
        title=f"memory://, {calls:,} guarded calls of one process", lines=lines, figures={"tenths": tenths}, goals=goals
    )


def _flat(calls: int) -> None:
    import httpx2
    import psutil

    class Provider(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:  # noqa: ARG002  # Its form.
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=REPLY)

    solvent.install()
    process, tenths, number = psutil.Process(), [], 0
    with (
        solvent.budget("bench", usd=USD_MAX, calls=CALLS_MAX, ledger="memory://") as budget,
        httpx2.Client(transport=Provider(), headers=HEADERS) as client,
    ):
        for _ in range(10):
            began = time.process_time_ns()
            for _ in range(calls // 10):
                number += 1
                messages = [MESSAGES[0], {"role": "user", "content": f"{number}. {MESSAGES[1]['content']}"}]
                client.post(URL, json={**REQUEST, "messages": messages})
            took = (time.process_time_ns() - began) / (calls // 10) / 1e3
            tenths.append({"us": took, "bytes": process.memory_info().rss})
        assert budget.remaining("calls") == CALLS_MAX - number
    print(json.dumps(tenths))


if __name__ == "__main__":
    _flat(int(sys.argv[1]))
