"""
The types of what ``import solvent`` has. Checked by ``mypy --strict`` and never run.

What says ``type: ignore`` is a wrong use that is found; one that is not found any more is an error, too.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_type

import solvent
from solvent._limits import Limit, Scope
from solvent.report import Report

# Whether hooks are on.
solvent.install()
solvent.install(strict=True)
solvent.uninstall()
solvent.install(strict="yes")  # type: ignore[arg-type]

# Every way to write a limit.
assert_type(solvent.budget(), solvent.Budget)
solvent.budget("triage", usd=0.50, tokens=200_000, calls="1k", seconds="15m", depth=5, parallel=None)
solvent.budget(usd="0.50", input_tokens="2M/minute", output_tokens=["200k", "2M/day"], tool_calls=10, retries=3)
solvent.budget(usd=Decimal("0.50"), branches=64)
solvent.budget(usd=["0.50", {"limit": "5/day", "on_exceed": "warn", "time_zone": "Europe/Berlin"}])
solvent.budget(
    usd={"limit": 5}, fallback=["gpt-5", {"from": "gpt-5-mini", "to": "gpt-5-nano", "at": "80%"}], wait="30s"
)
solvent.budget(usd=1, wait=0.5, alert=["50%", "80%"], ledger="ledger.db", run="nightly", scope="org:acme")
solvent.budget(dollars=1)  # type: ignore[call-arg]
solvent.budget(usd=1j)  # type: ignore[arg-type]
solvent.budget(usd={"limit": None})  # type: ignore[dict-item]
solvent.budget(calls=[None])  # type: ignore[list-item]
solvent.budget("triage", 0.50)  # type: ignore[call-arg]
solvent.budget(fallback=[1])  # type: ignore[list-item]
solvent.budget(alert=[0.5])  # type: ignore[list-item]

# Parts of a run take the limits of a budget, and nothing else.
assert_type(solvent.agent("researcher", usd="5/day", depth=3), solvent.Budget)
assert_type(solvent.step("write", calls=None), solvent.Budget)
assert_type(solvent.tool("search"), solvent.Budget)
solvent.agent()  # type: ignore[call-arg]
solvent.agent("researcher", ledger="ledger.db")  # type: ignore[call-arg]
solvent.step("write", usd=1j)  # type: ignore[arg-type]


def held(budget: solvent.Budget) -> None:
    with budget as entered:
        assert_type(entered, solvent.Budget)
    assert_type(budget.scope, Scope)
    assert_type(budget.limits, tuple[Limit, ...])
    assert_type(budget.deadline, datetime | None)
    assert_type(budget.remaining(), int | None)
    assert_type(budget.remaining("seconds"), int | None)
    assert_type(budget.report(), Report)
    assert_type(budget.carry(), solvent.Carrier)
    assert_type(budget.call("gpu", usd="0.03"), solvent.Spending)
    assert_type(budget.check(usd=1), solvent.Decision)
    budget.top_up(usd="0.50", calls=10, reason="the second half")
    budget.remaining("euro")  # type: ignore[arg-type]
    budget.top_up("0.50")  # type: ignore[call-arg]
    budget.top_up(usd=None)  # type: ignore[arg-type]
    assert_type(solvent.current_budget(), solvent.Budget | None)


async def aheld(budget: solvent.Budget) -> None:
    async with budget as entered:
        assert_type(entered, solvent.Budget)
    assert_type(await budget.aremaining("tokens"), int | None)
    assert_type(await budget.areport(), Report)
    assert_type(await budget.acheck(usd=1), solvent.Decision)
    assert_type(await solvent.acheck(model="gpt-5", input_tokens="2k", output_tokens=500), solvent.Decision)
    await budget.atop_up(usd=1)


# A decorated function is what it was.
@solvent.budget(usd=1)
def plain(question: str, *, times: int = 1) -> int:
    return len(question) * times


@solvent.agent("researcher")
async def asked(question: str) -> bytes:
    return question.encode()


@solvent.step("read")
def lines(path: str) -> Iterator[str]:
    yield path


@solvent.tool("listen")
async def heard(host: str) -> AsyncIterator[str]:
    yield host


@solvent.call("gpu", usd="0.03")
def rendered(scene: str) -> bytes:
    return scene.encode()


@solvent.retry("fetch", on=(TimeoutError, ConnectionError), wait="2s")
async def fetched(url: str) -> str:
    return url


assert_type(plain("why?", times=2), int)
assert_type(lines("a"), Iterator[str])
assert_type(heard("a"), AsyncIterator[str])
assert_type(rendered("a"), bytes)
plain(1)  # type: ignore[arg-type]
plain("why?", time=2)  # type: ignore[call-arg]
rendered()  # type: ignore[call-arg]


class Researcher:
    @solvent.agent("researcher", calls=10)
    def ask(self, question: str) -> str:
        return question


assert_type(Researcher().ask("why?"), str)
Researcher().ask()  # type: ignore[call-arg]


async def awaited() -> None:
    assert_type(await asked("why?"), bytes)
    assert_type(await fetched("http://127.0.0.1"), str)
    fetched(b"http")  # type: ignore[arg-type, unused-coroutine]


# Calls of one's own.
def spent(usage: object) -> None:
    with solvent.call("search", model="gpt-5", provider="openai", input_tokens="2k", output_tokens=500, wait=0) as call:
        assert_type(call, solvent.Spending)
        call.settle(usage)
        call.settle(0.03)
        call.settle(usd=Decimal("0.03"), model="gpt-5-mini")
        call.settle(input_tokens=5, output_tokens="1k", tokens=6)
        call.release("cached")
        call.settle(dollars=1)  # type: ignore[call-arg]
        call.settle(input_tokens=0.5)  # type: ignore[arg-type]
    assert_type(call.cost_nanodollars, int | None)
    solvent.call(usd=None, input_tokens=1.5)  # type: ignore[arg-type]
    solvent.call("search", 0.03)  # type: ignore[call-arg]


async def aspent() -> None:
    async with solvent.call(usd=1) as call:
        assert_type(call, solvent.Spending)


# Decisions.
def decided() -> str:
    decision = solvent.check("search", usd="0.03")
    assert_type(decision, solvent.Decision)
    assert_type(decision.allowed, bool)
    assert_type(bool(decision), bool)
    assert_type(decision.limit, int | None)
    assert_type(decision.remaining, int | None)
    assert_type(decision.requested, int)
    assert_type(decision.amounts, Mapping[str, int])
    assert_type(decision.error, solvent.SolventError | None)
    decision.allowed = True  # type: ignore[misc]
    print(decision.amount)  # type: ignore[attr-defined]
    if not decision and decision.error is not None:
        raise decision.error
    return decision.reason


# Loops and retries.
def turned() -> None:
    for turn in solvent.loop("refine", times=5, usd="0.10"):
        with turn as entered:
            assert_type(entered.number, int)
            assert_type(entered.remaining(), int | None)
    for attempt in solvent.retry("fetch", times=3, on=TimeoutError, wait=0, retries=10):
        with attempt:
            assert_type(attempt.number, int)
        assert_type(attempt.error, BaseException | None)
    solvent.loop("refine", times="5k")  # type: ignore[arg-type]
    solvent.loop("refine", fallback=["gpt-5"])  # type: ignore[call-arg]
    solvent.retry("fetch", on="TimeoutError")  # type: ignore[arg-type]


async def aturned() -> None:
    async for turn in solvent.loop("refine"):
        async with turn:
            assert_type(turn.number, int)
    async for attempt in solvent.retry("fetch"):
        async with attempt:
            pass


# A fan-out gives a list of what its function gives; of a coroutine function one to await.
def length(word: str) -> int:
    return len(word)


async def alength(word: str) -> int:
    return len(word)


def fanned() -> None:
    assert_type(solvent.fan_out(length, ["a", "b"], name="lengths", concurrency=4, branches=64), list[int])
    assert_type(solvent.fan_out(lambda word: word.encode(), ["a"]), list[bytes])
    print(solvent.fan_out(length, [1, 2]))  # type: ignore[arg-type]
    print(solvent.fan_out(length, ["a"], on_refusal="stop"))  # type: ignore[call-overload]
    print(solvent.fan_out(length, ["a"], ledger="ledger.db"))  # type: ignore[call-overload]


async def afanned() -> None:
    waiting = assert_type(solvent.fan_out(alength, ["a"], on_refusal="cancel", usd=1), Coroutine[Any, Any, list[int]])
    assert_type(await waiting, list[int])


# A budget goes on elsewhere.
def resumed(headers: Mapping[str, str], carrier: solvent.Carrier) -> None:
    assert_type(solvent.resume(headers), solvent.Budget)
    assert_type(solvent.resume("run:nightly", ledger="ledger.db"), solvent.Budget)
    assert_type(solvent.resume(carrier), solvent.Budget)
    assert_type(carrier.headers, dict[str, str])
    assert_type(carrier.environ, dict[str, str])
    assert_type(carrier.scope, Scope)
    solvent.resume(42)  # type: ignore[arg-type]


# What a refusal has.
def refused(work: Callable[[], None]) -> None:
    try:
        work()
    except solvent.LoopDetected as error:
        assert_type(error.cycle, int)
        assert_type(error.fingerprint, str)
    except solvent.DeadlinePassed as error:
        assert_type(error.ended, bool)
    except solvent.BudgetExceeded as error:
        assert_type(error.scope, str)
        assert_type(error.meter, str)
        assert_type(error.limit, int)
        assert_type(error.remaining, int)
        assert_type(error.held, bool)
        assert_type(error.resets_at, datetime | None)
        assert_type(error.report, Report | None)
        assert_type(error.results, Mapping[int, object])
        assert_type(error.headline(), str)
        error.results[0] = 1  # type: ignore[index]
    except solvent.PriceUnknown as error:
        assert_type(error.model, str)
        assert_type(error.close, tuple[str, ...])
    except solvent.Unbounded as error:
        assert_type(error.part, str)
    except solvent.SettingsError as error:
        assert_type(error.where, str)
    except solvent.StoreUnavailable as error:
        assert_type(error.ledger, str)
    except solvent.OutcomeUnknown as error:
        assert_type(error.id, str)
    except solvent.SolventError as error:
        assert_type(error.message(), str)
